//! Other JVMs than the machine's own: attaching to them in every state, and their heap dumps, since what a dump is depends
//! on who writes it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Error, Result};

use super::{CONFORMANCE_STATIC, END_TO_END, states as in_every_state};
use crate::commands::e2e;
use crate::dev_build::{self, Built};
use crate::images::jvm;
use crate::steps::Steps;
use crate::tools::java::Java;
use crate::tools::jdk::Jdk;
use crate::tools::suite::Unavailable;
use crate::tools::{jdk_root, root};
use crate::workspace::Workspace;

/// Those that differ most, and the one between: 8 writes a file and comes back to it, 25 writes two.
const DIFFERENT: [u32; 3] = [8, 17, 25];

/// The session tests that are about heap dumps.
const SESSION: [&str; 6] = ["a_heap_dump", "collectors::", "disk::", "killed::", "place::", "resume::"];

/// The end-to-end tests that are.
const DUMPS: [&str; 4] = ["dumpheap::", "redact::", "resume::", "shapes::"];

/// Those about what a JVM prints on SIGQUIT, which each prints in its own way, and about one whose socket goes with its /tmp.
const SIGNALS: [&str; 2] = ["tmp_log::", "tmp_shelter::"];

/// Of these, what a JVM cannot do that writes a file: wait, stop, or do without a disk. What it does instead is told by
/// tests that no other JVM can pass.
const STREAMS_ALONE: [&str; 8] = [
    "a_client_that_is_dead_does_not_keep_the_jvm",
    "a_client_that_takes_nothing_does_not_keep_the_jvm",
    "a_dump_goes_through_the_pods_shared_memory",
    "a_dump_needs_no_disk_at_all",
    "a_hold_that_is_told_to_end_does_not_wait_for_a_jvm_that_is_stopped",
    "a_jvm_that_is_stopped_before_it_dumps_goes_on_without",
    "a_jvm_that_may_not_wait_is_dumped",
    "a_pause_that_becomes_too_long_is_ended",
];
const FILES_ALONE: &str = "file::";

/// The faults that are another thing where a dump comes in two streams.
const FAULTS_OF_PAIRS: [&str; 6] = [
    "connections_that_are_cut_are_gone_on_with",
    "a_client_that_is_killed_goes_on_when_it_is_started_again",
    "a_connection_that_stands_still_is_left_for_another",
    "an_injector_that_is_killed_is_replaced_and_swept_after",
    "a_jvm_that_is_killed_while_it_dumps_has_ended",
    "a_spool_that_is_full_makes_the_jvm_wait_as_long_as_it_may",
];

/// What the steps work with.
pub(crate) struct Bench<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) built: &'a Built,
    pub(crate) injector: &'a Path,
    /// The machine's own JDK, whose JVM the other steps are about.
    pub(crate) compiler: &'a Jdk,
    pub(crate) yes: bool,
}

/// The versions to test.
pub(crate) fn versions(all: bool) -> Vec<u32> {
    jdk_root::versions().filter(|version| all || DIFFERENT.contains(version)).collect()
}

/// The machine's own, and the others.
pub(crate) fn beside(own: Option<u32>, versions: &[u32]) -> Vec<u32> {
    own.into_iter().chain(versions.iter().copied().filter(|version| Some(*version) != own)).collect()
}

/// Three steps a version. They are skipped for one that is not to be had today, which is no property of a change. One that is,
/// and cannot be unpacked or does not run, is a failure.
pub(super) fn run(bench: &Bench<'_>, steps: &mut Steps, versions: &[u32], all: bool) -> Result<()> {
    for &version in versions.iter().filter(|version| **version != bench.compiler.version) {
        let java = match Java::of(bench.workspace, version) {
            Err(error) if may_be_skipped(&error, all) => {
                skip(steps, &[version], &format!("{error:#}"));
                continue;
            }
            java => java,
        };
        let java = steps.step(&fetched(version), || java)?;
        let Some(java) = java else {
            skip(steps, &[version], "there is no such JVM");
            continue;
        };
        steps.step(&states(version), || in_every_state::run(bench, version, java.variables()?, None))?;
        steps.step(&session(version), || in_sessions(bench, &java))?;
        steps.step(&end_to_end(version), || in_lab(bench, &java))?;
    }
    Ok(())
}

