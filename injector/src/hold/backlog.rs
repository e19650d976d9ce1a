//! A JVM's text on its way from the thread that reads it to the one that sends it. JDK 25 and newer answer from inside a
//! safepoint, where the whole application waits for whoever reads: a thread dump of half a megabyte that nobody read for 6 s
//! stopped it for 6 s. So the text is read as fast as it comes, whatever the client does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jattach_protocol::{Code, Failure};

use super::peer::Gone;
use crate::dump::place::Place;

/// How much waits in memory, which is the pod's, before the rest goes into a file.
const MEMORY: u64 = 1 << 20;

/// How much waits in memory where there is no file to be had.
const MEMORY_ALONE: u64 = 16 << 20;

/// How much waits in a file.
const FILE: u64 = 256 << 20;

/// How long a JVM may wait for the client once there is no room left.
const STALL: Duration = Duration::from_secs(10);

/// Bytes in order, from one thread to another.
#[derive(Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    store: Store,
    /// Where the next byte is put, and where the next one is taken; both 0 again whenever they meet.
    put: u64,
    taken: u64,
    closed: bool,
    failure: Option<Failure>,
}

enum Store {
    Memory(Vec<u8>),
    /// Memory was not enough, and there is no file to be had.
    MemoryAlone(Vec<u8>),
    File(File),
}

impl Default for Store {
    fn default() -> Store {
        Store::Memory(Vec::new())
    }
}

impl Backlog {
    /// Takes `bytes` on.
    ///
    /// # Errors
    /// [`Code::Transfer`] where there is no room for them, and none has come in ten seconds or the receiver has closed.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        let full = |state: &mut State| !state.closed && !state.has_room(bytes.len() as u64);
        let waited = self.changed.wait_timeout_while(self.state(), STALL, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Gone.into());
        }
        if timeout.timed_out() {
            return Err(Failure::new(Code::Transfer, "the client takes the JVM's answer too slowly")
                .evidence("the JVM would have had to wait for it for more than 10 s, and the application with it")
                .remedy("write the output into a file instead of a pager, or come from where the network is faster"));
        }
        self.changed.notify_all();
        state.put(bytes).map_err(|error| stuck(&error))
    }

    /// Waits for bytes and takes some of them: 0 once the backlog is closed and empty.
    ///
    /// # Errors
    /// What it was closed with, after the last byte; [`Code::Transfer`] where the file cannot be read back.
    pub(super) fn take(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let empty = |state: &mut State| !state.closed && state.taken == state.put;
        let mut state = self.changed.wait_while(self.state(), empty).unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
        match state.take(buffer).map_err(|error| stuck(&error))? {
            0 => state.failure.take().map_or(Ok(0), Err),
            count => Ok(count),
        }
    }

    /// Nobody puts any more, for that reason if there is one, or nobody takes any more. Wakes whoever waits.
    pub(super) fn close(&self, failure: Option<Failure>) {
        let mut state = self.state();
        state.closed = true;
        state.failure = failure;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes on in a file where memory is not enough.
    fn has_room(&mut self, count: u64) -> bool {
        if let Store::Memory(bytes) = &mut self.store
            && self.put + count > MEMORY
        {
            let bytes = std::mem::take(bytes);
            self.store = match spill(&bytes) {
                Some(file) => Store::File(file),
                None => Store::MemoryAlone(bytes),
            };
        }
        let limit = match self.store {
            Store::Memory(_) => MEMORY,
            Store::MemoryAlone(_) => MEMORY_ALONE,
            Store::File(_) => FILE,
        };
        self.put + count <= limit
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.store {
            Store::File(file) => file.write_all_at(bytes, self.put)?,
            Store::Memory(memory) | Store::MemoryAlone(memory) => memory.extend_from_slice(bytes),
        }
        self.put += bytes.len() as u64;
        Ok(())
    }

    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.put - self.taken).map_or(buffer.len(), |waiting| waiting.min(buffer.len()));
        match &mut self.store {
            Store::File(file) => file.read_exact_at(&mut buffer[..count], self.taken)?,
            Store::Memory(memory) | Store::MemoryAlone(memory) => {
                let from = usize::try_from(self.taken).unwrap_or(usize::MAX);
                buffer[..count].copy_from_slice(&memory[from..from + count]);
            }
        }
        self.taken += count as u64;
        if self.taken == self.put {
            (self.taken, self.put) = (0, 0);
            if let Store::Memory(memory) | Store::MemoryAlone(memory) = &mut self.store {
                memory.clear();
            }
        }
        Ok(count)
    }
}

