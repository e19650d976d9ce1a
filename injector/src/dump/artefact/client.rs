//! Who gets the dump.

use std::sync::Arc;
use std::time::Duration;

use crate::hold::Peer;

/// A client's request for it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) peer: Arc<Peer>,
    pub(crate) request: u32,
    /// For how long the dump may wait without it once the JVM is done.
    pub(super) patience: Duration,
    pub(super) greeted: bool,
    /// It can take what comes.
    pub(super) ready: bool,
}

impl Client {
    pub(crate) fn new(peer: &Arc<Peer>, request: u32, patience: Duration) -> Client {
        Client { peer: Arc::clone(peer), request, patience, greeted: false, ready: true }
    }

    /// One that comes back for a dump, and has to look first at what it has of it.
    pub(crate) fn returned(peer: &Arc<Peer>, request: u32, patience: Duration) -> Client {
        Client { ready: false, ..Client::new(peer, request, patience) }
    }
}
