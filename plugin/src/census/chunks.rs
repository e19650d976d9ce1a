//! Which objects lie where in the dump, roughly: so that single ones are found again without reading all of it.

use std::ops::Range;

/// A chunk has about so many bytes.
const STEP: u64 = 1 << 20;
/// Enough for 256 GiB. What comes after is not found again.
const MOST: usize = 1 << 18;

/// Sub-records of one heap record, and the least and the greatest identifier among their objects. A JVM writes its objects
/// roughly in the order of their addresses, which are their identifiers: most chunks have a range of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) place: Range<u64>,
    pub(super) low: u64,
    pub(super) high: u64,
}

#[derive(Default)]
pub(super) struct Chunks {
    closed: Vec<Chunk>,
    open: Option<Chunk>,
}

impl Chunks {
    /// An object's sub-record begins at `offset`.
    #[inline]
    pub(super) fn object(&mut self, offset: u64, id: u64) {
        match &mut self.open {
            Some(chunk) if offset < chunk.place.end => {
                chunk.low = chunk.low.min(id);
                chunk.high = chunk.high.max(id);
            }
            _ => self.begin(offset, id),
        }
    }

    #[cold]
    fn begin(&mut self, offset: u64, id: u64) {
        self.end(offset);
        self.open = Some(Chunk { place: offset..offset + STEP, low: id, high: id });
    }

    /// The heap record, or what there is of it, ends at `offset`.
    pub(super) fn end(&mut self, offset: u64) {
        if let Some(mut chunk) = self.open.take()
            && self.closed.len() < MOST
            // A dump may prove to be wrong before the last of what was read of it.
            && chunk.place.start < offset
        {
            chunk.place.end = offset;
            self.closed.push(chunk);
        }
    }

    /// In the order of the dump.
    pub(super) fn list(&self) -> &[Chunk] {
        &self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_part_at_records_and_after_a_step() {
        let mut chunks = Chunks::default();
        chunks.object(100, 7);
        chunks.object(200, 5);
        chunks.object(200 + STEP, 9);
        chunks.end(300 + STEP);
        chunks.object(400 + STEP, 1);
        chunks.end(500 + STEP);
        chunks.end(600 + STEP);
        chunks.object(700 + STEP, 1);
        chunks.end(650 + STEP);
        let list: Vec<_> = chunks.list().iter().map(|chunk| (chunk.place.clone(), chunk.low, chunk.high)).collect();
        assert_eq!(list, [(100..200 + STEP, 5, 7), (200 + STEP..300 + STEP, 9, 9), (400 + STEP..500 + STEP, 1, 1)]);
    }
}
