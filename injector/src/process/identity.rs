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
        let failure = wrong_identity(target.pid(), &change.own, &change.theirs.identity());
        let evidence = format!("{}; {}", failure.evidence, describe(errno));
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
            return Err(wrong_identity(target.pid(), own, &theirs.identity()));
        }
        Ok(change)
    }

    fn carry_out(&self, sys: &dyn Sys) -> Result<(), Errno> {
        let Change { own, theirs } = self;
        let wanted = theirs.identity();
        if own.groups != theirs.groups && own.effective & CAP_SETGID != 0 {
            sys.set_groups(&theirs.groups)?;
        }
        if !self.same_gid() {
            sys.set_gid(wanted.gid)?;
        }
        if !self.same_uid() {
            sys.set_uid(wanted.uid)?;
        }
        let capabilities = wanted.capabilities;
        if !self.same_uid() || own.permitted != capabilities || own.effective != capabilities {
            sys.set_capabilities(capabilities)?;
        }
        sys.set_dumpable()
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
    if !fits {
        let failure = wrong_identity(target.pid(), &own, &wanted);
        let evidence = format!("{}; {seen}", failure.evidence);
        return failure.evidence(evidence);
    }
    let (own_label, label) = (Label::own(), target.label());
    if own_label != label {
        // Where the target's may not even be read, ours tells whose labels they are.
        let module = if label.is_empty() { own_label.module() } else { label.module() };
        let cause = format!("{module} keeps the injector from process {}", target.pid());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::{Fake, PID};

    const ROOT: (&str, &str) = ("Uid", "0\t0\t0\t0");
    const ROOTS_GROUP: (&str, &str) = ("Gid", "0\t0\t0\t0");
    const USER: (&str, &str) = ("Uid", "1000\t1000\t1000\t1000");
    const USERS_GROUP: (&str, &str) = ("Gid", "1001\t1001\t1001\t1001");
    /// What containerd and Docker give root.
    const DEFAULT_SET: &str = "00000000a80425fb";

    fn become_it(fake: &Fake) -> Result<(), Failure> {
        become_like(&Target::open(fake, PID).expect("opened"))
    }

    fn calls_of(own: &[(&str, &str)], theirs: &[(&str, &str)]) -> Vec<String> {
        let fake = Fake::jvm();
        fake.set_own_status(own);
        fake.set_status(theirs);
        become_it(&fake).expect("permitted");
        fake.calls()
    }

    fn refused(own: &[(&str, &str)], theirs: &[(&str, &str)]) -> Failure {
        let fake = Fake::jvm();
        fake.set_own_status(own);
        fake.set_status(theirs);
        let failure = become_it(&fake).expect_err("refused");
        assert_eq!(fake.calls(), Vec::<String>::new(), "nothing is changed before everything is known to be permitted");
        assert_eq!(failure.code, Code::WrongIdentity);
        failure
    }

    #[test]
    fn root_becomes_a_user_group_first_and_drops_every_capability() {
        let own = [ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET), ("CapEff", DEFAULT_SET)];
        let calls = calls_of(&own, &[USER, USERS_GROUP, ("Groups", "1001 2000")]);
        assert_eq!(calls, ["setgroups [1001, 2000]", "setresgid 1001", "setresuid 1000", "capset 0", "dumpable"]);
    }

    #[test]
    fn root_with_more_capabilities_than_roots_jvm_drops_the_rest() {
        let own = [ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET), ("CapEff", DEFAULT_SET)];
        let theirs = [ROOT, ROOTS_GROUP, ("CapPrm", "0000000000000400"), ("CapEff", "0000000000000400")];
        assert_eq!(calls_of(&own, &theirs), ["capset 400", "dumpable"]);
    }

    #[test]
    fn the_same_user_has_nothing_to_change() {
        let same = [USER, USERS_GROUP];
        assert_eq!(calls_of(&same, &same), ["dumpable"]);
    }

    #[test]
    fn a_user_that_differs_in_the_group_alone_is_refused_with_what_would_fit() {
        let failure = refused(&[USER, ROOTS_GROUP], &[USER, USERS_GROUP]);
        assert_eq!(failure.identity, Some(Identity { uid: 1000, gid: 1001, capabilities: 0 }));
        assert!(failure.evidence.contains("1000:1001") && failure.evidence.contains("1000:0"), "{failure}");
    }

    #[test]
    fn one_capability_less_than_the_target_is_refused_with_its_whole_set() {
        let own = [ROOT, ROOTS_GROUP, ("CapPrm", "00000000a80425fa"), ("CapEff", "00000000a80425fa")];
        let failure = refused(&own, &[ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET)]);
        assert_eq!(failure.identity.map(|fit| fit.capabilities), Some(0xa804_25fb));
        assert!(failure.evidence.contains(DEFAULT_SET), "{failure}");
    }

    fn looks_of(own: &[(&str, &str)], theirs: &[(&str, &str)]) -> Vec<String> {
        let fake = Fake::jvm();
        fake.set_own_status(own);
        fake.set_status(theirs);
        with_file_access_of(&Target::open(&fake, PID).expect("opened"), || ());
        fake.calls()
    }

    #[test]
    fn root_looks_at_a_users_process_as_that_user_and_is_root_again() {
        let own = [ROOT, ROOTS_GROUP, ("CapEff", DEFAULT_SET)];
        assert_eq!(looks_of(&own, &[USER, USERS_GROUP]), ["setfsids 1000:1001", "setfsids 0:0"]);
    }

    #[test]
    fn whom_it_serves_nothing_or_who_may_not_looks_as_what_it_is() {
        let root = [ROOT, ROOTS_GROUP, ("CapEff", DEFAULT_SET)];
        let without = [ROOT, ROOTS_GROUP, ("CapEff", "00000000a804253b")];
        let user = [USER, USERS_GROUP, ("CapEff", DEFAULT_SET)];
        for (own, theirs) in [(root, [ROOT, ROOTS_GROUP]), (without, [USER, USERS_GROUP]), (user, [ROOT, ROOTS_GROUP])]
        {
            assert_eq!(looks_of(&own, &theirs), [""; 0], "{own:?} {theirs:?}");
        }
    }

    #[test]
    fn a_kernel_that_refuses_a_permitted_step_is_explained() {
        let fake = Fake::jvm();
        fake.set_own_status(&[ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET), ("CapEff", DEFAULT_SET)]);
        fake.set_status(&[USER, USERS_GROUP]);
        fake.refuse("setresuid", Errno::EINVAL);
        let failure = become_it(&fake).expect_err("no such user in this user namespace");
        assert!(failure.evidence.contains("Invalid argument"), "{failure}");
        assert!(!fake.calls().contains(&"dumpable".to_string()));
    }
}
