//! The states of `tests/states` as they look in /proc and /tmp, with every call recorded: which are signalled, and which are
//! left alone. Some of them (many threads, no memory, a collector, another parent) look like any other there; other users are
//! in the tests of `identity`, neighbours with the same pid in those beside this.

use std::os::unix::net::UnixListener;

use super::{Limits, SHORT, SOCKET, TRIGGER, listen, listen_when_signalled, signalled};
use crate::jvm::{connect, hsperf, native_image};
use crate::process::Target;
use crate::sys::fake::{Fake, PID};

enum Expected {
    /// Without any signal.
    Connected,
    /// By one, after which it listens.
    Signalled,
    Refused(&'static str),
}
use Expected::{Connected, Refused, Signalled};

/// What makes a process look so, and what has to live as long.
type Look = fn(&Fake) -> Option<UnixListener>;

const NO_HANDLER: &[(&str, &str)] = &[("SigCgt", "2000000181005ccb")];
/// A line of a map that ends in the path of a file.
const PROGRAM: &str = "1-2 r-xp 00000000 00:00 1 /usr/sbin/nginx\n";

fn states() -> Vec<(&'static str, Expected, Look)> {
    let none = "is no HotSpot JVM";
    vec![
        ("normal", Signalled, |fake| publish(fake, "1100")),
        ("-UsePerfData", Signalled, |_| None),
        ("-Xrs", Connected, |fake| status(fake, NO_HANDLER).or(Some(listen(&fake.path(SOCKET))))),
        ("-Xrs, socket deleted", Refused("does not handle SIGQUIT"), |fake| status(fake, NO_HANDLER)),
        ("+DisableAttachMechanism", Refused("DisableAttachMechanism"), |fake| publish(fake, "0100")),
        ("+StartAttachListener", Connected, |fake| Some(listen(&fake.path(SOCKET)))),
        ("starting, before its library", Refused(none), |fake| maps(fake, "")),
        ("starting, before its handler", Refused("does not handle SIGQUIT"), |fake| status(fake, NO_HANDLER)),
        ("stopped", Refused("is stopped"), |fake| status(fake, &[("State", "T (stopped)")])),
        ("stopped, listening", Refused("is stopped"), |fake| {
            status(fake, &[("State", "t (tracing stop)")]).or(Some(listen(&fake.path(SOCKET))))
        }),
        ("stale socket", Signalled, |fake| {
            drop(listen(&fake.path(SOCKET)));
            None
        }),
        ("socket deleted", Signalled, |fake| {
            let listener = listen(&fake.path(SOCKET));
            std::fs::remove_file(fake.path(SOCKET)).expect("it was there");
            Some(listener)
        }),
        ("launcher not called java", Signalled, |fake| named(fake, "run", b"/opt/app/run\0")),
        ("names in any bytes", Signalled, |fake| {
            maps(fake, "1-2 r-xp 00000000 00:00 1 /opt/\x1b[2J\\012 lib/libjvm.so (deleted)\n");
            named(fake, "\x1b[2J\\nState:\tZ", b"\xff\x1b[2J\nSigCgt:\t0\0\n\0")
        }),
        ("OpenJ9", Refused("takes no attach requests"), |fake| maps(fake, "1-2 r-xp 0 0:0 1 /j9/libj9vm29.so\n")),
        ("shell", Refused(none), |fake| maps(fake, "1-2 r-xp 0 0:0 1 /bin/dash\n")),
        ("program called java", Refused(none), |fake| {
            maps(fake, "1-2 r-xp 0 0:0 1 /opt/jdk/bin/java\n");
            named(fake, "java", b"/opt/jdk/bin/java\0")
        }),
        ("stopped shell", Refused("is stopped"), |fake| {
            maps(fake, PROGRAM);
            status(fake, &[("State", "T (stopped)")])
        }),
        ("native image", Refused("is a GraalVM native image"), |fake| {
            std::fs::write(fake.path("proc/exe"), native_image::fixture(&[".svm_heap"])).expect("written");
            maps(fake, PROGRAM)
        }),
        ("native image, listening", Connected, |fake| {
            std::fs::write(fake.path("proc/exe"), native_image::fixture(&[".svm_heap"])).expect("written");
            maps(fake, PROGRAM).or(Some(listen(&fake.path(SOCKET))))
        }),
        ("zombie", Refused("has ended"), |fake| status(fake, &[("State", "Z (zombie)")])),
        ("Go", Refused(none), |fake| status(fake, &[("SigCgt", "ffffffffffc1feff")]).or(maps(fake, PROGRAM))),
        ("nginx", Refused(none), |fake| maps(fake, PROGRAM)),
    ]
}

fn publish(fake: &Fake, capabilities: &str) -> Option<UnixListener> {
    hsperf::publish(fake, &hsperf::fixture(&[("sun.rt.jvmCapabilities", capabilities)]));
    None
}

fn status(fake: &Fake, changes: &[(&str, &str)]) -> Option<UnixListener> {
    fake.set_status(changes);
    None
}

fn maps(fake: &Fake, text: &str) -> Option<UnixListener> {
    fake.write("proc/maps", text);
    None
}

fn named(fake: &Fake, name: &str, command_line: &[u8]) -> Option<UnixListener> {
    fake.set_status(&[("Name", name)]);
    std::fs::write(fake.path("proc/cmdline"), command_line).expect("written");
    None
}

#[test]
fn a_process_is_signalled_in_no_state_but_those_of_a_willing_jvm() {
    for (name, expected, look) in states() {
        let fake = Fake::jvm();
        let _listener = look(&fake);
        listen_when_signalled(&fake);
        let target = Target::open(&fake, PID).expect("opened");
        let refusal = connect(&target, Limits::default()).err();
        let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
        match expected {
            Connected => assert_eq!(fake.calls(), ["connect"], "{name}: {told}"),
            Signalled => {
                let calls = ["create .attach_pid7", "pidfd_send_signal SIGQUIT", "connect"];
                assert_eq!(fake.calls(), calls, "{name}: {told}");
            }
            Refused(words) => assert!(told.contains(words) && !signalled(&fake), "{name}: {told} {:?}", fake.calls()),
        }
        assert_eq!(refusal.is_some(), matches!(expected, Refused(_)), "{name}: {told}");
        assert!(!fake.path(TRIGGER).exists(), "{name}");
    }
}

#[test]
fn a_native_image_that_is_refused_is_told_what_works_and_what_does_not() {
    let fake = Fake::jvm();
    std::fs::write(fake.path("proc/exe"), native_image::fixture(&[".svm_heap"])).expect("written");
    maps(&fake, PROGRAM);
    let target = Target::open(&fake, PID).expect("opened");
    let refusal = connect(&target, Limits::default()).err().expect("it does not listen");
    for words in ["--enable-monitoring=jcmd", "takes `jcmd`", "threaddump, dumpheap and agents are a JVM's"] {
        assert!(refusal.remedy.contains(words), "{refusal}");
    }
}

#[test]
fn a_jvm_at_a_long_safepoint_is_signalled_once_and_given_up() {
    let fake = Fake::jvm();
    let target = Target::open(&fake, PID).expect("opened");
    let told = connect(&target, SHORT).err().expect("nobody answers").to_string();
    assert!(told.contains("long safepoint"), "{told}");
    assert_eq!(fake.calls(), ["create .attach_pid7", "pidfd_send_signal SIGQUIT"]);
}
