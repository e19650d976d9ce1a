//! A heap dump at rest on this machine: opens it, tells from its first bytes whether and how it is packed, and gives out
//! what it holds, unpacked, in constant memory whatever its size. What a whole dump is, the protocol's reader knows.

mod again;
mod blocks;
mod pass;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

pub(crate) use pass::{Broken, Pass, read};

use crate::catalogue::Id;
use crate::error::Failure;
use crate::options::Input;

/// How a dump is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    /// One member or many, as `gzip` and the JVM's own `-gz` write them (RFC 1952, 2.2).
    Gzip,
    /// One frame or many (RFC 8878, 3).
    Zstd,
}

/// The bytes that [`Packing::of`] looks at.
const MAGIC: usize = 4;

impl Packing {
    fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or one to be skipped before it.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
            _ => Packing::None,
        }
    }

    /// Its name, if it is one.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Packing::None => None,
            Packing::Gzip => Some("gzip"),
            Packing::Zstd => Some("zstd"),
        }
    }
}

/// A dump that is open.
pub(crate) struct HprofFile {
    name: String,
    packing: Packing,
    from: From,
}

enum From {
    /// A file that can be read again, and its length.
    File(File, u64),
    /// A pipe or a device, and what was read of it already; None once it has been read.
    Stream(Option<(Vec<u8>, Box<dyn Read + Send>)>),
}

impl HprofFile {
    /// Opens it and looks at its first bytes.
    ///
    /// # Errors
    /// 1 where it cannot be read.
    pub(crate) fn open(dump: &Input) -> Result<HprofFile, Failure> {
        match dump {
            Input::Stdin => HprofFile::stream("stdin".to_owned(), Box::new(io::stdin())),
            Input::File(path) => HprofFile::file(path),
        }
    }

    fn file(path: &Path) -> Result<HprofFile, Failure> {
        let name = path.display().to_string();
        let unreadable = |error| unreadable(&name, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return HprofFile::stream(name, Box::new(file));
        }
        let packing = Packing::of(&head(&mut file).map_err(unreadable)?);
        Ok(HprofFile { name, packing, from: From::File(file, metadata.len()) })
    }

    fn stream(name: String, mut stream: Box<dyn Read + Send>) -> Result<HprofFile, Failure> {
        let head = head(&mut stream).map_err(|error| unreadable(&name, &error))?;
        Ok(HprofFile { packing: Packing::of(&head), name, from: From::Stream(Some((head, stream))) })
    }

    /// What a person calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn packing(&self) -> Packing {
        self.packing
    }

    /// Its length as it is stored, where that is known.
    pub(crate) fn stored(&self) -> Option<u64> {
        match self.from {
            From::File(_, length) => Some(length),
            From::Stream(_) => None,
        }
    }

    /// What it holds, from its beginning, and how many of its stored bytes that has taken so far.
    fn unpacked(&mut self) -> io::Result<(Box<dyn Read + Send>, Arc<AtomicU64>)> {
        let stored: Box<dyn Read + Send> = match &mut self.from {
            From::File(file, _) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            From::Stream(stream) => {
                let (head, rest) = stream.take().ok_or_else(|| io::Error::other("a pipe can be read once only"))?;
                Box::new(Cursor::new(head).chain(rest))
            }
        };
        let taken = Arc::new(AtomicU64::new(0));
        let stored = Counted { from: stored, taken: taken.clone() };
        Ok((unpack(stored, self.packing)?, taken))
    }
}

/// So much is read of a packed file at once.
const PACKED: usize = 128 << 10;

fn unpack(stored: Counted, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::None => Box::new(stored),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED, stored))),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(PACKED, stored))?),
    })
}

/// Counts what is taken from a file.
struct Counted {
    from: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.taken.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// The first bytes, of a short file all.
fn head(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(MAGIC);
    from.take(MAGIC as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(Id::CannotRead, format!("{name} cannot be read"))
        .evidence(error.to_string())
        .remedy("name the file of a heap dump, or - for stdin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn how_a_dump_is_packed_is_told_from_its_first_bytes() {
        assert_eq!(Packing::of(b"JAVA"), Packing::None);
        assert_eq!(Packing::of(b""), Packing::None);
        assert_eq!(Packing::of(&[0x1f, 0x8b, 8, 0]), Packing::Gzip);
        assert_eq!(Packing::of(&[0x28, 0xb5, 0x2f, 0xfd]), Packing::Zstd);
        assert_eq!(Packing::of(&[0x5a, 0x2a, 0x4d, 0x18]), Packing::Zstd);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing.hprof");
        let failure = HprofFile::open(&Input::File(path)).err().unwrap();
        assert!(failure.exit() == Exit::Other && failure.cause.ends_with("missing.hprof cannot be read"), "{failure}");
        let failure = HprofFile::open(&Input::File(directory.path().to_owned())).err().unwrap();
        assert!(failure.cause.ends_with("cannot be read"), "{failure}");
    }
}
