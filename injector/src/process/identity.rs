//! Who we are, whom the target lets in, and becoming that.
//!
//! The kernel opens `/proc/T/root` to a process with the target's uid *and* gid whose effective capabilities include the
//! target's permitted ones; the JVM opens our `/proc/I/root` under the same rule the other way round. So there is one
//! identity that serves both: exactly the target's.

use std::os::fd::AsFd;

use jattach_protocol::{Code, Failure, Identity};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use super::{Ids, Label, Status, Target, read_limited};
use crate::sys::Sys;

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
        Failure::new(Code::Other, "cannot read our own status").evidence(format!("/proc/self/status: {}", errno.desc()))
    })?;
    Status::parse(&text).ok_or_else(|| Failure::new(Code::Other, "/proc/self/status makes no sense"))
}

/// Takes the target's uid, gid, supplementary groups and permitted capabilities on, for good, and stays reachable for the
/// target through `/proc`. Everything is checked before anything is changed.
///
/// Capabilities are a thread's: call this before any thread is started.
pub(crate) fn become_like(target: &Target<'_>) -> Result<(), Failure> {
    let sys = target.sys();
    let own = own_status(sys)?;
    let theirs = target.status()?;
    let wanted = theirs.identity();
    let (same_uid, same_gid) = (all(own.uid, wanted.uid), all(own.gid, wanted.gid));
    let refused = (!same_uid && own.effective & CAP_SETUID == 0)
        || (!same_gid && own.effective & CAP_SETGID == 0)
        || wanted.capabilities & !own.permitted != 0;
    if refused {
        return Err(wrong_identity(target.pid(), &own, &wanted));
    }
    let change = || {
        if own.groups != theirs.groups && own.effective & CAP_SETGID != 0 {
            sys.set_groups(&theirs.groups)?;
        }
        if !same_gid {
            sys.set_gid(wanted.gid)?;
        }
        if !same_uid {
            sys.set_uid(wanted.uid)?;
        }
        if !same_uid || own.permitted != wanted.capabilities || own.effective != wanted.capabilities {
            sys.set_capabilities(wanted.capabilities)?;
        }
        sys.set_dumpable()
    };
    change().map_err(|errno: Errno| {
        let failure = wrong_identity(target.pid(), &own, &wanted);
        let evidence = format!("{}; {}", failure.evidence, errno.desc());
        failure.evidence(evidence)
    })
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
    let seen = format!("{path}: {}", errno.desc());
    let fits =
        own.uid.effective == wanted.uid && own.gid.effective == wanted.gid && wanted.capabilities & !own.effective == 0;
    if !fits {
        let failure = wrong_identity(target.pid(), &own, &wanted);
        let evidence = format!("{}; {seen}", failure.evidence);
        return failure.evidence(evidence);
    }
    let (own_label, label) = (Label::own(), target.label());
    if own_label != label {
        let cause = format!("{} keeps the injector from process {}", label.module(), target.pid());
        return Failure::new(Code::Denied, cause)
            .evidence(format!("label of the target: {label}; of the injector: {own_label}; {seen}"))
            .remedy("give the injector the security profile (AppArmor, SELinux) of the target's container");
    }
    if !dumpable(target) {
        let wanted = Identity { capabilities: wanted.capabilities | CAP_SYS_PTRACE, ..wanted };
        return Failure::new(Code::WrongIdentity, format!("process {} is closed to its own user", target.pid()))
            .evidence(format!("it is not dumpable (its executable may not be readable); {seen}"))
            .remedy("only CAP_SYS_PTRACE opens it: make the java executable readable, or grant the capability")
            .identity(wanted);
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

/// A process that is not dumpable has a `/proc` directory owned by root (proc(5)).
fn dumpable(target: &Target<'_>) -> bool {
    match (fstat(target.directory()), target.status()) {
        (Ok(seen), Ok(status)) => seen.st_uid == status.uid.effective,
        _ => true,
    }
}

fn all(ids: Ids, id: u32) -> bool {
    [ids.real, ids.effective, ids.saved, ids.filesystem] == [id; 4]
}
