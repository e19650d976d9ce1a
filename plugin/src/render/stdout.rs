//! Standard output: whose reader may go when it has seen enough, and which may fail like any file.

use std::io::{self, ErrorKind, Write};

use crate::catalogue::Id;
use crate::error::{Failure, Result};

/// Writes a whole text to `to`, which is standard output except in tests.
///
/// # Errors
/// What keeps it from being written, except that its reader has gone.
pub(crate) fn print(text: &str, to: &mut impl Write) -> Result<()> {
    heard(to.write_all(text.as_bytes()).and_then(|()| to.flush())).map(drop)
}

/// Whether the reader still listens, from what a write to standard output gave.
///
/// # Errors
/// What keeps it from being written, except that its reader has gone.
pub(crate) fn heard(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Id::CannotWrite, "cannot write to standard output")
            .evidence(error.to_string())
            .remedy("see that there is space where it goes, or send it elsewhere")),
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
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        assert!(print("text", &mut Failing(ErrorKind::BrokenPipe)).is_ok());
        let failure = print("text", &mut Failing(ErrorKind::StorageFull)).unwrap_err();
        assert_eq!(failure.cause, "cannot write to standard output");
    }
}