/// A file without a name that begins with `bytes`, where there is room for one.
fn spill(bytes: &[u8]) -> Option<File> {
    let place = Place::disk()?;
    place.check(FILE, FILE, 0).ok()?;
    let file = place.create_nameless()?;
    file.write_all_at(bytes, 0).ok()?;
    Some(file)
}

fn stuck(error: &io::Error) -> Failure {
    Failure::new(Code::Transfer, "cannot keep the JVM's answer until the client takes it").evidence(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const PIECE: usize = 32 << 10;
    const MEBIBYTE: usize = 1 << 20;

    /// Bytes that tell where they stood.
    fn piece(number: usize) -> Vec<u8> {
        (0..PIECE).map(|i| (number * 31 + i % 251).to_le_bytes()[0]).collect()
    }

    fn pieces(count: usize) -> Vec<u8> {
        (0..count).flat_map(piece).collect()
    }

    fn drain(backlog: &Backlog) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = vec![0; PIECE + 1];
        while let count @ 1.. = backlog.take(&mut buffer).expect("bytes") {
            all.extend_from_slice(&buffer[..count]);
        }
        all
    }

    #[test]
    fn what_is_put_before_anything_is_taken_comes_out_in_order() {
        let backlog = Backlog::default();
        let count = 5 * MEBIBYTE / PIECE;
        for number in 0..count {
            backlog.put(&piece(number)).expect("room");
        }
        assert!(matches!(backlog.state().store, Store::File(_)), "more than memory holds lies in a file");
        backlog.close(None);
        assert!(drain(&backlog) == pieces(count));
    }

    #[test]
    fn what_is_put_while_others_are_taken_comes_out_in_order() {
        let backlog = Backlog::default();
        let count = 30 * MEBIBYTE / PIECE;
        thread::scope(|scope| {
            let taker = scope.spawn(|| drain(&backlog));
            for number in 0..count {
                backlog.put(&piece(number)).expect("room");
            }
            backlog.close(None);
            assert!(taker.join().expect("no panic") == pieces(count));
        });
        assert_eq!(backlog.take(&mut [0]), Ok(0));
    }

    #[test]
    fn a_receiver_that_keeps_up_never_fills_it() {
        let backlog = Backlog::default();
        let mut buffer = vec![0; PIECE];
        backlog.state().store = Store::MemoryAlone(Vec::new());
        for number in 0..17 * MEBIBYTE / PIECE {
            backlog.put(&piece(number)).expect("room");
            assert_eq!(backlog.take(&mut buffer), Ok(PIECE));
        }
    }

    #[test]
    fn without_a_file_the_memory_has_a_limit_and_a_receiver_that_has_gone_is_told_of() {
        let backlog = Backlog::default();
        backlog.state().store = Store::MemoryAlone(Vec::new());
        for number in 0..16 * MEBIBYTE / PIECE {
            backlog.put(&piece(number)).expect("room");
        }
        assert!(!backlog.state().has_room(1));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| backlog.put(&piece(0)));
            backlog.close(None);
            assert!(waiting.join().expect("no panic").is_err());
        });
    }

    #[test]
    fn the_reason_of_its_end_comes_after_the_last_byte() {
        let backlog = Backlog::default();
        backlog.put(b"x").expect("room");
        backlog.close(Some(Failure::new(Code::NoAnswer, "the JVM does not answer")));
        let mut buffer = [0; 2];
        assert_eq!(backlog.take(&mut buffer), Ok(1));
        assert_eq!(backlog.take(&mut buffer).expect_err("a failure").code, Code::NoAnswer);
    }
}
