//! A small text file of this machine, read whole or not at all: half of a configuration is another configuration.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// What the file says.
///
/// # Errors
/// The operating system's, and what is larger than `largest` bytes or no UTF-8.
pub(crate) fn read(path: &Path, largest: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {largest} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// The same of a file that nobody has named: a pipe in its place would keep the command waiting.
///
/// # Errors
/// Those, and what is no regular file.
pub(crate) fn read_regular(path: &Path, largest: u64) -> io::Result<String> {
    if fs::metadata(path)?.is_file() {
        return read(path, largest);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_limit_is_read_whole_and_a_longer_one_not_at_all() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "1234").expect("room");
        assert_eq!(read(file.path(), 4).expect("it fits"), "1234");
        assert_eq!(read(file.path(), 3).expect_err("it does not").to_string(), "it has more than 3 bytes");
        fs::write(file.path(), [0xff]).expect("room");
        assert_eq!(read(file.path(), 4).expect_err("no text").kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().expect("a directory");
        assert_eq!(read_regular(folder.path(), 4).expect_err("a directory").to_string(), "it is no regular file");
        let missing = read_regular(&folder.path().join("missing"), 4).expect_err("it is not there");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    /// Opened, it would wait for a writer for ever: the test would not end.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a directory");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
        assert!(made.success());
        assert_eq!(read_regular(&pipe, 4).expect_err("a pipe").kind(), ErrorKind::InvalidInput);
    }
}
