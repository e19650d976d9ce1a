//! Work on a file of this machine: on a thread of its own, so that Ctrl-C and `--timeout` end it at once, with progress on a
//! terminal.

use std::panic;

use tokio::sync::watch;

use crate::error::Failure;
use crate::render::progress::Progress;

/// How far the work is.
#[derive(Clone, Copy, Default)]
struct Far {
    phase: &'static str,
    bytes: u64,
    of: Option<u64>,
}

/// Where the work says how far it is.
pub(super) struct Teller(watch::Sender<Far>);

impl Teller {
    /// What is done now.
    pub(super) fn phase(&self, phase: &'static str) {
        let _ = self.0.send(Far { phase, ..Far::default() });
    }

    /// How many bytes of the file this phase has come to, and how many it has where that is known.
    pub(super) fn bytes(&self, bytes: u64, of: Option<u64>) {
        self.0.send_modify(|far| (far.bytes, far.of) = (bytes, of));
    }
}

/// Does the work and shows how far it is.
///
/// # Errors
/// Those of the work.
pub(super) async fn work<T: Send + 'static>(
    quiet: bool,
    work: impl FnOnce(&Teller) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let progress = Progress::new(quiet);
    let (teller, mut told) = watch::channel(Far::default());
    let working = tokio::task::spawn_blocking(move || work(&Teller(teller)));
    // Ends when the work does, which drops the teller.
    while told.changed().await.is_ok() {
        let Far { phase, bytes, of } = *told.borrow_and_update();
        progress.phase(phase);
        progress.bytes(bytes, of);
    }
    working.await.unwrap_or_else(|died| panic::resume_unwind(died.into_panic()))
}
