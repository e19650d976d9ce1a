//! A JVM's text on its way from the thread that reads it to the one that sends it. JDK 25 and newer answer from inside a
//! safepoint, where the whole application waits for whoever reads: a thread dump of half a megabyte that nobody read for 6 s
//! stopped it for 6 s. So the text is read as fast as it comes, whatever the client does.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jattach_protocol::{Code, Failure};

use super::peer::Gone;
use crate::dump::place::Place;

/// How much waits in memory, which is the pod's, before the rest goes into a file.
const MEMORY: usize = 1 << 20;

/// How much waits in memory where there is no file to be had.
const MEMORY_ALONE: usize = 16 << 20;

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
    memory: VecDeque<u8>,
    /// What does not fit into memory, and how much of it is written and read again.
    file: Option<File>,
    written: u64,
    read: u64,
    /// No file can be made.
    memory_alone: bool,
    closed: bool,
}

impl Backlog {
    /// Takes `bytes` on.
    ///
    /// # Errors
    /// [`Code::Transfer`] where there is no room for them, and none has come in ten seconds or the receiver has closed.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        let full = |state: &mut State| !state.closed && !state.has_room(bytes.len());
        let waited = self.changed.wait_timeout_while(self.state(), STALL, full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Gone.into());
        }
        if full(&mut state) {
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
    /// [`Code::Transfer`] where the file cannot be read back.
    pub(super) fn take(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let empty = |state: &mut State| !state.closed && state.is_empty();
        let mut state = self.changed.wait_while(self.state(), empty).unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
        state.take(buffer).map_err(|error| stuck(&error))
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

impl State {
    fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.read == self.written
    }

    /// Makes the file when the first byte wants to go there.
    fn has_room(&mut self, count: usize) -> bool {
        if self.read == self.written && self.memory.len() + count <= MEMORY {
            return true;
        }
        if self.file.is_none() && !self.memory_alone {
            self.file = spill();
            self.memory_alone = self.file.is_none();
        }
        match self.file {
            Some(_) => self.written + count as u64 <= FILE,
            None => self.memory.len() + count <= MEMORY_ALONE,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let in_order = self.read == self.written;
        match &self.file {
            Some(file) if !in_order || self.memory.len() + bytes.len() > MEMORY => {
                file.write_all_at(bytes, self.written)?;
                self.written += bytes.len() as u64;
            }
            _ => self.memory.extend(bytes),
        }
        Ok(())
    }

    /// The memory's bytes are older than the file's.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.memory.is_empty() {
            return self.memory.read(buffer);
        }
        let Some(file) = &self.file else { return Ok(0) };
        let waiting = usize::try_from(self.written - self.read).unwrap_or(usize::MAX);
        let count = waiting.min(buffer.len());
        file.read_exact_at(&mut buffer[..count], self.read)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// A file without a name, where there is room for one.
fn spill() -> Option<File> {
    let place = Place::own().ok()?;
    place.check(FILE, FILE, 0).ok()?;
    let name = Place::name().ok()?;
    let file = place.create(&name).ok()?;
    place.unlink(&name);
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

    /// Bytes that tell where they stood.
    fn piece(number: usize) -> Vec<u8> {
        (0..PIECE).map(|i| (number * 31 + i % 251).to_le_bytes()[0]).collect()
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
        let pieces = 5 * MEMORY / PIECE;
        for number in 0..pieces {
            backlog.put(&piece(number)).expect("room");
        }
        assert!(backlog.state().file.is_some(), "more than memory holds lies in a file");
        assert_eq!(backlog.state().memory.len(), MEMORY);
        backlog.close();
        assert!(drain(&backlog) == (0..pieces).flat_map(piece).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_put_while_the_file_is_read_comes_out_after_it() {
        let backlog = Backlog::default();
        let pieces = 3 * MEMORY / PIECE;
        thread::scope(|scope| {
            let taker = scope.spawn(|| drain(&backlog));
            for number in 0..pieces {
                backlog.put(&piece(number)).expect("room");
            }
            backlog.close();
            assert!(taker.join().expect("no panic") == (0..pieces).flat_map(piece).collect::<Vec<u8>>());
        });
        assert_eq!(backlog.take(&mut [0]), Ok(0));
    }

    #[test]
    fn without_a_file_the_memory_has_a_limit_and_a_receiver_that_has_gone_is_told_of() {
        let backlog = Backlog::default();
        backlog.state().memory_alone = true;
        for number in 0..MEMORY_ALONE / PIECE {
            backlog.put(&piece(number)).expect("room");
        }
        assert!(!backlog.state().has_room(1));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| backlog.put(&piece(0)));
            backlog.close();
            assert!(waiting.join().expect("no panic").is_err());
        });
    }
}
