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
use nix::sys::prctl;
use nix::sys::stat::{fstat, major, minor};

use crate::process::{Target, container_id, pids, read_limited};
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

/// The container's main process: stays as long as something of ours is mounted, and takes away what is left of it.
#[inline(never)]
pub(crate) fn guard(sys: &dyn Sys, who: &str) -> Result<(), Failure> {
    let target = find(sys, who)?;
    let mut served = false;
    loop {
        let mounts = Mounts::read(&target)?;
        mounts.sweep(&target)?;
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
#[inline(never)]
pub(crate) fn mount(sys: &dyn Sys, who: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let target = find(sys, who)?;
    let below = tmp(&target).map_err(|errno| refused(&target, "there is no /tmp to mount over", &describe(errno)))?;
    let mounts = Mounts::read(&target)?;
    mounts.refuse_shared(&target, below.as_fd())?;
    refuse_full(&target, below.as_fd())?;
    let own = Target::open(sys, std::process::id())?;
    let name = format!("{NAME}{}-{}", own.pid(), own.start_time());
    within(&target, || sys.mount_over(below.as_fd(), &name)).map_err(|errno| failed(&target, errno))?;
    let said = out.write_all(MOUNTED).and_then(|()| out.flush());
    if let (Ok(()), Ok(client)) = (said, io::stdin().as_fd().try_clone_to_owned()) {
        attend(&target, &mut client.into());
    }
    Mounts::read(&target)?.take_away(&target, &|mount| mount.is_of(&own))
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

/// A process of the target's container: by its pid, or the first one with its container's id.
fn find<'s>(sys: &'s dyn Sys, who: &str) -> Result<Target<'s>, Failure> {
    // Nobody is to look into who can mount.
    let _ = prctl::set_dumpable(false);
    if let Ok(pid) = who.parse() {
        return Target::open(sys, pid);
    }
    let is_of =
        |target: &Target<'_>| target.control_groups().is_ok_and(|groups| container_id(&groups).as_deref() == Some(who));
    let mut all = pids().into_iter().filter_map(|pid| Target::open(sys, pid).ok());
    all.find(is_of).ok_or_else(|| Failure::new(Code::NoSuchProcess, "no process of the container is in sight"))
}

/// The target's /tmp, or what is mounted over it.
fn tmp(target: &Target<'_>) -> nix::Result<OwnedFd> {
    target.open_in_root(b"/tmp", OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// Does it in the target's mount namespace, and comes back: what lies there is the target's, its /proc too.
fn within(target: &Target<'_>, work: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    let sys = target.sys();
    let own = sys.open_at(sys.own_proc_dir()?.as_fd(), b"ns/mnt", OFlag::O_RDONLY)?;
    let theirs = target.open_entry(b"ns/mnt", OFlag::O_RDONLY)?;
    sys.enter_namespace(theirs.as_fd())?;
    let done = work();
    sys.enter_namespace(own.as_fd())?;
    done
}

/// What a tmpfs would hide.
fn refuse_full(target: &Target<'_>, tmp: BorrowedFd<'_>) -> Result<(), Failure> {
    let first = fs::read_dir(format!("/proc/self/fd/{}", tmp.as_raw_fd())).map(|mut entries| entries.next());
    match first {
        Ok(None) => Ok(()),
        Ok(Some(Ok(first))) => {
            let name = first.file_name().to_string_lossy().into_owned();
            Err(refused(target, "the target's /tmp is not empty: a tmpfs would hide what it holds", &name))
        }
        Ok(Some(Err(error))) | Err(error) => {
            Err(refused(target, "the target's /tmp cannot be read", &error.to_string()))
        }
    }
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
    fn read(target: &Target<'_>) -> Result<Mounts, Failure> {
        let read = || {
            let file = target.open_entry(b"mountinfo", OFlag::O_RDONLY)?;
            let text = read_limited(file.try_clone().map_err(|_| Errno::EMFILE)?, MAX_MOUNTS)?;
            Ok(Mounts { file, text: String::from_utf8_lossy(&text).into_owned() })
        };
        read().map_err(|errno: Errno| target.ended(errno))
    }

    fn ours(&self) -> impl Iterator<Item = Mount> + '_ {
        self.text.lines().filter_map(|line| {
            let (_, name) = line.split_once(" - tmpfs ")?;
            let (pid, rest) = name.strip_prefix(NAME)?.split_once('-')?;
            let start_time = rest.split(' ').next()?.parse().ok()?;
            Some(Mount { device: line.split(' ').nth(2)?.to_owned(), pid: pid.parse().ok()?, start_time })
        })
    }

    /// Takes away what those have left that are no more.
    fn sweep(&self, target: &Target<'_>) -> Result<(), Failure> {
        let sys = target.sys();
        self.take_away(target, &|mount| mount.is_left(sys))
    }

    fn take_away(&self, target: &Target<'_>, wanted: &dyn Fn(&Mount) -> bool) -> Result<(), Failure> {
        for _ in self.ours().filter(|mount| wanted(mount)) {
            let top = tmp(target).and_then(|top| device(top.as_fd()).map(|device| (top, device)));
            let (top, device) = top.map_err(|errno| failed(target, errno))?;
            if self.ours().filter(|mount| wanted(mount)).any(|mount| mount.device == device) {
                within(target, || target.sys().unmount(top.as_fd())).map_err(|errno| failed(target, errno))?;
            }
        }
        Ok(())
    }

    /// What is mounted over a shared mount appears with all who share it, the node among them.
    fn refuse_shared(&self, target: &Target<'_>, tmp: BorrowedFd<'_>) -> Result<(), Failure> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", tmp.as_raw_fd())).unwrap_or_default();
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim).unwrap_or_default();
        let line = self.text.lines().find(|line| line.split(' ').next() == Some(id));
        match line.and_then(|line| line.split(" - ").next()) {
            Some(mount) if !mount.contains(" shared:") => Ok(()),
            mount => Err(refused(target, "the target's /tmp is shared with others", mount.unwrap_or(&info))),
        }
    }
}

fn device(directory: BorrowedFd<'_>) -> nix::Result<String> {
    let device = fstat(directory)?.st_dev;
    Ok(format!("{}:{}", major(device), minor(device)))
}

fn refused(target: &Target<'_>, cause: &str, seen: &str) -> Failure {
    Failure::new(Code::TmpNotWritable, cause).evidence(format!("/proc/{}/root/tmp: {seen}", target.pid()))
}

fn failed(target: &Target<'_>, errno: Errno) -> Failure {
    refused(target, "the kernel refuses to mount or unmount there", &describe(errno))
}
