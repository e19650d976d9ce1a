//! Who we are, whom the target lets in, and becoming that.
//!
//! The kernel opens `/proc/T/root` to a process with the target's uid *and* gid whose effective capabilities include the
//! target's permitted ones; the JVM opens our `/proc/I/root` under the same rule the other way round. So there is one
//! identity that serves both: exactly the target's. A process that is not dumpable is closed to its own user, too: it has
//! to be opened before, by CAP_SYS_PTRACE.

use std::os::fd::AsFd;

use jattach_protocol::{Code, Failure, Identity};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Ids, Label, Status, Target, read_limited};
use crate::sys::{Sys, describe};

const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// Our own status.
pub(crate) fn own_status(sys: &dyn Sys) -> Result<Status, Failure> {
    let read = || {
        let directory = sys.own_proc_dir()?;
        read_limited(sys.open_at(directory.as_fd(), b"status", OFlag::O_RDONLY)?, 1 << 16)
    };
    let text = read().map_err(|errno| {
        Failure::new(Code::Other, "cannot read our own status")
            .evidence(format!("/proc/self/status: {}", describe(errno)))
    })?;
    Status::parse(&text).ok_or_else(|| Failure::new(Code::Other, "/proc/self/status makes no sense"))
}

/// Fails unless [`become_like`] would succeed.
pub(crate) fn require_fit(target: &Target<'_>) -> Result<(), Failure> {
    Change::plan(target).map(drop)
}

/// Takes the target's uid, gid, supplementary groups and permitted capabilities on, for good, and stays reachable for the
/// target through `/proc`. Everything is checked before anything is changed. No thread keeps more than that.
pub(crate) fn become_like(target: &Target<'_>) -> Result<(), Failure> {
    let change = Change::plan(target)?;
    change.carry_out(target.sys()).map_err(|errno| {
        let (pid, why) = (target.pid(), describe(errno));
        if !matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EINVAL) {
            // Another container would fare no better.
            return Failure::new(Code::Other, format!("the injector cannot become what process {pid} is"))
                .evidence(why)
                .remedy("try again: a thread of the injector may have had no CPU");
        }
        let failure = wrong_identity(pid, &change.own, &change.theirs.identity());
        let evidence = format!("{}; {why}", failure.evidence);
        failure.evidence(evidence)
    })
}

/// Runs `look` with this thread's file accesses made in the target's name, where we may do that: root without
/// CAP_SYS_PTRACE cannot read a user's `/proc/T/maps`, and can become that user for a moment. A user who has become what
/// the target of its job is stays that, whatever it could do.
pub(crate) fn with_file_access_of<T>(target: &Target<'_>, look: impl FnOnce() -> T) -> T {
    let sys = target.sys();
    let (Ok(own), Ok(theirs)) = (own_status(sys), target.status()) else { return look() };
    let (uid, gid) = (theirs.uid.effective, theirs.gid.effective);
    let may = own.uid.real == 0 && own.effective & CAP_SETUID != 0 && own.effective & CAP_SETGID != 0;
    if !may || (own.uid.filesystem, own.gid.filesystem) == (uid, gid) {
        return look();
    }
    sys.set_fs_ids(uid, gid);
    let result = look();
    sys.set_fs_ids(own.uid.filesystem, own.gid.filesystem);
    result
}

impl Status {
    /// Whether who has it may open processes that are closed to their own user.
    pub(crate) fn may_open_closed(&self) -> bool {
        self.effective & CAP_SYS_PTRACE != 0
    }
}

impl Target<'_> {
    /// Opens what may be closed to us once we are what it is: with CAP_SYS_PTRACE it opens now and perhaps not with the
    /// target's ids; without it, the other way round.
    pub(crate) fn open_ahead(&self) {
        let _ = self.root();
        let _ = self.working_directory();
        let _ = self.libraries();
    }

    /// Takes over what `earlier` has opened, if that is the same process.
    pub(crate) fn inherit(&self, earlier: &Target<'_>) {
        if !self.is(earlier) {
            return;
        }
        for (own, its) in [(&self.root, &earlier.root), (&self.working_directory, &earlier.working_directory)] {
            if let Some(handle) = its.get().and_then(|handle| handle.try_clone().ok()) {
                let _ = own.set(handle);
            }
        }
        if let Some(libraries) = earlier.libraries.get() {
            let _ = self.libraries.set(libraries.clone());
        }
    }
}

/// The way from our identity to the target's.
struct Change {
    own: Status,
    theirs: Status,
}

impl Change {
    fn plan(target: &Target<'_>) -> Result<Change, Failure> {
        let change = Change { own: own_status(target.sys())?, theirs: target.status()? };
        let Change { own, theirs } = &change;
        let refused = (!change.same_uid() && own.effective & CAP_SETUID == 0)
            || (!change.same_gid() && own.effective & CAP_SETGID == 0)
            || theirs.permitted & !own.permitted != 0;
        if refused {
            return Err(
                closed(target, own, theirs).unwrap_or_else(|| wrong_identity(target.pid(), own, &theirs.identity()))
            );
        }
        Ok(change)
    }

