//! `shelter WHO` and `shelter WHO mount`: a /tmp for a JVM that has none to write to, for as long as a command takes. Both run
//! as privileged root in a container of their own. They never become the target, and never speak to it: what may mount must
//! not be what the target can take over.
//!
//! `mount` is exec'd. It lays an empty tmpfs over an empty /tmp, says so, and takes it away when its client says so, goes, or is
//! silent. `shelter` alone is the container's main process: should the other be killed, it takes the tmpfs away; should both
//! be, the next one does. The name of the mount says whose it is.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use jattach_protocol::message::SILENCE_SECONDS;
use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::stat::{fstat, major, minor};

use crate::process::{Target, container_id, pids, read_limited, read_own};
use crate::sys::wait::{Wanted, wait, within as deadline};
use crate::sys::{Sys, describe};

/// How long the container waits for something to be mounted.
const PATIENCE: Duration = Duration::from_secs(60);

const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS);

/// What the sources of our mounts begin with; pid and start time follow.
const NAME: &str = "jattach-";

/// What `mount` says when it has.
const MOUNTED: &[u8] = b"mounted\n";

/// What its client says when it is done.
const DONE: u8 = b'q';

const MAX_MOUNTS: usize = 4 << 20;

const NOT_MOUNTED: &str = "no tmpfs can be mounted over the target's /tmp";
const NOT_TAKEN_AWAY: &str = "the tmpfs over the target's /tmp cannot be taken away";

/// The container's main process: stays as long as something of ours is mounted, and takes away what is left of it.
pub(crate) fn guard(sys: &dyn Sys, who: &str) -> Result<(), Failure> {
    let target = find(sys, who)?;
    let mut served = false;
    loop {
        let mounts = Mounts::swept(&target)?;
        let maker =
            mounts.ours().find_map(|mount| Target::open(sys, mount.pid).ok().filter(|maker| mount.is_of(maker)));
        if served && maker.is_none() {
            return Ok(());
        }
        served |= maker.is_some();
        // The kernel's event for "mounted or unmounted".
        let change = Wanted(mounts.file.as_fd(), PollFlags::POLLPRI);
        let next = maker.as_ref().and_then(Target::pidfd).map_or(change, Wanted::read);
        let [changed, _] = wait([next, target.pidfd().map_or(change, Wanted::read)], deadline(PATIENCE))
            .map_err(|errno| target.ended(errno))?;
        if target.is_ending() || (!changed && maker.is_none()) {
            return Ok(());
        }
    }
}

/// Mounts, and stays until its client is done.
pub(crate) fn mount(sys: &dyn Sys, who: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let target = find(sys, who)?;
    let mounts = Mounts::swept(&target)?;
    let below = tmp(&target)?;
    if let Some(obstacle) = mounts.obstacle(&target, below.as_fd()) {
        return Err(refused(&target, NOT_MOUNTED, &obstacle));
    }
    let own = Target::open(sys, std::process::id())?;
    change(&target, below.as_fd(), Some(&format!("{NAME}{}-{}", own.pid(), own.start_time())))?;
    let said = out.write_all(MOUNTED).and_then(|()| out.flush());
    if let (Ok(()), Ok(client)) = (said, io::stdin().as_fd().try_clone_to_owned()) {
        attend(&target, &mut client.into());
    }
    Mounts::read(&target)?.take_away(&target, &|mount| mount.is_of(&own))?;
    match Mounts::read(&target)?.ours().find(|mount| mount.is_of(&own)) {
        None => Ok(()),
        Some(_) => Err(refused(&target, NOT_TAKEN_AWAY, "another command has mounted one over it at the same moment")),
    }
}

/// Until the client is done, goes, or is silent, or the target has ended.
fn attend(target: &Target<'_>, client: &mut File) {
    let mut words = [0; 64];
    loop {
        let client_fd = Wanted::read(client.as_fd());
        let events = [client_fd, target.pidfd().map_or(client_fd, Wanted::read)];
        if !wait(events, deadline(SILENCE)).is_ok_and(|[spoken, _]| spoken) || target.is_ending() {
            return;
        }
        match client.read(&mut words) {
            Ok(count @ 1..) if !words[..count].contains(&DONE) => {}
            _ => return,
        }
    }
}

