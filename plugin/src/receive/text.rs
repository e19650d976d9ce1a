//! An answer that is a text: it goes to whoever prints it, as it comes.

use jattach_protocol::message::{End, Patch, STREAMS, Started};
use tokio::sync::watch;

use super::counted::{Counted, corrupt};
use super::{Safe, Sink, Storing, TEXT, Told};
use crate::error::Failure;
use crate::session::{Error, Session};

/// Who prints a text.
pub(crate) trait Printer: Send + 'static {
    /// Takes the next bytes.
    fn print(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// All bytes have come, and length and hash are right.
    fn finish(self) -> Result<(), Failure>;
}

/// Has the answer to the request under way printed, and `told` what is said of it meanwhile.
///
/// # Errors
/// The injector's failure; 8 where what came is not whole; the printer's.
pub(crate) async fn text<P: Printer>(
    session: &mut Session,
    printer: P,
    told: &mut dyn FnMut(Told),
) -> Result<(), Error> {
    let mut storing = Storing::with(Text::new(printer), TEXT);
    let result = storing.receive(session, told).await;
    if result.is_err() {
        storing.close().await;
    }
    result
}

struct Text<P> {
    printer: P,
    counted: Counted,
    safe: watch::Sender<Safe>,
}

impl<P> Text<P> {
    fn new(printer: P) -> Text<P> {
        Text { printer, counted: Counted::default(), safe: watch::Sender::new(Some([0; STREAMS])) }
    }
}

impl<P: Printer> Sink for Text<P> {
    type Stored = ();

    fn safe(&self) -> watch::Receiver<Safe> {
        self.safe.subscribe()
    }

    fn begin(&mut self, _started: &Started) -> Result<(), Failure> {
        Ok(())
    }

    fn length(&self, stream: u32) -> u64 {
        if stream == 0 { self.counted.length() } else { 0 }
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        if stream != 0 {
            return Err(no_text());
        }
        self.printer.print(bytes)?;
        self.counted.add(bytes);
        self.safe.send_replace(Some([self.counted.length(), 0]));
        Ok(())
    }

    fn patch(&mut self, _patch: Patch) -> Result<(), Failure> {
        Err(no_text())
    }

    fn end_part(&mut self, _end: &End) -> Result<(), Failure> {
        Err(no_text())
    }

    fn settle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn finish(self, end: &End) -> Result<(), Failure> {
        self.counted.check(end)?;
        self.printer.finish()
    }
}

fn no_text() -> Failure {
    corrupt("a piece of a heap dump came in the answer to another command".to_owned())
}