    fn carry_out(&self, sys: &dyn Sys) -> Result<(), Errno> {
        if self.is_none() {
            return sys.set_dumpable(true);
        }
        // From the first change on the target's user could look into threads that have not followed yet.
        sys.set_dumpable(false)?;
        if self.may_change_groups() {
            sys.set_groups(&self.theirs.groups)?;
        }
        self.take_ids(sys)?;
        if !self.same_uid() || !self.same_capabilities() {
            sys.set_capabilities(self.theirs.identity().capabilities)?;
        }
        // A thread that was looking for another client in somebody's name has gone back to ours, if it still might.
        self.take_ids(sys)?;
        sys.set_dumpable(true)
    }

    fn take_ids(&self, sys: &dyn Sys) -> Result<(), Errno> {
        let Identity { uid, gid, .. } = self.theirs.identity();
        if !self.same_gid() {
            sys.set_gid(gid)?;
        }
        if !self.same_uid() {
            sys.set_uid(uid)?;
        }
        Ok(())
    }

    /// We are it already: a process that waits for its jobs is not closed for a moment at each.
    fn is_none(&self) -> bool {
        self.same_uid() && self.same_gid() && self.same_capabilities() && !self.may_change_groups()
    }

    fn may_change_groups(&self) -> bool {
        self.own.groups != self.theirs.groups && self.own.effective & CAP_SETGID != 0
    }

    fn same_capabilities(&self) -> bool {
        [self.own.permitted, self.own.effective] == [self.theirs.identity().capabilities; 2]
    }

    fn same_uid(&self) -> bool {
        all(self.own.uid, self.theirs.uid.effective)
    }

    fn same_gid(&self) -> bool {
        all(self.own.gid, self.theirs.gid.effective)
    }
}

/// Why the kernel refuses `path`, a thing of the target's that its own identity could reach.
pub(crate) fn explain_refusal(target: &Target<'_>, path: &str, errno: Errno) -> Failure {
    if matches!(errno, Errno::ESRCH | Errno::ENOENT) {
        return target.ended(errno);
    }
    let (own, theirs) = match (own_status(target.sys()), target.status()) {
        (Ok(own), Ok(theirs)) => (own, theirs),
        (Err(failure), _) | (_, Err(failure)) => return failure,
    };
    let wanted = theirs.identity();
    let seen = format!("{path}: {}", describe(errno));
    let fits =
        own.uid.effective == wanted.uid && own.gid.effective == wanted.gid && wanted.capabilities & !own.effective == 0;
    if let Some(failure) = closed(target, &own, &theirs) {
        return failure;
    }
    if !fits {
        let failure = wrong_identity(target.pid(), &own, &wanted);
        let evidence = format!("{}; {seen}", failure.evidence);
        return failure.evidence(evidence);
    }
    let (own_label, label) = (Label::own(target.sys()), target.label());
    if own_label != label {
        // Where the target's may not even be read, ours tells whose labels they are.
        let module = if label.is_empty() { own_label.module() } else { label.module() };
        let cause = format!("{module} keeps the injector from process {}", target.pid());
        return Failure::new(Code::Denied, cause)
            .evidence(format!("label of the target: {label}; of the injector: {own_label}; {seen}"))
            .remedy(
                "the injector's container takes over what the pod's spec says (appArmorProfile, seLinuxOptions): name there \
                 what the target runs under",
            );
    }
    Failure::new(Code::Denied, format!("the kernel refuses access to process {}", target.pid()))
        .evidence(format!("{seen}; ids, capabilities and security labels are the same"))
}

/// The failure that names both identities, and carries the one that would fit.
pub(crate) fn wrong_identity(pid: u32, own: &Status, wanted: &Identity) -> Failure {
    let Identity { uid, gid, capabilities } = *wanted;
    Failure::new(Code::WrongIdentity, format!("the injector's identity does not fit process {pid}"))
        .evidence(format!(
            "target {uid}:{gid} CapPrm {capabilities:016x}; injector {}:{} CapPrm {:016x}",
            own.uid.effective, own.gid.effective, own.permitted
        ))
        .remedy(format!("run the injector as {uid}:{gid} with the target's capabilities"))
        .identity(*wanted)
}

/// The refusal of a process that is closed to its own user, where we are not who may open it: no identity would fit.
fn closed(target: &Target<'_>, own: &Status, theirs: &Status) -> Option<Failure> {
    if own.may_open_closed() || is_dumpable(target, theirs) {
        return None;
    }
    let pid = target.pid();
    let failure = Failure::new(Code::NotAttachable, format!("process {pid} is closed to its own user"))
        .evidence(format!("/proc/{pid}/status is root's, though uid {} runs it: not dumpable", theirs.uid.effective))
        .remedy(
            "only CAP_SYS_PTRACE opens it: --profile=general gives the injector that. Most often java may be executed and not \
             read (mode 0711): chmod a+r it in the image; a launcher that changes its user itself has the same effect",
        );
    Some(failure)
}

/// Whether its own user may look into it. The files of its `/proc` directory are root's where not; the directory itself is its
/// user's all the same (task_dump_owner of Linux's fs/proc/base.c).
pub(crate) fn is_dumpable(target: &Target<'_>, status: &Status) -> bool {
    let owner = target.sys().owner(target.directory(), b"status");
    owner.map_or(true, |owner| owner == status.uid.effective)
}

fn all(ids: Ids, id: u32) -> bool {
    [ids.real, ids.effective, ids.saved, ids.filesystem] == [id; 4]
}

#[cfg(test)]
mod tests;
