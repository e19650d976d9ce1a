//! `--profile=sysadmin` on a target whose /tmp takes no file: the command, for once under a tmpfs.

use serde_json::Value;

use super::act::act;
use super::{Answer, Context, remedy};
use crate::catalogue::Id;
use crate::debugger::{self, Shelter, was_killed};
use crate::error::Failure;
use crate::options::{Action, DryRun, Profile};
use crate::target;

/// What a command would add. The second container comes into question only where the first cannot do it.
///
/// # Errors
/// The server's refusal.
pub(super) async fn dry_run(context: &Context, by: DryRun) -> Result<Value, Failure> {
    let Context { cluster, target, options, notes, .. } = context;
    let patch = debugger::dry_run(cluster, target, &options.injector, by).await?;
    if patch["spec"]["ephemeralContainers"].as_array().is_some_and(|all| all.len() > 1) {
        notes.say("The privileged container, the second one, is added only where the target's /tmp takes no file.");
    }
    Ok(patch)
}

/// The command, and where it has failed for want of a writable /tmp once more, if that may be helped.
///
/// # Errors
/// The command's; or that of the tmpfs, where it may be there still.
pub(super) async fn run(context: &mut Context, action: &Action) -> Result<Answer, Failure> {
    if context.options.injector.profile != Profile::Sysadmin {
        return act(context, action).await;
    }
    // What a killed one has left is where the JVM would make its socket, and goes while it is needed: that one first.
    if !was_killed(&context.target.pod, &context.target.container) {
        match act(context, action).await {
            Err(failure) if failure.id == Id::TmpNotWritable => {}
            result => return result,
        }
    }
    let Context { cluster, target, options, notes, .. } = &*context;
    let shelter = match Shelter::open(cluster, target, &options.injector, notes).await {
        Err(failure) if failure.id == Id::TmpNotWritable => return Err(remedy::of_tmp(context, action, failure).await),
        shelter => shelter?,
    };
    // There are other containers in the pod by now, and one of them may serve.
    let result = match target::pod(cluster, target.pod_name()).await {
        Ok(pod) => {
            context.target.pod = pod;
            act(context, action).await
        }
        Err(failure) => Err(failure),
    };
    match (result, shelter.end(&context.notes).await) {
        (Err(failure), Err(left)) => {
            context.notes.say(&left.to_string());
            Err(failure)
        }
        (result, ended) => ended.and(result),
    }
}
