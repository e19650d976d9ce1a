//! How much of a stream there is, and which.

use jattach_protocol::message::End;
use xxhash_rust::xxh3::Xxh3Default;

use crate::catalogue::Id;
use crate::error::Failure;

/// The length and the hash of what has passed.
#[derive(Default)]
pub(super) struct Counted {
    length: u64,
    hash: Xxh3Default,
}

impl Counted {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is what the injector says that it has sent.
    ///
    /// # Errors
    /// 8 where it is not.
    pub(super) fn check(&self, end: &End) -> Result<(), Failure> {
        if end.length != self.length {
            return Err(corrupt(format!("{} bytes came of {}", self.length, end.length)));
        }
        if end.hash != self.hash.digest() {
            return Err(corrupt(format!("the xxh3 of all {} bytes is not {:016x}", self.length, end.hash)));
        }
        Ok(())
    }
}

/// What arrived contradicts itself.
pub(super) fn corrupt(evidence: String) -> Failure {
    Failure::new(Id::Transfer, "what arrived is not what the injector sent")
        .evidence(evidence)
        .remedy("run the command again, a dump with --no-resume: nothing of the target has changed")
}
