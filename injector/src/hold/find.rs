//! What runs in this container, for a message to a person who expected a JVM.

use jattach_protocol::message::Jvm;

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

/// Of these JVMs, a container's. Where containers can be told apart at all, a process without one is the node's (hostPID).
pub(super) fn of_container(mut jvms: Vec<Jvm>, container: &str) -> Vec<Jvm> {
    jvms.retain(|jvm| jvm.container == container);
    jvms
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jvm::detect::detect;
    use crate::sys::fake::{Fake, PID};

    const OURS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn jvm(control_groups: &str) -> Jvm {
        let fake = Fake::jvm();
        fake.write("proc/cgroup", control_groups);
        detect(&Target::open(&fake, PID).expect("opened")).expect("a JVM")
    }

    #[test]
    fn among_all_processes_of_the_node_a_containers_jvms_are_its_own_alone() {
        let another = OURS.replace('0', "f");
        let jvms = vec![
            jvm("0::/system.slice/tomcat.service\n"),
            jvm(&format!("0::/kubepods.slice/kubepods-pod8d2.slice/cri-containerd-{another}.scope\n")),
            jvm(&format!("0::/kubepods.slice/kubepods-pod8d2.slice/cri-containerd-{OURS}.scope\n")),
            jvm("0::/user.slice/user-1000.slice/session-2.scope\n"),
            jvm(&format!("0::/kubepods.slice/kubepods-pod8d2.slice/cri-containerd-{OURS}.scope/child\n")),
        ];
        let left = of_container(jvms.clone(), OURS);
        assert_eq!(left, [jvms[2].clone(), jvms[4].clone()]);
    }
}
