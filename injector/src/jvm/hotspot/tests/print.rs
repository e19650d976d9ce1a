//! SIGQUIT without a trigger file, for a JVM that cannot be attached to.

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;

use super::TRIGGER;
use crate::jvm::hotspot::print_threads;
use crate::jvm::hsperf;
use crate::process::Target;
use crate::sys::fake::{Fake, PID};

fn print(fake: &Fake) -> Result<(), Failure> {
    let target = Target::open(fake, PID)?;
    print_threads(&target)
}

/// What refuses it, and that nothing was done to the process.
fn refusal(fake: &Fake) -> Code {
    let failure = print(fake).expect_err("refused");
    assert_eq!(fake.calls(), [""; 0], "{failure}");
    failure.code
}

#[test]
fn a_jvm_that_handles_sigquit_gets_that_and_nothing_else() {
    let fake = Fake::jvm();
    print(&fake).expect("signalled");
    assert_eq!(fake.calls(), ["pidfd_send_signal SIGQUIT"]);
}

#[test]
fn neither_a_tmp_that_takes_no_file_nor_a_jvm_that_does_not_attach_stands_in_its_way() {
    let fake = Fake::jvm();
    fake.refuse("create", Errno::EROFS);
    hsperf::publish(&fake, &hsperf::fixture(&[("sun.rt.jvmCapabilities", "0100000000")]));
    print(&fake).expect("signalled");
    std::fs::remove_dir_all(fake.path("proc/root/tmp")).expect("removed");
    print(&fake).expect("signalled without a /tmp at all");
}

#[test]
fn what_is_no_willing_jvm_is_not_signalled() {
    let with = |change: &dyn Fn(&Fake)| {
        let fake = Fake::jvm();
        change(&fake);
        refusal(&fake)
    };
    let maps = |maps: &'static str| with(&move |fake: &Fake| fake.write("proc/maps", maps));
    let status = |name: &'static str, value: &'static str| with(&move |fake: &Fake| fake.set_status(&[(name, value)]));
    assert_eq!(maps("1-2 r-xp 0 0:0 1 /usr/bin/kubectl\n"), Code::NoJvm, "Go has a handler, and ends");
    assert_eq!(maps("1-2 r-xp 0 0:0 1 /j/libjvm.so\n3-4 r-xp 0 0:0 2 /j/libj9vm29.so\n"), Code::NotAttachable);
    assert_eq!(status("SigCgt", "0000000181005ccb"), Code::NotAttachable, "-Xrs, or starting");
    assert_eq!(status("SigIgn", "0000000000000004"), Code::NotAttachable);
    assert_eq!(status("State", "T (stopped)"), Code::NotAttachable, "it would print when nobody reads any more");
    assert_eq!(status("State", "Z (zombie)"), Code::TargetEnded);
}

#[test]
fn a_trigger_file_of_anybody_would_make_the_signal_another_one() {
    for path in [TRIGGER, "proc/cwd/.attach_pid7"] {
        let fake = Fake::jvm();
        fake.write(path, "");
        assert_eq!(refusal(&fake), Code::NotAttachable, "{path}");
    }
}

#[test]
fn what_the_jvms_own_user_may_not_enter_hides_no_trigger_file() {
    let fake = Fake::jvm();
    fake.refuse("open .attach_pid7", Errno::EACCES);
    print(&fake).expect("signalled: the JVM would not get at a file there either");
    let fake = Fake::jvm();
    fake.refuse("open cwd", Errno::EACCES);
    assert_eq!(refusal(&fake), Code::Denied, "nothing is known of it");
}

#[test]
fn the_trigger_file_of_a_killed_injector_is_no_other_tools() {
    let fake = Fake::jvm();
    fake.write(TRIGGER, "kubectl-jattach\n");
    print(&fake).expect("signalled");
    assert!(!fake.path(TRIGGER).exists());
}
