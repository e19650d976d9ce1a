//! What runs in this container, for a message to a person who expected a JVM.

use crate::process::{Target, container_id, pids};
use crate::sys::Kernel;

/// How many processes a message names.
const MOST: usize = 10;

/// The processes with their command lines, as far as one screen goes.
pub(super) fn processes(sys: &'static Kernel) -> String {
    let lines: Vec<String> =
        targets(sys).take(MOST).map(|target| format!("{} {}", target.pid(), line(&target))).collect();
    lines.join(", ")
}

/// Whether control groups tell containers apart here: inside a cgroup namespace, or without one, they may not.
pub(super) fn containers_are_visible(sys: &'static Kernel) -> bool {
    targets(sys).any(|target| target.control_groups().is_ok_and(|groups| container_id(&groups).is_some()))
}

fn targets(sys: &'static Kernel) -> impl Iterator<Item = Target<'static>> {
    pids().into_iter().filter(|pid| !is_ours(*pid)).filter_map(move |pid| Target::open(sys, pid).ok())
}

/// Whether a process is one of us, as the sessions of our clients are: in our own container it runs our program. In the
/// target's container, where we may be as well (`super::inside`), all the others run other programs.
fn is_ours(pid: u32) -> bool {
    ["ns/mnt", "exe"].iter().all(|entry| {
        let link = |process: &str| std::fs::read_link(format!("/proc/{process}/{entry}"));
        matches!((link(&pid.to_string()), link("self")), (Ok(its), Ok(ours)) if its == ours)
    })
}

fn line(target: &Target<'_>) -> String {
    let mut bytes = target.command_line().unwrap_or_default();
    for end_of_word in bytes.iter_mut().filter(|byte| **byte == 0) {
        *end_of_word = b' ';
    }
    String::from_utf8_lossy(bytes.trim_ascii_end()).chars().filter(|c| !c.is_control()).take(80).collect()
}
