//! Conversations that are broken off. What the injector does for one of them it goes on with until it hears that nobody
//! wants it; who drops a conversation cannot wait until that is said, so the command does before it ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::Session;

/// For how long a command that was interrupted goes on for that. What does not get there the injector learns from silence.
const PARTING: Duration = Duration::from_secs(1);

/// The conversations in which bye is still to be said.
#[derive(Clone, Default)]
pub(crate) struct Partings(Rc<RefCell<Vec<Session>>>);

impl Partings {
    /// Nobody wants what the injector does for this one.
    pub(crate) fn add(&self, session: Session) {
        self.0.borrow_mut().push(session);
    }

    /// Says bye in all of them, as far as that is possible in [`PARTING`].
    pub(crate) async fn say_bye(&self) {
        let sessions = self.0.take();
        let _ = timeout(PARTING, join_all(sessions.into_iter().map(Session::finish))).await;
    }
}