/// How many mounts of ours there are in the target that are nobody's any more.
pub(crate) fn left_behind(target: &Target<'_>) -> u32 {
    let Ok(mounts) = Mounts::read(target) else { return 0 };
    let left = mounts.ours().filter(|mount| mount.is_left(target.sys())).count();
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// A process of the target's container: by its pid, or the oldest one with its container's id, which outlives the others.
fn find<'s>(sys: &'s dyn Sys, who: &str) -> Result<Target<'s>, Failure> {
    // Nobody is to look into who can mount.
    sys.set_dumpable(false).map_err(|errno| {
        Failure::new(Code::Other, "who mounts cannot close itself to others").evidence(describe(errno))
    })?;
    if let Ok(pid) = who.parse() {
        return Target::open(sys, pid);
    }
    let is_of =
        |target: &Target<'_>| target.control_groups().is_ok_and(|groups| container_id(&groups).as_deref() == Some(who));
    let all = pids().into_iter().filter_map(|pid| Target::open(sys, pid).ok());
    all.filter(is_of).min_by_key(Target::start_time).ok_or_else(|| {
        Failure::new(Code::NoSuchProcess, "no process of the target's container is in sight")
            .evidence(format!("none has {who} in its control groups"))
    })
}

/// The target's /tmp, or what is mounted over it.
fn tmp(target: &Target<'_>) -> Result<OwnedFd, Failure> {
    let tmp = target.open_in_root(b"/tmp", OFlag::O_PATH | OFlag::O_DIRECTORY);
    tmp.map_err(|errno| refused(target, NOT_MOUNTED, &describe(errno)))
}

/// Mounts over the directory, or takes away what is mounted there. In the target's mount namespace, and back from it at once:
/// what lies there is the target's, its /proc too.
fn change(target: &Target<'_>, directory: BorrowedFd<'_>, name: Option<&str>) -> Result<(), Failure> {
    let sys = target.sys();
    let (cause, call) = if name.is_some() { (NOT_MOUNTED, "mount(2)") } else { (NOT_TAKEN_AWAY, "umount2(2)") };
    let failed = |call, errno| refused(target, cause, &format!("{call}: {}", describe(errno)));
    let namespaces = || {
        let own = sys.open_at(sys.own_proc_dir()?.as_fd(), b"ns/mnt", OFlag::O_RDONLY)?;
        let theirs = target.open_entry(b"ns/mnt", OFlag::O_RDONLY)?;
        sys.enter_namespace(theirs.as_fd()).map(|()| own)
    };
    let own = namespaces().map_err(|errno| failed("setns(2)", errno))?;
    let changed = name.map_or_else(|| sys.unmount(directory), |name| sys.mount_over(directory, name));
    let back = sys.enter_namespace(own.as_fd());
    assert!(back.is_ok(), "nothing is done from within the target's mount namespace");
    changed.map_err(|errno| failed(call, errno))
}

/// The mounts of the target's namespace (proc_pid_mountinfo(5)).
struct Mounts {
    file: OwnedFd,
    text: String,
}

/// One of ours.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Its device, as "major:minor".
    device: String,
    /// Who made it.
    pid: u32,
    start_time: u64,
}

impl Mount {
    fn is_of(&self, maker: &Target<'_>) -> bool {
        (self.pid, self.start_time) == (maker.pid(), maker.start_time())
    }

    /// Whether who made it is no more.
    fn is_left(&self, sys: &dyn Sys) -> bool {
        !Target::open(sys, self.pid).is_ok_and(|maker| self.is_of(&maker))
    }
}

impl Mounts {
    /// As they are, of which those are taken away then whose makers are no more.
    fn swept(target: &Target<'_>) -> Result<Mounts, Failure> {
        let mounts = Mounts::read(target)?;
        mounts.take_away(target, &|mount| mount.is_left(target.sys()))?;
        Ok(mounts)
    }

    fn read(target: &Target<'_>) -> Result<Mounts, Failure> {
        let read = || {
            let file = target.open_entry(b"mountinfo", OFlag::O_RDONLY)?;
            let text = read_limited(file.try_clone().map_err(|_| Errno::EMFILE)?, MAX_MOUNTS)?;
            Ok(Mounts { file, text: String::from_utf8_lossy(&text).into_owned() })
        };
        read().map_err(|errno: Errno| target.ended(errno))
    }

