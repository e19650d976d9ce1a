//! Standard output: whose reader may go when it has seen enough, and which may fail like any file.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

use super::terminal::printable;
use crate::catalogue::Id;
use crate::error::{Failure, Result};

/// Writes a whole text to `to`, which is where standard output goes in the end except in tests.
///
/// # Errors
/// What keeps it from being written, except that its reader has gone.
pub(crate) fn print(text: &str, to: &mut impl Write) -> Result<()> {
    let text = shown(text, io::stdout().is_terminal());
    heard(to.write_all(text.as_bytes()).and_then(|()| to.flush())).map(drop)
}

/// What a terminal is shown of a text, and a pipe gets of it: JSON may hold all control characters from U+0080 on as they
/// are, and YAML those that turn a line around.
fn shown(text: &str, terminal: bool) -> Cow<'_, str> {
    if terminal { printable(text).into() } else { text.into() }
}

/// Whether the reader still listens, from what a write to standard output gave, or to what waits for it.
///
/// # Errors
/// What keeps it from being written, except that its reader has gone; a failure that the writer has put into words himself.
pub(crate) fn heard(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.downcast::<Failure>().unwrap_or_else(|error| {
            Failure::new(Id::CannotWrite, "cannot write to standard output")
                .evidence(error.to_string())
                .remedy("see that there is space where it goes, or send it elsewhere")
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that fails at every write.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_is_shown_what_a_document_may_hold_and_a_pipe_gets_it() {
        let document = "{\"main\": \"\u{9b}31m\u{202e}\"}\n";
        assert_eq!(shown(document, true), "{\"main\": \"\\u{9b}31m\\u{202e}\"}\n");
        assert_eq!(shown(document, false), document);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        assert!(print("text", &mut Failing(ErrorKind::BrokenPipe)).is_ok());
        let failure = print("text", &mut Failing(ErrorKind::StorageFull)).unwrap_err();
        assert_eq!(failure.cause, "cannot write to standard output");
    }
}
