//! Where in an instance's body its references lie, and where the values that are to be zero.

use super::error::Error;

/// The most classes remembered: ten times what a large application loads. 40 bytes each.
const MAX_CLASSES: usize = 1 << 18;
/// The most runs remembered, own ones and those of whole instances: some 4 of 4 bytes each are usual for a class.
const MAX_RUNS: usize = 1 << 20;
/// The most super classes of a class.
const MAX_DEPTH: usize = 1 << 10;

/// Bytes of fields that stay, and bytes after them that become zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) keep: u16,
    pub(super) zero: u16,
}

/// A range of all runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) begin: u32,
    pub(super) end: u32,
}

/// A whole instance: the fields of its class, then its super class's, and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) runs: Span,
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Class {
    id: u64,
    super_class: u64,
    own: Span,
    /// Once an instance was met.
    whole: Option<Whole>,
}

/// The classes described so far. Those of a hostile dump take no more than 20 MiB.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    classes: Vec<Class>,
    /// A hash table: a class's place in `classes` plus 1, or 0. Its length is a power of two, at least twice theirs.
    slots: Vec<u32>,
    /// Of all classes, and at the end those of the class being described.
    runs: Vec<Run>,
    /// Where these begin.
    open: usize,
}

impl Layouts {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Begins the description of a class.
    pub(super) fn open(&mut self) {
        self.runs.truncate(self.open);
    }

    /// The next field of the class being described, of so many bytes.
    pub(super) fn field(&mut self, bytes: u64, zero: bool) {
        let bytes = u16::try_from(bytes).expect("a value has 8 bytes at the most");
        if zero { self.append(0, bytes) } else { self.append(bytes, 0) }
    }

    /// Ends the description; `super_class` is 0 where there is none.
    pub(super) fn close(&mut self, id: u64, super_class: u64, offset: u64) -> Result<(), Error> {
        let own = self.span(self.open);
        if let Some(known) = self.find(id) {
            let known = &self.classes[known];
            let same = known.super_class == super_class && self.runs_of(known.own) == self.runs_of(own);
            return if same { Ok(()) } else { Err(Error::Twice { offset, class: id }) };
        }
        if self.classes.len() == MAX_CLASSES || self.runs.len() > MAX_RUNS {
            return Err(Error::TooMany { offset });
        }
        self.classes.push(Class { id, super_class, own, whole: None });
        self.open = self.runs.len();
        self.index();
        Ok(())
    }

    /// The layout of this class's instances, if it has been described.
    #[inline]
    pub(super) fn whole(&mut self, id: u64, offset: u64) -> Result<Option<Whole>, Error> {
        let Some(class) = self.find(id) else { return Ok(None) };
        match self.classes[class].whole {
            Some(whole) => Ok(Some(whole)),
            None => self.resolve(class, offset).map(Some),
        }
    }

    #[inline]
    pub(super) fn run(&self, place: u32) -> Run {
        self.runs[place as usize]
    }

    fn runs_of(&self, span: Span) -> &[Run] {
        &self.runs[span.begin as usize..span.end as usize]
    }

    /// Joins a class's own fields with those that it inherits.
    #[cold]
    fn resolve(&mut self, class: usize, offset: u64) -> Result<Whole, Error> {
        self.open();
        let mut next = class;
        let mut depth = 0;
        loop {
            let Class { super_class, own, .. } = self.classes[next];
            for run in own.begin..own.end {
                let Run { keep, zero } = self.run(run);
                self.append(keep, zero);
            }
            if super_class == 0 {
                break;
            }
            if self.runs.len() > MAX_RUNS {
                return Err(Error::TooMany { offset });
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(Error::TooDeep { class: self.classes[class].id, most: MAX_DEPTH });
            }
            next = self.find(super_class).ok_or(Error::NoLayout { offset, class: super_class })?;
        }
        self.remember(class, offset)
    }

    /// Keeps the runs collected for whole instances of this class, unless they are its own.
    fn remember(&mut self, class: usize, offset: u64) -> Result<Whole, Error> {
        let (own, mut runs) = (self.classes[class].own, self.span(self.open));
        let bytes = self.runs_of(runs).iter().map(|run| u64::from(run.keep) + u64::from(run.zero)).sum();
        if self.runs_of(runs) == self.runs_of(own) {
            self.open();
            runs = own;
        } else if self.runs.len() > MAX_RUNS {
            return Err(Error::TooMany { offset });
        }
        self.open = self.runs.len();
        let whole = Whole { runs, bytes };
        self.classes[class].whole = Some(whole);
        Ok(whole)
    }

    /// Adds bytes to the last run of those still open, or begins another.
    fn append(&mut self, keep: u16, zero: u16) {
        if let Some(last) = self.runs[self.open..].last_mut()
            && (keep == 0 || last.zero == 0)
            && let (Some(kept), Some(zeroed)) = (last.keep.checked_add(keep), last.zero.checked_add(zero))
        {
            *last = Run { keep: kept, zero: zeroed };
        } else if keep > 0 || zero > 0 {
            self.runs.push(Run { keep, zero });
        }
    }

    fn span(&self, begin: usize) -> Span {
        // No more than MAX_RUNS, and what one class or its super classes add to them.
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Span { begin: place(begin), end: place(self.runs.len()) }
    }

    /// The place of a class, or of nothing, in `slots`.
    #[inline]
    fn slot(&self, id: u64) -> usize {
        let mask = self.slots.len() - 1;
        // Identifiers are addresses: their low bits are all alike, the high half of a product depends on all of them.
        let hash = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut slot = usize::try_from(hash).unwrap_or(0) & mask;
        while let Some(class) = self.class_in(slot)
            && self.classes[class].id != id
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[inline]
    fn class_in(&self, slot: usize) -> Option<usize> {
        (self.slots[slot] as usize).checked_sub(1)
    }

    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        if self.slots.is_empty() { None } else { self.class_in(self.slot(id)) }
    }

    /// Puts the last class into the table, which may have to grow for it.
    fn index(&mut self) {
        let first = if self.classes.len() * 2 > self.slots.len() {
            self.slots = vec![0; (self.classes.len() * 4).next_power_of_two()];
            0
        } else {
            self.classes.len() - 1
        };
        for class in first..self.classes.len() {
            let slot = self.slot(self.classes[class].id);
            self.slots[slot] = u32::try_from(class + 1).unwrap_or(0);
        }
    }
}
