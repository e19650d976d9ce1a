//! An agent that the client sends: stored in our own /tmp, where the JVM reaches it through /proc, so that nothing has to
//! be copied into the target.

use std::fs::File;
use std::io::Write;

use jattach_protocol::{Code, Failure, Message};
use xxhash_rust::xxh3::Xxh3Default;

use super::inbox::Inbox;
use super::peer::{Gone, Peer};
use crate::dump::place::Place;

/// What the client says it sends.
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) hash: u64,
}

/// A stored agent. Its file is removed when the JVM has loaded it: a mapped library needs no name.
pub(super) struct Stored {
    place: Place,
    file: String,
}

impl Stored {
    /// What the JVM calls it.
    pub(super) fn path(&self) -> String {
        self.place.path(&self.file)
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.place.remove(&self.file);
    }
}

/// Stores what comes, and acknowledges it.
///
/// # Errors
/// [`Code::NoSpace`] before anything is stored, [`Code::Transfer`] where the pieces are not the file that was announced.
pub(super) fn receive(peer: &Peer, id: u32, pieces: &Inbox, agent: &Agent) -> Result<Stored, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::new(Code::NoSpace, format!("cannot store the agent {} in the injector's /tmp", agent.name))
            .evidence(error.to_string())
    };
    let place = Place::own().map_err(|errno| unusable(&errno))?;
    place.check(agent.length, agent.length, 0).map_err(|refusal| unusable(&refusal.evidence))?;
    let stored = Stored { file: Place::name()?, place };
    let mut file = stored.place.create(&stored.file).map_err(|error| unusable(&error))?;
    let mut hash = Xxh3Default::new();
    let mut length = 0;
    while length < agent.length {
        let piece = pieces.take().ok_or(Gone)?;
        if piece.offset != length || piece.bytes.is_empty() || piece.bytes.len() as u64 > agent.length - length {
            return Err(damaged(agent, &format!("{} bytes for offset {}", piece.bytes.len(), piece.offset)));
        }
        hash.update(&piece.bytes);
        file.write_all(&piece.bytes).map_err(|error| unusable(&error))?;
        length += piece.bytes.len() as u64;
        peer.send(id, &Message::Ack { stream: 0, offset: length })?;
    }
    if hash.digest() != agent.hash {
        return Err(damaged(agent, "its hash is another"));
    }
    drop::<File>(file);
    Ok(stored)
}

fn damaged(agent: &Agent, what: &str) -> Failure {
    Failure::new(Code::Transfer, format!("the agent {} arrived damaged", agent.name))
        .evidence(format!("{what}; {} bytes were announced", agent.length))
}
