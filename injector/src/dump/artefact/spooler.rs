//! The thread that moves blocks from memory into the spool: a disk may be slow, or hang, and the thread that takes what the
//! JVM writes must neither wait for that nor be out of reach while it does.

use std::io;
use std::sync::{Arc, PoisonError};

use jattach_protocol::message::Codec;

use super::{Artefact, PATIENCE};
use crate::dump::queue::Moving;
use crate::dump::spool::{Room, Store, Unwanted};
use crate::sys::zstd::Compressor;

/// What there is to do.
enum Work {
    /// To take a block into the spool; whether it is to be made smaller, and there is time for that.
    Move(Moving, bool),
    GiveBack(Unwanted),
}

/// Moves blocks, and gives back what is let go, until the dump is over. Nobody is to wait for the end of that: a disk that
/// hangs keeps it.
pub(crate) fn run(artefact: &Artefact) {
    // Kept to the end, so that it is here that the file goes.
    let Some(store) = artefact.store() else { return };
    let mut packer = Packer { compressor: None, packed: Vec::new() };
    while let Some(work) = artefact.next_work() {
        match work {
            Work::GiveBack(unwanted) => artefact.gave_back(&unwanted, store.give_back(&unwanted)),
            Work::Move(mut block, at_leisure) => {
                if at_leisure {
                    packer.pack(&mut block);
                }
                let room = artefact.reserve(&store, &block).or_else(|| {
                    packer.pack(&mut block);
                    artefact.reserve(&store, &block)
                });
                match room {
                    None => artefact.stays(block),
                    Some(at) => {
                        let written = store.write(&block.bytes, at);
                        artefact.moved(block, at, written);
                    }
                }
            }
        }
    }
}

impl Artefact {
    fn store(&self) -> Option<Arc<Store>> {
        self.state().queue.spool.store()
    }

    fn next_work(&self) -> Option<Work> {
        let mut state = self.state();
        while !state.over {
            if let Some(unwanted) = state.queue.spool.let_go() {
                return Some(Work::GiveBack(unwanted));
            }
            if let Some(block) = state.queue.next_to_move() {
                return Some(Work::Move(block, state.tight && !state.jvm_waits));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn reserve(&self, store: &Store, block: &Moving) -> Option<u64> {
        let reserve = || self.state().queue.spool.reserve(block.bytes.len());
        let mut room = reserve();
        if room == Room::Unknown {
            let has_room = store.has_room();
            self.state().queue.spool.looked(has_room);
            room = if has_room { reserve() } else { Room::None };
        }
        match room {
            Room::At(at) => Some(at),
            Room::Unknown | Room::None => None,
        }
    }

    fn gave_back(&self, unwanted: &Unwanted, made_holes: bool) {
        self.state().queue.spool.gone(unwanted, made_holes);
    }

    /// There is no room in the spool: until something is acknowledged, or others leave the disk.
    fn stays(&self, block: Moving) {
        let mut state = self.state();
        state.queue.moved(block, None);
        self.changed.notify_all();
        if !state.over && !state.queue.spool.has_unwanted() {
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
