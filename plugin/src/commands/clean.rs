//! `clean`: ends the injectors that still run in the pod. Their containers stay listed in the pod: nothing can remove those.

use jattach_protocol::message::Operation;

use super::{Context, postmortem};
use crate::debugger::{self, Basis, Debugger};
use crate::error::{Exit, Failure};
use crate::inside;
use crate::receive;
use crate::session::Session;

/// Tells each to end. One that is at work ends when that is done; a heap dump it gives up at once.
///
/// # Errors
/// The worst failure, after all have been tried.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    if context.options.injector.via.is_some() {
        return inside(context).await;
    }
    let running = debugger::running(&context.target.pod);
    if running.is_empty() {
        context.notes.say("No injector runs in the pod.");
        return Ok(());
    }
    let mut worst: Option<Failure> = None;
    for container in running {
        if context.options.injector.dry_run.is_some() {
            context.notes.say(&format!("{container} would be told to end."));
            continue;
        }
        let debugger = Debugger {
            pod: context.target.pod_name().to_owned(),
            container: container.clone(),
            basis: Basis::Exact,
            reused: true,
        };
        match end(context, &debugger).await {
            Ok(()) => context.notes.say(&format!("{container} ends.")),
            Err(failure) if is_over(&failure) && postmortem::injector_ended(context, &container).await => {
                context.notes.say(&format!("{container} has ended already."));
            }
            Err(failure) => {
                let (milder, worse) = ranked(worst.take(), not_ended(&container, failure));
                if let Some(milder) = milder {
                    context.notes.say(&milder.to_string());
                }
                worst = Some(worse);
            }
        }
    }
    worst.map_or(Ok(()), Err)
}

/// Removes what one in the target's own container has left that was killed: who starts there does that first. Those that run
/// end with their clients.
async fn inside(context: &Context) -> Result<(), Failure> {
    inside::open(&context.cluster, &context.target).await?.finish().await?;
    let container = &context.target.container;
    context.notes.say(&format!("Nothing is left in container \"{container}\" by an injector that has ended."));
    Ok(())
}

/// Whether it may be so because nobody is there any more: the pod tells of a container's end a moment later.
fn is_over(failure: &Failure) -> bool {
    matches!(failure.exit(), Exit::Transfer | Exit::Injector)
}

/// The failure of one of several containers.
fn not_ended(container: &str, failure: Failure) -> Failure {
    let cause = format!("{container} could not be told to end: {}", failure.cause);
    let remedy = match failure.remedy.as_str() {
        "" => "it ends by itself after its time to live, and with the target".to_owned(),
        remedy => format!("{remedy}; it ends by itself after its time to live, and with the target"),
    };
    Failure { cause, remedy, ..failure }
}

/// The milder one, and the one that the command ends with: the first of two that are as bad.
fn ranked(before: Option<Failure>, next: Failure) -> (Option<Failure>, Failure) {
    match before {
        Some(before) if before.exit().rank() <= next.exit().rank() => (Some(next), before),
        before => (before, next),
    }
}

async fn end(context: &Context, debugger: &Debugger) -> Result<(), Failure> {
    let mut session = Session::open(&context.cluster, debugger).await?;
    session.request(context.request(Operation::Shutdown));
    receive::jvms(&mut session).await?;
    // The container's end cuts the exec stream: its status may or may not come.
    drop(session);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_failures_is_the_commands_with_all_that_it_says() {
        let failure = |exit| Failure::new(exit, "a cause").evidence("what was seen").remedy("what to do");
        let all = [("a", Exit::Busy), ("b", Exit::Refused), ("c", Exit::Other), ("d", Exit::Refused)];
        let mut said = Vec::new();
        let mut worst = None;
        for (container, exit) in all {
            let (milder, worse) = ranked(worst.take(), not_ended(container, failure(exit)));
            said.extend(milder.map(|milder| milder.cause));
            worst = Some(worse);
        }
        let worst = worst.expect("all have failed");
        assert_eq!(worst.exit(), Exit::Refused);
        assert_eq!(worst.cause, "b could not be told to end: a cause");
        assert_eq!(worst.evidence, "what was seen");
        assert!(worst.remedy.starts_with("what to do; "), "{worst}");
        assert_eq!(said.len(), 3, "each is told once: {said:?}");
    }
}
