//! Second looks at parts of a dump at rest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::{From, HprofFile, Packing};
use crate::census;

/// A file that is read again, forwards from its beginning.
pub(crate) struct Again<'d> {
    dump: &'d mut HprofFile,
    from: Way,
}

enum Way {
    /// A raw file: any place at once.
    Raw(File),
    /// A packed one, unpacked up to that byte of the dump.
    Unpacked(Box<dyn Read + Send>, u64),
    /// Not yet rewound.
    None,
}

impl HprofFile {
    /// A second look at it, unless it is a pipe.
    pub(crate) fn again(&mut self) -> Option<Again<'_>> {
        match self.from {
            From::File(..) => Some(Again { dump: self, from: Way::None }),
            From::Stream(_) => None,
        }
    }
}

impl census::Again for Again<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        self.from = match (&self.dump.from, self.dump.packing) {
            (From::File(file, _), Packing::None) => Way::Raw(file.try_clone()?),
            _ => Way::Unpacked(self.dump.unpacked()?.0, 0),
        };
        Ok(())
    }

    fn part(&mut self, place: Range<u64>) -> io::Result<impl Read> {
        let Range { start, end } = place;
        let from: &mut dyn Read = match &mut self.from {
            Way::Raw(file) => {
                file.seek(SeekFrom::Start(start))?;
                file
            }
            Way::Unpacked(unpacked, at) => {
                io::copy(&mut unpacked.by_ref().take(start - *at), &mut io::sink())?;
                *at = end;
                unpacked
            }
            Way::None => return Err(io::Error::other("not rewound")),
        };
        Ok(from.take(end - start))
    }
}
