//! A look at the JVM and at the room around it, for `doctor`: nothing is connected to, signalled or changed, and of the target
//! nothing is opened but beneath its root and its directory in `/proc`. (Where the request names no process, the only JVM is
//! found as by `ps`, which connects to whoever listens.)

use jattach_protocol::message::{Examined, Limits, Memory, Request};
use jattach_protocol::{Failure, Message};

use super::peer::Peer;
use super::serve;
use crate::dump::place::Place;
use crate::dump::waiting_room;
use crate::jvm::heap_used;
use crate::process::{Label, Target, identity};
use crate::shelter;

/// More than any file of a control group that is read here; memory.stat has a few kilobytes.
const MAX_FILE: usize = 64 << 10;

/// A limit from here on is none: version 1 writes the largest number of pages that there is.
const UNLIMITED: u64 = 1 << 60;

/// Where a version of control groups says what is in use, what the limit is, and how much of what is in use are files that
/// nobody has needed lately: the kubelet leaves those out, and so does the kernel before it kills anybody.
struct Files {
    used: &'static str,
    limit: &'static str,
    stat: &'static str,
    idle: &'static str,
}

/// Version 2 first. <https://docs.kernel.org/admin-guide/cgroup-v2.html#memory>
const VERSIONS: [Files; 2] = [
    Files {
        used: "/sys/fs/cgroup/memory.current",
        limit: "/sys/fs/cgroup/memory.max",
        stat: "/sys/fs/cgroup/memory.stat",
        idle: "inactive_file ",
    },
    Files {
        used: "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        limit: "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        stat: "/sys/fs/cgroup/memory/memory.stat",
        idle: "total_inactive_file ",
    },
];

/// Looks with the JVM's own user's eyes where we may take them on, and tells.
pub(super) fn answer(peer: &Peer, id: u32, request: &Request, limits: &Limits) -> Result<(), Failure> {
    let target = serve::target(request)?;
    let examined = identity::with_file_access_of(&target, || examine(&target, limits))?;
    peer.send(id, &Message::Examined(examined))?;
    serve::end(peer, id)
}

/// What is closed to us is left out, and so is what makes no sense.
fn examine(target: &Target<'_>, limits: &Limits) -> Result<Examined, Failure> {
    let status = target.status()?;
    let (spool, space) = waiting_room(limits);
    Ok(Examined {
        own: identity::own_status(target.sys())?.identity(),
        theirs: status.identity(),
        own_label: Label::own(target.sys()).text(),
        label: target.label().text(),
        spool,
        free: space.free,
        tmp: Place::of(target).ok().and_then(|tmp| tmp.space()).map(|space| space.free),
        memory: VERSIONS.iter().find_map(|files| memory(target, files)),
        heap_used: heap_used(target, &status),
        left_behind: shelter::left_behind(target),
    })
}

fn memory(target: &Target<'_>, files: &Files) -> Option<Memory> {
    let read = |path: &str| {
        let bytes = target.read_in_root(path.as_bytes(), MAX_FILE).ok()?;
        String::from_utf8(bytes).ok()
    };
    let used: u64 = read(files.used)?.trim().parse().ok()?;
    // "max" is no number.
    let limit = read(files.limit)?.trim().parse().ok().filter(|limit| *limit < UNLIMITED).unwrap_or(0);
    let stat = read(files.stat).unwrap_or_default();
    let idle = stat.lines().find_map(|line| line.strip_prefix(files.idle)?.parse().ok()).unwrap_or(0);
    Some(Memory { used: used.saturating_sub(idle), limit })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sys::fake::{Fake, PID};

    fn examined(fake: &Fake) -> Examined {
        examine(&Target::open(fake, PID).expect("opened"), &Limits::default()).expect("seen")
    }

    /// Files of the target's, with what they hold.
    fn with_files(files: &[(&str, &str)]) -> Fake {
        let fake = Fake::jvm();
        for (path, content) in files {
            let path = fake.path(format!("proc/root{path}"));
            fs::create_dir_all(path.with_file_name("")).expect("created");
            fs::write(path, content).expect("written");
        }
        fake
    }

    #[test]
    fn a_look_signals_nobody_connects_to_nothing_and_creates_nothing_in_the_target() {
        let fake = Fake::jvm();
        fake.write("proc/attr/current", "app (enforce)\n");
        fake.write("self/attr/current", "injector (enforce)\n");
        fake.set_status(&[("CapPrm", "0000000000000400")]);
        // Somebody who listens is not talked to either.
        let _socket = std::os::unix::net::UnixListener::bind(fake.path("proc/root/tmp/.java_pid7")).expect("bound");
        let seen = examined(&fake);
        assert_eq!((seen.own.capabilities, seen.theirs.capabilities), (0, 1 << 10));
        assert_eq!((&*seen.own_label, &*seen.label), ("injector (enforce)", "app (enforce)"));
        assert!(seen.tmp.is_some());
        assert_eq!(fake.calls(), [""; 0]);
        let left = fs::read_dir(fake.path("proc/root/tmp")).expect("listed").count();
        assert_eq!(left, 1, "what was there before");
    }

    #[test]
    fn memory_is_read_in_the_words_of_both_versions_of_control_groups() {
        let second = with_files(&[
            ("/sys/fs/cgroup/memory.current", "300\n"),
            ("/sys/fs/cgroup/memory.max", "1000\n"),
            ("/sys/fs/cgroup/memory.stat", "anon 150\ninactive_file 100\n"),
        ]);
        assert_eq!(examined(&second).memory, Some(Memory { used: 200, limit: 1000 }));
        let unlimited =
            with_files(&[("/sys/fs/cgroup/memory.current", "300\n"), ("/sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(examined(&unlimited).memory, Some(Memory { used: 300, limit: 0 }));
        let first = with_files(&[
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "300"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 50\n"),
        ]);
        assert_eq!(examined(&first).memory, Some(Memory { used: 250, limit: 0 }));
        assert_eq!(examined(&Fake::jvm()).memory, None);
    }

    #[test]
    fn what_a_hostile_target_puts_there_leads_nowhere_and_holds_nobody_up() {
        let fake = with_files(&[("/sys/fs/cgroup/memory.max", "much")]);
        let at = |path: &str| fake.path(format!("proc/root{path}"));
        nix::unistd::mkfifo(&at("/sys/fs/cgroup/memory.current"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        assert_eq!(examined(&fake).memory, None, "a FIFO is not waited for");
        fs::remove_file(at("/sys/fs/cgroup/memory.current")).expect("removed");
        fs::write(fake.path("outside"), "300").expect("written");
        symlink("../../../../../../outside", at("/sys/fs/cgroup/memory.current")).expect("linked");
        assert_eq!(examined(&fake).memory, None, "it leads out of the target's root");
        fs::remove_dir_all(at("/tmp")).expect("removed");
        symlink("/proc/self/fd", at("/tmp")).expect("linked");
        assert_eq!(examined(&fake).tmp, None);
    }
}
