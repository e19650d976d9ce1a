//! Progress on a terminal: the phase, the bytes, the rate. Nothing where stderr is no terminal, and nothing with `-q`.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::printable;

/// One line that shows how far a transfer is. Gone when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

const TICK: Duration = Duration::from_millis(120);
const KNOWN: &str = "{spinner} {msg}  {bytes} of about {total_bytes}  {bytes_per_sec}  {elapsed}";
const UNKNOWN: &str = "{spinner} {msg}  {bytes}  {bytes_per_sec}  {elapsed}";
const PHASE: &str = "{spinner} {msg}  {elapsed}";

impl Progress {
    /// A line on stderr, if that is a terminal and the user did not ask for quiet.
    pub(crate) fn new(quiet: bool) -> Progress {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        bar.set_style(style(PHASE));
        if shown {
            bar.enable_steady_tick(TICK);
        }
        Progress { bar }
    }

    /// What happens now. It may come from the injector: control characters are shown.
    pub(crate) fn phase(&self, phase: &str) {
        self.bar.set_message(printable(phase).replace('\n', " "));
    }

    /// Writes something else to the terminal without tearing the line.
    pub(crate) fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// How many bytes have arrived, and how many are expected, where that is known.
    pub(crate) fn bytes(&self, position: u64, expected: Option<u64>) {
        if self.bar.position() == 0 && position > 0 {
            self.bar.set_style(style(if expected.is_some() { KNOWN } else { UNKNOWN }));
            self.bar.reset_eta();
        }
        if let Some(expected) = expected {
            self.bar.set_length(expected.max(position));
        }
        self.bar.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this module are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed() {
        for template in [KNOWN, UNKNOWN, PHASE] {
            style(template);
        }
    }

    #[test]
    fn an_expected_size_that_was_too_small_grows() {
        let progress = Progress::new(true);
        progress.phase("heap\ndump\x1b[2J");
        progress.bytes(10, Some(100));
        progress.bytes(150, Some(100));
        assert_eq!(progress.bar.length(), Some(150));
        assert_eq!(progress.bar.message(), "heap dump^[[2J");
    }
}
