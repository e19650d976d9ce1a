//! `clean`: ends the injectors that still run in the pod. Their containers stay listed in the pod: nothing can remove those.

use jattach_protocol::message::Operation;

use super::Context;
use crate::debugger::{self, Basis, Debugger};
use crate::error::{Exit, Failure};
use crate::receive;
use crate::session::Session;

/// Tells each to end. One that is at work ends when that is done.
///
/// # Errors
/// The last failure, after all have been tried.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let running = debugger::running(&context.target.pod);
    if running.is_empty() {
        context.notes.say("No injector runs in the pod.");
        return Ok(());
    }
    let mut failed = None;
    for container in running {
        let debugger =
            Debugger { pod: context.target.pod_name().to_owned(), container: container.clone(), basis: Basis::Exact };
        match end(context, &debugger).await {
            Ok(()) => context.notes.say(&format!("{container} ends.")),
            Err(failure) => {
                context.notes.say(&format!("{container}: {failure}"));
                failed = Some(container);
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(container) => Err(Failure::new(Exit::Other, format!("{container} could not be told to end"))
            .remedy("it ends by itself after its time to live, and with the target")),
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
