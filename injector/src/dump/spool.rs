//! Where blocks wait that the client has not acknowledged and memory has no room for: a file without a name in the
//! injector's own /tmp, which vanishes with the process, and which shrinks from its front as blocks are let go.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::{io, mem};

use jattach_protocol::message::{Limits, MOST_OF_LIMITED};
use nix::fcntl::{FallocateFlags, fallocate};

use super::place::Place;

/// Blocks begin where a page does: a hole takes whole ones.
pub(super) const PAGE: u64 = 4096;

/// After so many bytes the filesystem is looked at again: others fill it, too.
const LOOK: u64 = 64 << 20;

/// The most that may lie in the spool, as far as the pod's limits go.
pub(crate) fn limit(limits: &Limits) -> u64 {
    match limits {
        Limits { spool, .. } if *spool != u64::MAX => *spool,
        Limits { storage: 0, .. } => u64::MAX,
        Limits { storage, .. } => (storage / 4).min(MOST_OF_LIMITED),
    }
}

/// How much lies in the file, as far as there may be one, and where. Nothing here waits for the disk: that is for the one
/// thread that [reserves](Spool::reserve) and [gives back](Spool::let_go).
pub(crate) struct Spool {
    store: Option<Arc<Store>>,
    limit: u64,
    /// Where the next block is put.
    end: u64,
    /// Bytes that are on the disk, in whole pages.
    used: u64,
    /// What of that nobody wants any more.
    unwanted: Vec<Range<u64>>,
    /// Up to which `end` the filesystem was last found to have room.
    looked: u64,
    /// The filesystem makes no holes: what is let go stays on the disk until all of it is.
    solid: bool,
    /// Why there was no room when it was last asked for.
    lacking: Option<&'static str>,
    /// Why nothing more is put here.
    broken: Option<String>,
}

/// Where a block may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    At(u64),
    /// It is to be [looked](Store::has_room) first whether the disk has room, and [said](Spool::looked).
    Unknown,
    None,
}

/// What is to be given back to the disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unwanted {
    ranges: Vec<Range<u64>>,
    /// That is all there is.
    all: bool,
}

impl Unwanted {
    fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

impl Spool {
    /// A spool within the limits; without a file where none may be made.
    pub(crate) fn new(limits: &Limits) -> Spool {
        let limit = limit(limits);
        let store = if limit == 0 { None } else { Store::create().map(Arc::new) };
        let unwanted = Vec::new();
        Spool { store, limit, end: 0, used: 0, unwanted, looked: 0, solid: false, lacking: None, broken: None }
    }

    /// Room for `length` bytes.
    pub(crate) fn reserve(&mut self, length: usize) -> Room {
        let length = (length as u64).next_multiple_of(PAGE);
        if self.store.is_none() || self.broken.is_some() {
            return Room::None;
        }
        if self.used() + length > self.limit {
            self.lacking = Some("is full");
            return Room::None;
        }
        if self.end + length > self.looked {
            return Room::Unknown;
        }
        let at = self.end;
        self.end += length;
        self.used += length;
        self.lacking = None;
        Room::At(at)
    }

    /// What the disk was found to have.
    pub(crate) fn looked(&mut self, has_room: bool) {
        if has_room {
            self.looked = self.end + LOOK;
        } else {
            self.lacking = Some("takes no more, because a fifth of its disk stays free");
        }
    }

    /// The bytes at `at` are not wanted any more. They are on the disk until they are [given back](Spool::let_go).
    pub(crate) fn release(&mut self, at: u64, length: usize) {
        let end = at + (length as u64).next_multiple_of(PAGE);
        match self.unwanted.last_mut() {
            // The newest are put there first.
            Some(last) if last.start == end => last.start = at,
            Some(last) if last.end == at => last.end = end,
            _ => self.unwanted.push(at..end),
        }
    }

    /// What is to be given back, if there is any.
    pub(crate) fn let_go(&mut self) -> Option<Unwanted> {
        if self.unwanted.is_empty() {
            return None;
        }
        let mut unwanted = Unwanted { ranges: mem::take(&mut self.unwanted), all: false };
        unwanted.all = unwanted.bytes() == self.used;
        Some(unwanted)
    }

    /// Whether something is to be given back.
    pub(crate) fn has_unwanted(&self) -> bool {
        !self.unwanted.is_empty()
    }

    /// That was given back, as [`Store::give_back`] has told.
    pub(crate) fn gone(&mut self, unwanted: &Unwanted, made_holes: bool) {
        self.used -= unwanted.bytes();
        self.solid |= !made_holes;
        if unwanted.all {
            (self.end, self.looked) = (0, 0);
        }
    }

    /// The file, to read what was put.
    pub(crate) fn store(&self) -> Option<Arc<Store>> {
        self.store.clone()
    }

    /// Gives up the file.
    pub(crate) fn end(&mut self) {
        self.store = None;
        self.unwanted = Vec::new();
    }

    /// Takes no more, for that reason.
    pub(crate) fn close(&mut self, error: &io::Error) {
        self.broken.get_or_insert(error.to_string());
    }

    /// Bytes on the disk.
    pub(crate) fn used(&self) -> u64 {
        if self.solid { self.end } else { self.used }
    }

