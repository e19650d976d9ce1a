//! The largest arrays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jattach_protocol::hprof::Type;

/// An array. The order is by size, then by place in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Array {
    /// Shallow.
    pub(super) bytes: u64,
    offset: Reverse<u64>,
    pub(super) id: u64,
    /// Elements.
    pub(super) length: u32,
    pub(super) elements: Elements,
}

/// What an array's type follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Elements {
    /// The identifier of the array's class.
    Objects(u64),
    /// The code of a primitive type.
    Values(u8),
}

/// So many of them.
pub(super) struct Largest {
    most: usize,
    kept: BinaryHeap<Reverse<Array>>,
    /// What is no larger is none of them.
    bar: u64,
}

impl Largest {
    pub(super) fn new(most: usize) -> Largest {
        Largest { most, kept: BinaryHeap::new(), bar: 0 }
    }

    #[inline]
    pub(super) fn see(&mut self, bytes: u64, offset: u64, id: u64, length: u32, elements: Elements) {
        if bytes > self.bar {
            self.keep(Array { bytes, offset: Reverse(offset), id, length, elements });
        }
    }

    #[cold]
    fn keep(&mut self, array: Array) {
        self.kept.push(Reverse(array));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
        if self.kept.len() == self.most {
            self.bar = self.kept.peek().map_or(0, |Reverse(least)| least.bytes);
        }
    }

    /// They, the largest first.
    pub(super) fn list(&self) -> Vec<Array> {
        let mut list: Vec<Array> = self.kept.iter().map(|Reverse(array)| *array).collect();
        list.sort_unstable_by(|a, b| b.cmp(a));
        list
    }
}

impl Elements {
    pub(super) fn values(kind: Type) -> Elements {
        Elements::Values(kind as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay_and_of_equals_the_first() {
        let mut largest = Largest::new(3);
        for (at, bytes) in [16, 40, 24, 40, 40, 16, 100, 40].into_iter().enumerate() {
            let at = at as u64;
            largest.see(bytes, at, at + 1000, 1, Elements::values(Type::Byte));
        }
        let list: Vec<(u64, u64)> = largest.list().iter().map(|array| (array.bytes, array.id)).collect();
        assert_eq!(list, [(100, 1006), (40, 1001), (40, 1003)]);
    }
}
