//! A heap dump reader's pass over a dump at rest, to its end or to where it breaks.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use jattach_protocol::hprof::{Error as Structure, Lengths, Reader, Summary, Visitor};

use super::{HprofFile, Packing, blocks, unreadable};
use crate::error::Failure;

/// What a pass found.
pub(crate) struct Pass<V> {
    /// Whom it told.
    pub(crate) visitor: V,
    /// What was read, of a dump that breaks up to there.
    pub(crate) summary: Summary,
    /// Why the dump is not whole, if it is not.
    pub(crate) broken: Option<Broken>,
}

/// Why a dump is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Its records are not.
    #[error(transparent)]
    Structure(#[from] Structure),
    /// What it is packed in is not.
    #[error("the {} around the dump breaks after byte {offset} of it: {source}", packing.name().unwrap_or("stream"))]
    Packing { packing: Packing, offset: u64, source: io::Error },
    /// It is something else: this is what it begins with, unpacked.
    #[error("{}", no_dump(*packing, start))]
    NoDump { packing: Packing, start: Vec<u8> },
}

impl Broken {
    /// How many bytes of the dump, counted as unpacked, are as they should be.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Broken::Structure(error) => error.offset(),
            Broken::Packing { offset, .. } => *offset,
            Broken::NoDump { .. } => 0,
        }
    }
}

/// What every heap dump begins with, and so much of what it begins with instead is shown.
const BEGINNING: &[u8] = b"JAVA PROFILE 1.0.";
const SHOWN: usize = 19;

/// Whether a dump may have been cut off there; of one that was cut off before its first byte nothing is left.
fn is_beginning(start: &[u8]) -> bool {
    let length = start.len().min(BEGINNING.len());
    start[..length] == BEGINNING[..length]
}

fn no_dump(packing: Packing, start: &[u8]) -> String {
    let unpacked = packing.name().map_or_else(String::new, |name| format!("unpacked by {name} "));
    format!("{unpacked}it begins with \"{}\", and a heap dump with \"JAVA PROFILE 1.0.2\"", start.escape_ascii())
}

/// Reads the dump as far as it is sound, and tells `visitor` what it meets and `far` how many of its stored bytes are read.
///
/// # Errors
/// 1 where the file cannot be read. A dump that is not whole is none: see [`Pass::broken`].
pub(crate) fn read<V: Visitor>(dump: &mut HprofFile, visitor: V, far: &dyn Fn(u64)) -> Result<Pass<V>, Failure> {
    let mut reader = Reader::with(visitor, Lengths::Final);
    let mut start = Vec::with_capacity(SHOWN);
    let taken = dump.unpacked().and_then(|(unpacked, stored)| {
        blocks::for_each(unpacked, |bytes| {
            far(stored.load(Ordering::Relaxed));
            start.extend(bytes.iter().take(SHOWN - start.len()));
            match reader.push(bytes) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
    });
    let summary = *reader.summary();
    let is_other = !is_beginning(&start);
    let packing = dump.packing;
    let broken = match (taken, reader.finish()) {
        (Ok(()), Ok(_)) => None,
        (Ok(()), Err(Structure::NotHprof { .. })) => Some(Broken::NoDump { packing, start }),
        (Ok(()), Err(_)) if is_other => Some(Broken::NoDump { packing, start }),
        (Ok(()), Err(error)) => Some(error.into()),
        (Err(error), _) => Some(not_unpacked(dump, summary.bytes, error)?),
    };
    Ok(Pass { visitor: reader.into_visitor(), summary, broken })
}

/// What failed: the packing, if the error is not the operating system's.
fn not_unpacked(dump: &HprofFile, offset: u64, source: io::Error) -> Result<Broken, Failure> {
    if source.raw_os_error().is_some() || dump.packing == Packing::None {
        return Err(unreadable(&dump.name, &source));
    }
    Ok(Broken::Packing { packing: dump.packing, offset, source })
}