/// Whether an error says that the version is not to be had. Who has asked for `all` wants to know what Debian has no more.
fn may_be_skipped(error: &Error, all: bool) -> bool {
    match Unavailable::cause_of(error) {
        Some(Unavailable::Unreachable { .. }) => true,
        Some(Unavailable::Gone { .. }) => !all,
        None => false,
    }
}

/// Notes that nothing is done with these versions.
pub(super) fn skip(steps: &mut Steps, versions: &[u32], why: &str) {
    for version in versions {
        steps.skip(&states(*version), why);
        steps.skip(&session(*version), why);
        steps.skip(&end_to_end(*version), why);
    }
}

/// What was run with which JVM, and what came of it. `own` is the version of the machine's.
pub(super) fn matrix(steps: &Steps, versions: &[u32], own: Option<u32>) -> String {
    let mut lines = vec![format!("{:<16}{:<12}{:<14}{}", "JVM", "states", "in sessions", "end to end")];
    let mut line = |name: &str, names: [&str; 3]| {
        let [states, session, end_to_end] = names.map(|step| steps.outcome(step).unwrap_or("-"));
        lines.push(format!("{name:<16}{states:<12}{session:<14}{end_to_end}"));
    };
    let machines = own.map_or_else(|| "machine's".to_owned(), |own| format!("machine's, {own}"));
    line(&machines, [super::STATES, CONFORMANCE_STATIC, END_TO_END]);
    for version in versions.iter().filter(|version| Some(**version) != own) {
        line(&format!("JDK {version}"), [&states(*version), &session(*version), &end_to_end(*version)]);
    }
    line("OpenJ9 stand-in", [super::OPENJ9, "", ""]);
    lines.join("\n")
}

fn fetched(version: u32) -> String {
    format!("JDK {version}")
}

fn states(version: u32) -> String {
    format!("JDK {version} in every state")
}

fn session(version: u32) -> String {
    format!("heap dumps of JDK {version} in sessions")
}

fn end_to_end(version: u32) -> String {
    format!("heap dumps of JDK {version} end to end")
}

fn in_sessions(bench: &Bench<'_>, java: &Java) -> Result<()> {
    let runner = root::runner(&bench.workspace.shell()?)?;
    let tests = bench.built.tests(|test| test.package == "jattach-injector" && test.name == "session")?;
    let mut variables = java.variables()?;
    variables.push(("JATTACH_INJECTOR", OsString::from(bench.injector)));
    variables.extend(super::complete(bench.workspace, bench.yes)?);
    dev_build::run_tests(runner, &tests, &variables, &words(&SESSION, java))
}

fn in_lab(bench: &Bench<'_>, java: &Java) -> Result<()> {
    let images = jvm::write_of(bench.workspace, java, bench.compiler, bench.yes)?;
    let faults = if java.version() > 21 { &FAULTS_OF_PAIRS[..] } else { &[] };
    let words = words(&[&DUMPS[..], &SIGNALS, faults].concat(), java);
    let result = e2e::in_lab(bench.workspace, bench.built, &images, &words, bench.yes);
    // Some are a gigabyte, and made again in seconds.
    for image in [images.plain, images.shell, images.user] {
        fs::remove_file(&image.path).with_context(|| format!("failed to remove {}", image.path.display()))?;
    }
    result
}

/// The words that choose the tests for that JVM.
fn words(tests: &[&str], java: &Java) -> Vec<String> {
    let mut words: Vec<String> = tests.iter().copied().map(str::to_owned).collect();
    if java.version() == 8 {
        words.extend([FILES_ALONE, "--include-ignored"].map(str::to_owned));
        words.extend(STREAMS_ALONE.iter().flat_map(|test| ["--skip", *test]).map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_version_is_skipped_that_is_not_to_be_had_and_not_one_that_is_broken() {
        let unreachable = || Error::from(Unavailable::Unreachable { suite: "sid" });
        let gone = || Error::from(Unavailable::Gone { suite: "sid", package: "openjdk-8-jre-headless".to_owned() });
        for (error, expected) in [
            (unreachable().context("no JDK 8"), [true, true]),
            (anyhow!("this machine has no apt").context(Unavailable::Unreachable { suite: "sid" }), [true, true]),
            (gone().context("no JDK 8"), [true, false]),
            (anyhow!("tar failed").context("no JDK 8"), [false, false]),
        ] {
            assert_eq!([false, true].map(|all| may_be_skipped(&error, all)), expected, "{error:#}");
        }
    }
}