    /// Each mount's id, device, whether it is shared, and source.
    fn all(&self) -> impl Iterator<Item = (&str, &str, bool, &str)> {
        self.text.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (id, device) = (fields.next()?, fields.nth(1)?);
            let mut is_shared = false;
            // Any number of optional fields, and a dash.
            for field in fields.by_ref().skip(3).take_while(|field| *field != "-") {
                is_shared |= field.starts_with("shared:");
            }
            Some((id, device, is_shared, fields.nth(1)?))
        })
    }

    fn ours(&self) -> impl Iterator<Item = Mount> {
        self.all().filter_map(|(_, device, _, source)| {
            let (pid, start_time) = source.strip_prefix(NAME)?.split_once('-')?;
            Some(Mount { device: device.to_owned(), pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
        })
    }

    fn take_away(&self, target: &Target<'_>, wanted: &dyn Fn(&Mount) -> bool) -> Result<(), Failure> {
        let mounts: Vec<Mount> = self.ours().filter(wanted).collect();
        for _ in &mounts {
            let top = tmp(target)?;
            let device = device(top.as_fd());
            if mounts.iter().any(|mount| mount.device == device) {
                change(target, top.as_fd(), None)?;
            }
        }
        Ok(())
    }

    /// What keeps a tmpfs from being mounted over the directory: another one of ours, whose maker could not take it away then;
    /// what it would hide; or that it would appear with all who share the mount below, the node among them.
    fn obstacle(&self, target: &Target<'_>, tmp: BorrowedFd<'_>) -> Option<String> {
        if self.ours().any(|mount| !mount.is_left(target.sys())) {
            return Some("another command has one there, and is not done".to_owned());
        }
        let fd = tmp.as_raw_fd();
        let first = fs::read_dir(format!("/proc/self/fd/{fd}")).map(|mut entries| entries.next());
        if !matches!(first, Ok(None)) {
            let name = first.ok().flatten().and_then(Result::ok).map(|entry| entry.file_name()).unwrap_or_default();
            return Some(format!("it is not empty: it holds {}", name.to_string_lossy()));
        }
        let info = read_own(&format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let info = String::from_utf8_lossy(&info);
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap_or_default().trim();
        let is_private = self.all().any(|(its, _, is_shared, _)| its == id && !is_shared);
        (!is_private).then(|| "its mount is shared with others".to_owned())
    }
}

fn device(directory: BorrowedFd<'_>) -> String {
    let device = fstat(directory).map_or(0, |seen| seen.st_dev);
    format!("{}:{}", major(device), minor(device))
}

fn refused(target: &Target<'_>, cause: &str, seen: &str) -> Failure {
    Failure::new(Code::TmpNotWritable, cause).evidence(format!("/proc/{}/root/tmp: {seen}", target.pid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::{Fake, PID};

    /// A target whose /tmp is a mount of that source.
    fn target(source: &str) -> Fake {
        let fake = Fake::jvm();
        for namespace in ["proc/ns", "self/ns"] {
            fs::create_dir_all(fake.path(namespace)).expect("created");
            fake.write(&format!("{namespace}/mnt"), "");
        }
        let tmp = File::open(fake.path("proc/root/tmp")).expect("opened");
        let line = |id, shared, device: &str, source| {
            format!("{id} 1 {device} / /a\\040b rw,nosuid{shared} master:7 - tmpfs {source} rw,size=1024k\n")
        };
        let own = line(2, "", &device(tmp.as_fd()), source);
        fake.write("proc/mountinfo", &[line(1, " shared:4", "0:0", "jattach-8-8x"), own].concat());
        fake
    }

    fn swept(source: &str) -> Vec<String> {
        let fake = target(source);
        let target = Target::open(&fake, PID).expect("a process");
        Mounts::swept(&target).expect("swept");
        fake.calls()
    }

    #[test]
    fn what_a_dead_one_has_left_is_taken_away_in_the_targets_namespace_and_nothing_else() {
        assert_eq!(swept("jattach-9-9"), ["setns theirs", "umount", "setns own"]);
        assert_eq!(
            swept(&format!("jattach-{PID}-9")),
            ["setns theirs", "umount", "setns own"],
            "another process has its pid by now"
        );
        assert_eq!(swept(&format!("jattach-{PID}-4242")), [""; 0], "it lives");
        for others in ["tmpfs", "jattach-x-9", "jattach-9", "other-9-9"] {
            assert_eq!(swept(others), [""; 0], "{others}");
        }
    }

    #[test]
    fn a_tmp_that_leads_out_of_the_targets_root_is_not_followed() {
        let fake = target("tmpfs");
        let outside = fake.path("outside");
        fs::create_dir(&outside).expect("created");
        fs::remove_dir(fake.path("proc/root/tmp")).expect("removed");
        for link in [outside.as_path(), "../../outside".as_ref(), "/proc/self/cwd".as_ref()] {
            std::os::unix::fs::symlink(link, fake.path("proc/root/tmp")).expect("linked");
            let failure = mount(&fake, &PID.to_string(), &mut Vec::new()).expect_err("refused");
            assert_eq!(failure.code, Code::TmpNotWritable, "{}: {failure}", link.display());
            fs::remove_file(fake.path("proc/root/tmp")).expect("removed");
        }
        assert_eq!(fake.calls(), ["not dumpable"; 3]);
    }

    #[test]
    fn who_cannot_close_itself_to_others_mounts_nothing() {
        let fake = target("tmpfs");
        fake.refuse("not dumpable", Errno::EPERM);
        assert_eq!(mount(&fake, &PID.to_string(), &mut Vec::new()).expect_err("refused").code, Code::Other);
        assert_eq!(fake.calls(), ["not dumpable"]);
    }

    #[test]
    fn who_fails_to_mount_or_unmount_comes_back_from_the_targets_namespace_and_names_the_call() {
        for (name, call, cause) in [(Some("jattach-1-1"), "mount", NOT_MOUNTED), (None, "umount", NOT_TAKEN_AWAY)] {
            let fake = target("tmpfs");
            fake.refuse(call, Errno::EPERM);
            let target = Target::open(&fake, PID).expect("a process");
            let failure = change(&target, tmp(&target).expect("opened").as_fd(), name).expect_err("refused");
            assert!(failure.cause == cause && failure.evidence.contains(call), "{failure}");
            let did = [call, name.unwrap_or_default()].join(" ");
            assert_eq!(fake.calls(), ["setns theirs", did.trim_end(), "setns own"]);
        }
    }

    #[test]
    #[should_panic(expected = "the target's mount namespace")]
    fn who_cannot_come_back_from_the_targets_namespace_does_nothing_more() {
        let fake = target("tmpfs");
        fake.refuse("setns own", Errno::EPERM);
        let target = Target::open(&fake, PID).expect("a process");
        let _ = change(&target, tmp(&target).expect("opened").as_fd(), Some("jattach-1-1"));
    }

    #[test]
    fn two_of_ours_are_not_laid_over_each_other() {
        let fake = target(&format!("jattach-{PID}-4242"));
        let target = Target::open(&fake, PID).expect("a process");
        let failure = mount(&fake, &PID.to_string(), &mut Vec::new()).expect_err("refused");
        assert!(failure.evidence.contains("another command"), "{failure}");
        let tmp = tmp(&target).expect("opened");
        assert!(Mounts::swept(&target).is_ok_and(|mounts| mounts.obstacle(&target, tmp.as_fd()).is_some()));
        assert_eq!(fake.calls(), ["not dumpable"]);
    }

    #[test]
    fn what_would_be_hidden_or_seen_elsewhere_is_not_mounted_over() {
        let fake = target("tmpfs");
        let target = Target::open(&fake, PID).expect("a process");
        let tmp = tmp(&target).expect("opened");
        let obstacle = || Mounts::read(&target).expect("read").obstacle(&target, tmp.as_fd());
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", tmp.as_raw_fd())).expect("read");
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).expect("an id").trim();
        let mounted =
            |options: &str| fake.write("proc/mountinfo", &format!("{id} 1 0:1 / / rw{options} - overlay x rw\n"));
        mounted(" master:3");
        assert_eq!(obstacle(), None);
        mounted(" shared:3 master:4");
        assert!(obstacle().is_some_and(|seen| seen.contains("shared")));
        fake.write("proc/mountinfo", "");
        assert!(obstacle().is_some(), "of a mount that is not seen nothing is known");
        mounted("");
        fake.write("proc/root/tmp/precious", "");
        assert!(obstacle().is_some_and(|seen| seen.contains("precious")));
        assert_eq!(fake.calls(), [""; 0]);
    }
}
