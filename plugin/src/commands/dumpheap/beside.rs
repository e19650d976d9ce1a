//! What dumps of several pods at once share of this machine: memory, and the room on the disk. The room that one of them has
//! been promised is free until its bytes have come, and would be promised to the next one, too.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jattach_protocol::message::Form;

use crate::receive::dump::{Format, Room, held_for};

/// The dumps that are made beside this one. Clones share them.
#[derive(Clone)]
pub(crate) struct Beside {
    /// How many may be made at once.
    pub(super) at_once: usize,
    claims: Rc<RefCell<Vec<Claim>>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Claim {
    path: PathBuf,
    form: Form,
    format: Format,
    expected: u64,
}

impl Claim {
    /// What it still needs; where the filesystem does not tell, nothing is known of any room.
    fn room(&self) -> Option<Room> {
        let Claim { path, form, format, expected } = self;
        Room::beside(path, *form, *format, *expected, held_for(path))
            .inspect_err(|error| tracing::info!(%error, "the room here is not known"))
            .ok()
    }
}

impl Beside {
    pub(crate) fn new(at_once: usize) -> Beside {
        Beside { at_once, claims: Rc::default() }
    }

    /// The room for a dump to `path`, in which the others' claims count, too; from now on it is claimed.
    pub(super) fn claim(&self, path: &Path, form: Form, format: Format, expected: u64) -> (Option<Room>, Claimed) {
        let others: u64 = self.claims.borrow().iter().filter_map(Claim::room).map(|room| room.needed).sum();
        let claim = Claim { path: path.to_owned(), form, format, expected };
        let room = claim.room().map(|room| Room { needed: room.needed.saturating_add(others), ..room });
        self.claims.borrow_mut().push(claim.clone());
        (room, Claimed { claims: Rc::clone(&self.claims), claim })
    }
}

/// Room that is kept for a dump, until this is dropped.
pub(super) struct Claimed {
    claims: Rc<RefCell<Vec<Claim>>>,
    claim: Claim,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut claims = self.claims.borrow_mut();
        if let Some(at) = claims.iter().position(|claim| *claim == self.claim) {
            claims.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_others_will_take_is_not_promised_twice() {
        let directory = tempfile::tempdir().expect("a directory");
        let beside = Beside::new(2);
        let claim = |name: &str| beside.claim(&directory.path().join(name), Form::Stream, Format::Raw, 1000);
        let needed = |room: Option<Room>| room.expect("a filesystem").needed;
        let (alone, first) = claim("a");
        assert_eq!(needed(alone), 1000);
        assert_eq!(needed(claim("b").0), 2000);
        // What has come of it has its room.
        std::fs::write(directory.path().join("a.part"), [0; 300]).expect("room");
        assert_eq!(needed(claim("b").0), 1700);
        drop(first);
        assert_eq!(needed(claim("b").0), 1000);
    }
}
