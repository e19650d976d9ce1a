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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Parsed, parse};
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        match parse(format!("kubectl-jattach {line}").split(' ').map(OsString::from))? {
            Parsed::Run(options) => Ok(*options),
            Parsed::Say(said) => panic!("{line}: {said}"),
        }
    }

    #[test]
    fn what_is_about_a_debug_container_contradicts_it() {
        for flag in [
            "--image=x",
            "--image-pull-policy=Never",
            "--dry-run=client",
            "--profile=general",
            "--run-as-user=1",
            "--run-as-group=1",
        ] {
            for line in [format!("--via=exec {flag} x ps"), format!("x ps {flag} --via exec")] {
                let failure = parsed(&line).expect_err(&line);
                assert!(failure.cause.contains("--via=exec and --") && !failure.remedy.is_empty(), "{line}: {failure}");
            }
        }
        assert!(parsed("--via=exec --ttl=1m --wait x ps").is_ok());
        assert!(parsed("--profile=general x ps").is_ok());
    }

    #[test]
    fn a_heap_dump_waits_on_no_disk_and_is_not_resumed() {
        for line in ["x dumpheap --via=exec", "x dumpheap --via=exec --spool-limit=0 --max-stall=3s"] {
            let Command::On(_, Action::DumpHeap(dump)) = parsed(line).expect(line).command else { panic!("{line}") };
            assert_eq!((dump.spool, dump.resume), (Some(0), false), "{line}");
            assert!(dump.max_stall.is_some_and(|stall| stall >= Duration::from_secs(3)), "{line}");
        }
        let failure = parsed("x dumpheap --via=exec --spool-limit=1Gi").expect_err("a spool");
        assert!(failure.to_string().contains("the target's disk"), "{failure}");
    }
}
