//! The injector in the target's own container, for pods that take no debug container: static ones, those that admission
//! refuses one for, those whose node cannot pull its image. It is written there through `exec`, checked, run, and gone from
//! the container's filesystem as soon as it runs; and it ends with its client.
//!
//! It takes a shell and a few tools in the target's image ([`shell`] talks to them), and nothing but pods/exec.

mod carried;
mod shell;

use std::future::ready;

use futures::FutureExt;

use crate::catalogue::Id;
use crate::client::Cluster;
use crate::debugger;
use crate::error::{Exit, Failure};
use crate::session::{self, Session, Streams};
use crate::target::Target;
pub(crate) use carried::{all as carried, any as is_carried};
use shell::Shell;

/// Makes room for the injector, checks it, and becomes it.
const SCRIPT: &str = include_str!("inside/enter.sh");

/// Puts the injector there and opens a session with it: the exec that has brought it is the session, and its only one.
///
/// # Errors
/// 5 where the container takes no injector, 4 where RBAC refuses, 8 where the stream breaks.
pub(crate) async fn open(cluster: &Cluster, target: &Target) -> std::result::Result<Session, session::Error> {
    if !carried::any() {
        return Err(carries_none().into());
    }
    let attached = debugger::exec_in_target(cluster, target, &command(&script(), target)).await?;
    let mut shell = Shell::new(Streams::of(attached)?, &target.container);
    let place = shell.place().await?;
    let program = carried::program(&place.machine).ok_or_else(|| unknown_machine(target, &place.machine))?;
    tracing::info!(directory = %place.directory, machine = %place.machine, bytes = program.bytes().len(), "writing the injector");
    shell.write(&program).await?;
    begin(shell.run().await?, &target.container).await
}

/// Begins the conversation with what the shell has become.
async fn begin(mut streams: Streams, container: &str) -> std::result::Result<Session, session::Error> {
    let end = std::mem::replace(&mut streams.status, ready(None).boxed()).shared();
    streams.status = end.clone().boxed();
    let begun = Session::begin(streams, container).await;
    // A connection that was cut tells of no end.
    let has_ended = end.peek().is_some_and(Option::is_some);
    begun.map_err(|error| if has_ended { not_run(container, error) } else { error })
}

/// The script, with what makes its names this container's: a /tmp may be another container's as well.
fn command<'c>(script: &'c str, target: &'c Target) -> [&'c str; 5] {
    let id = target.container_id().unwrap_or_default().rsplit("//").next().unwrap_or_default();
    ["sh", "-c", script, "jattach", id.get(..12).unwrap_or(id)]
}

/// What a shell needs of it: it travels in a URL, and those have a length on their way.
fn script() -> String {
    let lines = SCRIPT.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// That the container takes no injector.
fn refused(container: &str, why: &str) -> Failure {
    Failure::new(Id::NotInside, format!("the injector cannot be put into container \"{container}\": {why}"))
}

fn carries_none() -> Failure {
    Failure::new(Id::NotInside, "this build of the plugin carries no injector to put into a container")
        .evidence("it was built without the static injector (JATTACH_INJECTORS)")
        .remedy("take a released plugin, or build it after `cargo xtask injector`; without --via=exec none is needed")
}

fn unknown_machine(target: &Target, machine: &str) -> Failure {
    refused(&target.container, "there is none for its processor")
        .evidence(format!("`uname -m` there says {machine}; this plugin carries {}", carried::machines()))
        .remedy("without --via=exec the injector's image is used, for whatever processors that was made")
}

/// What ends a program that was whole before its first word stood in the way of running it.
fn not_run(container: &str, error: session::Error) -> session::Error {
    match error {
        session::Error::Transfer(failure) if failure.exit() == Exit::Transfer => {
            let evidence = format!("{}: {}", failure.cause, failure.evidence);
            refused(container, "its node does not let it run").evidence(evidence).remedy(
                "a security module or a policy against new programs may forbid it; where a debug container is possible, leave \
                 --via=exec out",
            ).into()
        }
        other => other,
    }
}

#[cfg(test)]
#[path = "inside/begin_tests.rs"]
mod begin_tests;
#[cfg(all(test, target_os = "linux"))]
#[path = "inside/enter_tests.rs"]
mod enter_tests;
