//! The pieces of an upload between the thread that hears them and the job that stores them. (std's channels are three
//! kinds in one, and would add 5 KB to a binary that every pod pulls.)

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many bytes may wait to be stored: as many as the client may have unacknowledged, and a piece more.
const ROOM: usize = 2 << 20;

/// A piece of an upload, in the order it was sent.
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// Pieces on their way, until one side closes.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    closed: bool,
}

impl Inbox {
    /// Puts a piece in; false where there is no room. It never waits: who hears the client has to go on hearing it.
    pub(super) fn put(&self, piece: Piece) -> bool {
        let mut state = self.state();
        let waiting: usize = state.pieces.iter().map(|piece| piece.bytes.len()).sum();
        let room = waiting + piece.bytes.len() <= ROOM && state.pieces.len() < ROOM;
        if room && !state.closed {
            state.pieces.push_back(piece);
            self.changed.notify_all();
        }
        room
    }

    /// The next piece; none once the inbox is closed.
    pub(super) fn take(&self) -> Option<Piece> {
        let waiting = |state: &mut State| !state.closed && state.pieces.is_empty();
        let mut state = self.changed.wait_while(self.state(), waiting).unwrap_or_else(PoisonError::into_inner);
        state.pieces.pop_front()
    }

    /// Nobody puts any more, or nobody takes any more. Wakes whoever waits.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
