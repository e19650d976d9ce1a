//! The way back to the injector that an earlier run had its dump from. It has the rest of it as long as its container runs, and
//! who comes back for that comes over a network that was cut before: only a container that has ended means that it is gone.

use super::fetch::Attempts;
use crate::commands::act::Opened;
use crate::commands::{Context, postmortem};
use crate::debugger;
use crate::error::Exit;
use crate::session::{Error, Session};

/// A session with the injector of that name, or why there is none; nothing where the injector has ended.
pub(in crate::commands) async fn open_again(context: &Context, container: &str) -> Option<Opened> {
    let found = debugger::known(&context.target, container)?;
    let open = async || Session::open(&context.cluster, &found).await;
    let ended = async || postmortem::injector_ended(context, container).await;
    let session = until_open(open, ended, &|line| context.notes.say(line)).await?;
    Some((found, session))
}

async fn until_open<S>(
    open: impl AsyncFn() -> Result<S, Error>,
    ended: impl AsyncFn() -> bool,
    say: &dyn Fn(&str),
) -> Option<Result<S, Error>> {
    let mut attempts = Attempts::default();
    loop {
        let error = match open().await {
            Ok(session) => return Some(Ok(session)),
            Err(error) => error,
        };
        if ended().await {
            return None;
        }
        let Some((number, pause)) = attempts.next(0).filter(|_| may_pass(&error)) else { return Some(Err(error)) };
        let cause = error.cause();
        say(&format!("{cause}: connecting again (attempt {number} of {})", Attempts::MOST));
        tokio::time::sleep(pause).await;
    }
}

/// Whether it may be otherwise in a moment: neither a refusal is, nor an injector of another version.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Injector(_) => true,
        Error::Transfer(failure) => matches!(failure.exit(), Exit::Transfer | Exit::Other),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Failure;

    /// What comes of it where opening fails so until the attempt of that number, and how often it was tried.
    async fn tried(exit: Exit, until: usize, has_ended: bool) -> (Option<Result<(), Exit>>, usize) {
        let (tries, said) = (Cell::new(0), Cell::new(0));
        let open = async || {
            tries.set(tries.get() + 1);
            if tries.get() >= until { Ok(()) } else { Err(Failure::new(exit, "the connection was cut").into()) }
        };
        let outcome = until_open(open, async || has_ended, &|_| said.set(said.get() + 1)).await;
        assert_eq!(said.get(), tries.get() - 1, "each further attempt is told of");
        (outcome.map(|opened| opened.map_err(|error| Failure::from(error).exit())), tries.get())
    }

    #[tokio::test(start_paused = true)]
    async fn an_injector_is_gone_only_once_its_container_has_ended() {
        assert_eq!(tried(Exit::Transfer, 1, true).await, (Some(Ok(())), 1));
        assert_eq!(tried(Exit::Transfer, usize::MAX, true).await, (None, 1));
        assert_eq!(tried(Exit::Transfer, 3, false).await, (Some(Ok(())), 3));
        assert_eq!(tried(Exit::Transfer, usize::MAX, false).await, (Some(Err(Exit::Transfer)), 1 + Attempts::MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_other_attempt_changes_is_told_at_once() {
        for exit in [Exit::Refused, Exit::Injector] {
            assert_eq!(tried(exit, usize::MAX, false).await, (Some(Err(exit)), 1));
        }
    }
}
