//! What goes with `--via=exec`, and what does not.

use std::ffi::OsString;

use super::{Action, Command, DumpHeap, Options};
use crate::error::{Failure, Result};

/// The flags of an ephemeral container.
const OF_CONTAINER: [&str; 7] =
    ["--image", "--image-pull-policy", "--dry-run", "--profile", "--run-as-user", "--run-as-group", "--custom"];

/// Refuses what contradicts it, and makes of a heap dump one that no disk of the target sees.
///
/// # Errors
/// A usage failure.
pub(super) fn check(options: &mut Options) -> Result<()> {
    if options.injector.via.is_none() {
        return Ok(());
    }
    if let Some(flag) = options.flags.iter().find_map(of_container) {
        return Err(Failure::usage(format!("--via=exec and {flag} contradict each other"))
            .evidence(format!("{flag} is about a debug container, and --via=exec makes none"))
            .remedy("leave one of the two out"));
    }
    match &mut options.command {
        Command::On(_, Action::DumpHeap(dump)) | Command::OnAll(_, Action::DumpHeap(dump), _) => spare_the_disk(dump),
        _ => Ok(()),
    }
}

fn of_container(flag: &OsString) -> Option<&'static str> {
    let flag = flag.to_string_lossy();
    let name = flag.split('=').next().unwrap_or_default();
    OF_CONTAINER.into_iter().find(|known| *known == name)
}

/// What waits for us would lie on the target's own disk, and count against its ephemeral storage.
fn spare_the_disk(dump: &mut DumpHeap) -> Result<()> {
    if dump.spool.is_some_and(|spool| spool > 0) {
        return Err(Failure::usage("--via=exec and --spool-limit contradict each other")
            .evidence(
                "the injector runs in the target's own container: what waits there would lie on the target's disk",
            )
            .remedy("leave --spool-limit out: the JVM waits for the network then, for --max-stall at the most"));
    }
    dump.spool = Some(0);
    // The injector ends with its stream: nobody keeps what is missing.
    dump.resume = false;
    Ok(())
}
