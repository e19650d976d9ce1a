//! Where blocks wait that the client has not acknowledged and memory has no room for: a file without a name in the
//! injector's own /tmp, which vanishes with the process, and which shrinks from its front as blocks are let go.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use jattach_protocol::message::Limits;
use nix::fcntl::{FallocateFlags, fallocate};

use super::place::Place;

/// Blocks begin where a page does: a hole takes whole ones.
pub(super) const PAGE: u64 = 4096;

/// After so many bytes the filesystem is looked at again: others fill it, too.
const LOOK: u64 = 64 << 20;

/// The most that a pod with a limit on its ephemeral storage is asked for.
const MOST_OF_LIMITED: u64 = 1 << 30;

/// The most that may lie in the spool, as far as the pod's limits go.
pub(crate) fn limit(limits: &Limits) -> u64 {
    match limits {
        Limits { spool, .. } if *spool != u64::MAX => *spool,
        Limits { storage: 0, .. } => u64::MAX,
        Limits { storage, .. } => (storage / 4).min(MOST_OF_LIMITED),
    }
}

/// The file, as far as there may be one.
pub(crate) struct Spool {
    store: Option<Store>,
    limit: u64,
    /// Where the next block is put.
    end: u64,
    /// Bytes that are not let go, in whole pages.
    used: u64,
    /// Up to which `end` the filesystem was last found to have room.
    looked: u64,
    /// The filesystem makes no holes: what is let go stays on the disk until all of it is.
    solid: bool,
    /// Why nothing more is put here.
    broken: Option<String>,
}

struct Store {
    place: Place,
    file: Arc<File>,
}

impl Spool {
    /// A spool within the limits; without a file where none may be made.
    pub(crate) fn new(limits: &Limits) -> Spool {
        let limit = limit(limits);
        let store = if limit == 0 { None } else { Store::create() };
        Spool { store, limit, end: 0, used: 0, looked: 0, solid: false, broken: None }
    }

    /// Room for `length` bytes: the file, and where in it they go. None while there is none.
    pub(crate) fn reserve(&mut self, length: usize) -> Option<(Arc<File>, u64)> {
        let length = (length as u64).next_multiple_of(PAGE);
        let store = self.store.as_ref()?;
        if self.broken.is_some() || self.used() + length > self.limit {
            return None;
        }
        if self.end + length > self.looked {
            if !store.place.has_room(LOOK) {
                return None;
            }
            self.looked = self.end + LOOK;
        }
        let at = self.end;
        self.end += length;
        self.used += length;
        Some((Arc::clone(&store.file), at))
    }

    /// The bytes at `at` are not wanted any more.
    pub(crate) fn release(&mut self, at: u64, length: usize) {
        let length = (length as u64).next_multiple_of(PAGE);
        self.used -= length;
        let Some(store) = &self.store else { return };
        if self.used == 0 {
            // All of it, also on a filesystem that knows no holes.
            let _ = store.file.set_len(0);
            (self.end, self.looked) = (0, 0);
            return;
        }
        self.solid |= !punch(&store.file, at, length);
    }

    /// The file, to read what was put.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.store.as_ref().map(|store| Arc::clone(&store.file))
    }

    /// Gives up the file.
    pub(crate) fn end(&mut self) {
        self.store = None;
    }

    /// Takes no more, for that reason.
    pub(crate) fn close(&mut self, error: &std::io::Error) {
        self.broken.get_or_insert(error.to_string());
    }

    /// Bytes on the disk.
    pub(crate) fn used(&self) -> u64 {
        if self.solid { self.end } else { self.used }
    }

    /// How it stands, for who wonders why there is no room.
    pub(crate) fn describe(&self) -> String {
        let used = self.used() >> 20;
        match (&self.broken, &self.store) {
            (Some(error), _) => format!("the pod's spool has {used} MiB and takes no more: {error}"),
            (None, Some(_)) => format!("the pod's spool is full with {used} MiB"),
            (None, None) => "there is no spool in the pod".to_owned(),
        }
    }
}

/// Gives bytes of a file back to the disk; false where that cannot be done.
pub(super) fn punch(file: &File, at: u64, length: u64) -> bool {
    let (Ok(at), Ok(length)) = (i64::try_from(at), i64::try_from(length)) else { return false };
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file.as_fd(), hole, at, length).is_ok()
}

impl Store {
    fn create() -> Option<Store> {
        let place = Place::own().ok()?;
        if place.is_in_memory() {
            return None;
        }
        let file = place.create_nameless()?;
        // A filesystem that cannot be written to after all shows it here.
        file.write_all_at(&[0], 0).and_then(|()| file.set_len(0)).ok()?;
        Some(Store { place, file: Arc::new(file) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn spool(limit: u64) -> Spool {
        Spool::new(&Limits { spool: limit, ..Limits::default() })
    }

    fn put(spool: &mut Spool, bytes: &[u8]) -> u64 {
        let (file, at) = spool.reserve(bytes.len()).expect("room");
        file.write_all_at(bytes, at).expect("written");
        at
    }

    #[test]
    fn what_is_let_go_is_given_back_to_the_disk_and_to_the_limit() {
        let mut spool = spool(3 << 20);
        let first = put(&mut spool, &[1; 1 << 20]);
        let second = put(&mut spool, &[2; 1 << 20]);
        put(&mut spool, &[3; 1 << 20]);
        assert!(spool.reserve(1).is_none(), "it is full");
        spool.release(first, 1 << 20);
        let file = spool.file().expect("a file");
        assert!(file.metadata().expect("its size").blocks() * 512 < 5 << 19, "the front is a hole");
        let again = put(&mut spool, &[4; 1 << 20]);
        let mut byte = [0];
        file.read_exact_at(&mut byte, second).expect("the second block");
        assert_eq!(byte, [2]);
        file.read_exact_at(&mut byte, again).expect("the last block");
        assert_eq!(byte, [4]);
    }

    #[test]
    fn an_empty_spool_begins_anew() {
        let mut spool = spool(1 << 20);
        for _ in 0..3 {
            let at = put(&mut spool, &[1; 1 << 20]);
            assert_eq!(at, 0);
            spool.release(at, 1 << 20);
            assert_eq!(spool.used(), 0);
        }
    }

    #[test]
    fn without_a_limit_above_zero_there_is_no_file() {
        assert!(spool(0).reserve(1).is_none());
        assert!(spool(0).file().is_none());
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
