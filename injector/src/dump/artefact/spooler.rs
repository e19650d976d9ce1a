//! The thread that moves blocks from memory into the spool: a disk may be slow, or hang, and the thread that takes what the
//! JVM writes must neither wait for that nor be out of reach while it does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};

use jattach_protocol::message::Codec;

use super::{Artefact, PATIENCE};
use crate::dump::queue::Moving;
use crate::sys::zstd::Compressor;

/// Moves blocks until the dump is over. Nobody is to wait for the end of that: a disk that hangs keeps it.
pub(crate) fn run(artefact: &Artefact) {
    let mut packer = Packer { compressor: None, packed: Vec::new() };
    while let Some((mut block, at_leisure)) = artefact.next_to_move() {
        if at_leisure {
            packer.pack(&mut block);
        }
        let room = artefact.reserve(&block).or_else(|| {
            packer.pack(&mut block);
            artefact.reserve(&block)
        });
        match room {
            None => artefact.stays(block),
            Some((file, at)) => {
                let written = file.write_all_at(&block.bytes, at);
                artefact.moved(block, at, written);
            }
        }
    }
}

impl Artefact {
    /// Waits for a block that has to make room, and tells whether it is to be made smaller, and there is time for that.
    fn next_to_move(&self) -> Option<(Moving, bool)> {
        let mut state = self.state();
        while !state.over {
            if let Some(block) = state.queue.next_to_move() {
                return Some((block, state.tight && !state.jvm_waits));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn reserve(&self, block: &Moving) -> Option<(Arc<File>, u64)> {
        self.state().queue.spool.reserve(block.bytes.len())
    }

    /// There is no room in the spool: until something is acknowledged, or others leave the disk.
    fn stays(&self, block: Moving) {
        let mut state = self.state();
        state.queue.moved(block, None);
        self.changed.notify_all();
        if !state.over {
            let _ = self.changed.wait_timeout(state, PATIENCE);
        }
    }

    fn moved(&self, block: Moving, at: u64, written: io::Result<()>) {
        let mut state = self.state();
        match written {
            Ok(()) => {
                state.moved += 1;
                state.queue.moved(block, Some(at));
            }
            // The disk is full, or worse: what lies there already may still be read.
            Err(error) => {
                state.queue.spool.release(at, block.bytes.len());
                state.queue.spool.close(&error);
                state.queue.moved(block, None);
            }
        }
        self.changed.notify_all();
    }
}

/// Compresses what goes into a spool that has no room for the dump as it is.
struct Packer {
    compressor: Option<Compressor>,
    packed: Vec<u8>,
}

impl Packer {
    fn pack(&mut self, block: &mut Moving) {
        if block.codec != Codec::None || block.dense || block.bytes.is_empty() {
            return;
        }
        if self.compressor.is_none() {
            self.compressor = Compressor::new();
        }
        self.packed.resize(block.bytes.len() - 1, 0);
        if let Some(compressor) = &mut self.compressor
            && let Some(length) = compressor.compress(&block.bytes, &mut self.packed)
        {
            block.repack(Codec::Zstd, &self.packed[..length]);
        } else {
            block.dense = true;
        }
    }
}
