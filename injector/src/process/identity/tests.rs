//! Who may become whom, and why not.

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
    assert_eq!(
        calls,
        [
            "not dumpable",
            "setgroups [1001, 2000]",
            "setresgid 1001",
            "setresuid 1000",
            "capset 0",
            "setresgid 1001",
            "setresuid 1000",
            "dumpable"
        ]
    );
}

#[test]
fn root_with_more_capabilities_than_roots_jvm_drops_the_rest() {
    let own = [ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET), ("CapEff", DEFAULT_SET)];
    let theirs = [ROOT, ROOTS_GROUP, ("CapPrm", "0000000000000400"), ("CapEff", "0000000000000400")];
    assert_eq!(calls_of(&own, &theirs), ["not dumpable", "capset 400", "dumpable"]);
}

#[test]
fn the_same_user_has_nothing_to_change() {
    let same = [USER, USERS_GROUP];
    assert_eq!(calls_of(&same, &same), ["dumpable"], "and is not closed to the JVM for a moment");
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

const SYS_PTRACE: &str = "0000000000080000";

/// Why the kernel refuses such a process's root to who we are.
fn explained(fake: &Fake) -> Failure {
    explain_refusal(&Target::open(fake, PID).expect("opened"), "/proc/4711/root", Errno::EACCES)
}

#[test]
fn a_process_that_is_closed_to_its_own_user_is_refused_whoever_else_we_are_and_asks_for_no_identity() {
    for own in [[USER, USERS_GROUP], [ROOT, ROOTS_GROUP], [USER, ROOTS_GROUP]] {
        let mut fake = Fake::jvm();
        fake.closed = true;
        fake.set_own_status(&own);
        fake.set_status(&[USER, USERS_GROUP]);
        let planned = require_fit(&Target::open(&fake, PID).expect("opened")).err();
        for failure in planned.into_iter().chain([explained(&fake)]) {
            assert_eq!((failure.code, failure.identity), (Code::NotAttachable, None), "{failure}");
            assert!(failure.evidence.contains("not dumpable"), "{failure}");
            assert!(failure.remedy.contains("0711"), "{failure}");
        }
    }
}

#[test]
fn who_may_open_a_closed_process_is_refused_for_other_reasons() {
    let mut fake = Fake::jvm();
    fake.closed = true;
    fake.set_own_status(&[USER, ROOTS_GROUP, ("CapEff", SYS_PTRACE)]);
    fake.set_status(&[USER, USERS_GROUP]);
    assert_eq!(explained(&fake).code, Code::WrongIdentity);
}

#[test]
fn what_was_opened_of_a_process_is_taken_over_for_that_process_alone() {
    let fake = Fake::jvm();
    let [earlier, again] = [(); 2].map(|()| Target::open(&fake, PID).expect("opened"));
    fake.write("proc/stat", "4711 (java) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4243 0");
    let another = Target::open(&fake, PID).expect("opened");
    earlier.open_ahead();
    std::fs::remove_file(fake.path("proc/maps")).expect("removed");
    for directory in ["proc/root", "proc/cwd"] {
        std::fs::remove_dir_all(fake.path(directory)).expect("removed");
    }
    for target in [&again, &another] {
        target.inherit(&earlier);
    }
    assert!(again.root().is_ok() && again.working_directory().is_ok());
    assert!(again.libraries().is_ok_and(|libraries| libraries.libjvm.is_some()));
    assert!(another.root().is_err() && another.working_directory().is_err() && another.libraries().is_err());
    fake.write("proc/maps", "1-2 r-xp 0 0:0 1 /usr/sbin/nginx\n");
    assert!(again.libraries().is_ok_and(|seen| seen.libjvm.is_none()), "it executes another program now, and shows it");
}

#[test]
fn where_all_ids_fit_the_labels_are_compared_and_named_with_whose_they_are() {
    let docker = "docker-default (enforce)\n";
    let labels = [
        (
            "unconfined\n",
            docker,
            "AppArmor keeps",
            "the target: unconfined; of the injector: docker-default (enforce);",
        ),
        (
            "system_u:system_r:container_t:s0:c1,c2\0",
            "system_u:system_r:container_t:s0:c3,c4\0",
            "SELinux keeps",
            "the target: system_u:system_r:container_t:s0:c1,c2; of the injector: system_u:system_r:container_t:s0:c3,c4;",
        ),
        ("", docker, "AppArmor keeps", "the target: not shown; of the injector: docker-default (enforce);"),
    ];
    for (its, own, cause, evidence) in labels {
        let fake = Fake::jvm();
        fake.write("proc/attr/current", its);
        fake.write("self/attr/current", own);
        let failure = explained(&fake);
        assert_eq!((failure.code, failure.identity), (Code::Denied, None), "{failure}");
        assert!(failure.cause.starts_with(cause) && failure.evidence.contains(evidence), "{failure}");
        assert!(failure.evidence.ends_with("/proc/4711/root: Permission denied (os error 13)"), "{failure}");
        assert!(failure.remedy.contains("appArmorProfile") && failure.remedy.contains("seLinuxOptions"), "{failure}");
    }
}

/// A person sees what the injector says of this: where the tests run, no security module is active that would let them see
/// it through the plugin.
#[test]
fn a_label_that_differs_reads_as_the_catalogue_shows_it() {
    let fake = Fake::jvm();
    fake.write("proc/attr/current", "unconfined\n");
    fake.write("self/attr/current", "docker-default (enforce)\n");
    let failure = explained(&fake);
    let seen = format!(
        "error[JAT-{:03}]: {}\n  evidence: {}\n  remedy: {}\n",
        failure.code as u16, failure.cause, failure.evidence, failure.remedy
    );
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/errors");
    let expected = std::fs::read_to_string(format!("{folder}/{}.txt", "JAT-008.labels")).expect("a text");
    assert_eq!(seen, expected);
}

#[test]
fn the_same_label_is_not_accused() {
    for label in ["docker-default (enforce)\n", ""] {
        let fake = Fake::jvm();
        fake.write("proc/attr/current", label);
        fake.write("self/attr/current", label);
        let failure = explained(&fake);
        assert_eq!(failure.code, Code::Denied);
        assert!(failure.evidence.ends_with("ids, capabilities and security labels are the same"), "{failure}");
    }
}

#[test]
fn an_identity_that_does_not_fit_goes_before_a_label_that_differs() {
    let fake = Fake::jvm();
    fake.set_own_status(&[USER, ROOTS_GROUP]);
    fake.set_status(&[USER, USERS_GROUP]);
    fake.write("proc/attr/current", "unconfined\n");
    assert_eq!(explained(&fake).code, Code::WrongIdentity);
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
    for (own, theirs) in [(root, [ROOT, ROOTS_GROUP]), (without, [USER, USERS_GROUP]), (user, [ROOT, ROOTS_GROUP])] {
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

#[test]
fn a_thread_that_does_not_follow_is_no_wrong_identity_and_asks_for_no_other_container() {
    let fake = Fake::jvm();
    fake.set_own_status(&[ROOT, ROOTS_GROUP, ("CapPrm", DEFAULT_SET), ("CapEff", DEFAULT_SET)]);
    fake.set_status(&[USER, USERS_GROUP]);
    fake.refuse("capset", Errno::ETIMEDOUT);
    let failure = become_it(&fake).expect_err("not all of it is what the JVM is");
    assert_eq!((failure.code, failure.identity), (Code::Other, None), "{failure}");
    assert!(!fake.calls().contains(&"dumpable".to_string()), "open to the JVM with a thread that has more");
}
