//! Reads ahead: a thread fills blocks while those before are being looked at.

use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Bytes of a block: with its fellows they fit a core's cache.
const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 4;

/// Some AMD processors copy to an address that is not aligned at a fraction of their speed
/// (<https://lunnova.dev/articles/ryzen-slow-short-rep-mov/>), and so large a buffer begins a few bytes into its first page:
/// reading a file that is in the page cache took three times as long.
const PAGE: usize = 4096;

struct Block {
    memory: Vec<u8>,
    begin: usize,
    length: usize,
}

impl Block {
    fn new() -> Block {
        let memory = vec![0; BLOCK + PAGE];
        // Where there is no telling, it is slower and no worse.
        let begin = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Block { memory, begin, length: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.begin + self.length]
    }

    /// Fills it, unless the end comes first: true then. What was read before an error stays in it.
    fn fill(&mut self, from: &mut impl Read) -> io::Result<bool> {
        self.length = 0;
        let memory = &mut self.memory[self.begin..self.begin + BLOCK];
        while self.length < BLOCK {
            match from.read(&mut memory[self.length..]) {
                Ok(0) => return Ok(true),
                Ok(length) => self.length += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Gives `take` everything that `from` holds, in order, until it breaks.
///
/// # Errors
/// That of the reading, after what came before it was taken.
pub(super) fn for_each(
    mut from: impl Read + Send + 'static,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let (empty_to, empty) = channel();
    let (full_to, full) = channel();
    for _ in 0..BLOCKS {
        let _ = empty_to.send(Block::new());
    }
    let reader =
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || run(&mut from, &empty, &full_to))?;
    for block in full {
        if take(block.bytes()).is_break() {
            // The thread ends when its read does: nobody waits for a pipe whose bytes nobody wants.
            return Ok(());
        }
        let _ = empty_to.send(block);
    }
    reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run(from: &mut impl Read, empty: &Receiver<Block>, full: &Sender<Block>) -> io::Result<()> {
    while let Ok(mut block) = empty.recv() {
        let filled = block.fill(from);
        if full.send(block).is_err() || filled? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, and fails at the end.
    struct Trickle(usize);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("broken"));
            }
            self.0 -= 1;
            buffer[0] = b'x';
            Ok(1)
        }
    }

    #[test]
    fn all_bytes_come_in_order_however_many_blocks_they_take() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 17).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut taken = Vec::new();
        for_each(io::Cursor::new(bytes.clone()), |block| {
            taken.extend_from_slice(block);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(taken, bytes);
    }

    #[test]
    fn what_came_before_an_error_is_taken() {
        let mut taken = 0;
        let count = |block: &[u8]| {
            taken += block.len();
            ControlFlow::Continue(())
        };
        let error = for_each(Trickle(BLOCK + 3), count).unwrap_err();
        assert_eq!((taken, error.to_string().as_str()), (BLOCK + 3, "broken"));
    }

    #[test]
    fn who_has_seen_enough_waits_for_nothing_more() {
        let mut blocks = 0;
        for_each(io::repeat(0), |_| {
            blocks += 1;
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!(blocks, 1);
    }
}