    /// How it stands, for who wonders why there is no room.
    pub(crate) fn describe(&self) -> String {
        let used = self.used() >> 20;
        match (&self.broken, &self.store, self.lacking) {
            (Some(error), _, _) => format!("the pod's spool has {used} MiB and takes no more: {error}"),
            (None, Some(_), Some(lacking)) => format!("the pod's spool has {used} MiB and {lacking}"),
            (None, Some(_), None) => format!("the pod's spool has {used} MiB, and its disk is slow"),
            (None, None, _) => "there is no spool in the pod".to_owned(),
        }
    }
}

/// The file itself. All that is done to it may take as long as a disk that hangs.
pub(crate) struct Store {
    place: Place,
    file: File,
}

impl Store {
    fn create() -> Option<Store> {
        let place = Place::disk()?;
        if place.is_in_memory() {
            return None;
        }
        let file = place.create_nameless()?;
        // A filesystem that cannot be written to after all shows it here.
        file.write_all_at(&[0], 0).and_then(|()| file.set_len(0)).ok()?;
        Some(Store { place, file })
    }

    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    pub(crate) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Whether the disk has room for some more blocks.
    pub(crate) fn has_room(&self) -> bool {
        self.place.has_room(LOOK)
    }

    /// Gives back what nobody wants; false where the filesystem makes no holes.
    pub(crate) fn give_back(&self, unwanted: &Unwanted) -> bool {
        if unwanted.all {
            // Also on a filesystem that knows no holes.
            return self.file.set_len(0).is_ok();
        }
        unwanted.ranges.iter().all(|range| punch(&self.file, range.start, range.end - range.start))
    }
}

/// Gives bytes of a file back to the disk; false where that cannot be done.
pub(super) fn punch(file: &File, at: u64, length: u64) -> bool {
    let (Ok(at), Ok(length)) = (i64::try_from(at), i64::try_from(length)) else { return false };
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file.as_fd(), hole, at, length).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn spool(limit: u64) -> Spool {
        Spool::new(&Limits { spool: limit, ..Limits::default() })
    }

    fn put(spool: &mut Spool, bytes: &[u8]) -> u64 {
        let store = spool.store().expect("a file");
        let at = loop {
            match spool.reserve(bytes.len()) {
                Room::At(at) => break at,
                Room::Unknown => spool.looked(store.has_room()),
                Room::None => panic!("{}", spool.describe()),
            }
        };
        store.write(bytes, at).expect("written");
        at
    }

    fn give_back(spool: &mut Spool) {
        let unwanted = spool.let_go().expect("something nobody wants");
        let made_holes = spool.store().expect("a file").give_back(&unwanted);
        spool.gone(&unwanted, made_holes);
    }

    fn on_disk(spool: &Spool) -> u64 {
        spool.store().expect("a file").file.metadata().expect("its size").blocks() * 512
    }

    #[test]
    fn what_is_let_go_is_given_back_to_the_disk_and_to_the_limit() {
        let mut spool = spool(3 << 20);
        let first = put(&mut spool, &[1; 1 << 20]);
        let second = put(&mut spool, &[2; 1 << 20]);
        put(&mut spool, &[3; 1 << 20]);
        assert_eq!(spool.reserve(1), Room::None);
        assert_eq!(spool.describe(), "the pod's spool has 3 MiB and is full");
        spool.release(first, 1 << 20);
        assert_eq!((spool.used(), on_disk(&spool) >> 20), (3 << 20, 3), "that takes time, and is for another thread");
        give_back(&mut spool);
        assert_eq!(spool.used(), 2 << 20);
        assert!(on_disk(&spool) < 5 << 19, "the front is a hole");
        let again = put(&mut spool, &[4; 1 << 20]);
        let store = spool.store().expect("a file");
        let mut byte = [0];
        store.read(&mut byte, second).expect("the second block");
        assert_eq!(byte, [2]);
        store.read(&mut byte, again).expect("the last block");
        assert_eq!(byte, [4]);
    }

    #[test]
    fn neighbours_are_given_back_as_one() {
        let mut spool = spool(u64::MAX);
        let places: Vec<u64> = (0..6).map(|byte| put(&mut spool, &[byte; 5000])).collect();
        for place in [2, 1, 0, 4, 5] {
            spool.release(places[place], 5000);
        }
        let unwanted = spool.let_go().expect("something");
        assert_eq!(unwanted, Unwanted { ranges: vec![0..3 * 8192, 4 * 8192..6 * 8192], all: false });
        assert!(!spool.has_unwanted());
    }

    #[test]
    fn an_empty_spool_begins_anew() {
        let mut spool = spool(1 << 20);
        for _ in 0..3 {
            let at = put(&mut spool, &[1; 1 << 20]);
            assert_eq!(at, 0);
            spool.release(at, 1 << 20);
            give_back(&mut spool);
            assert_eq!((spool.used(), on_disk(&spool)), (0, 0));
        }
    }

    #[test]
    fn without_a_limit_above_zero_there_is_no_file() {
        assert_eq!(spool(0).reserve(1), Room::None);
        assert!(spool(0).store().is_none());
    }

    #[test]
    fn a_pod_with_a_storage_limit_gives_a_quarter_of_it_and_a_gibibyte_at_the_most() {
        let of = |storage, spool| limit(&Limits { storage, spool, ..Limits::default() });
        assert_eq!(of(0, u64::MAX), u64::MAX);
        assert_eq!(of(100 << 20, u64::MAX), 25 << 20);
        assert_eq!(of(100 << 30, u64::MAX), 1 << 30);
        assert_eq!(of(100 << 20, 50 << 20), 50 << 20, "the user has the last word");
    }
}
