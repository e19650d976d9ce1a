//! The safe order, told by what it does to a process that is made of files: see [`Fake`].

mod hostile;
mod print;
mod states;

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;

use super::{Limits, connect};
use crate::jvm::command::Command;
use crate::jvm::hsperf;
use crate::process::Target;
use crate::skip::skip;
use crate::sys::Peer;
use crate::sys::fake::{Fake, PID};

const SOCKET: &str = "proc/root/tmp/.java_pid7";
const TRIGGER: &str = "proc/root/tmp/.attach_pid7";

/// So short that a test whose JVM is not to answer does not take long; nothing depends on its length.
const SHORT: Limits = Limits { attach: Duration::from_millis(50), silence: Duration::from_millis(50) };

fn attach(fake: &Fake) -> Result<(), Failure> {
    let target = Target::open(fake, PID)?;
    connect(&target, Limits::default()).map(drop)
}

/// What refuses it, and that nothing was signalled or left behind.
fn refusal(fake: &Fake) -> Failure {
    let failure = attach(fake).expect_err("refused");
    assert!(!signalled(fake), "{:?}", fake.calls());
    assert!(!fake.path(TRIGGER).exists());
    failure
}

fn signalled(fake: &Fake) -> bool {
    fake.calls().iter().any(|call| call.contains("SIGQUIT"))
}

/// As HotSpot does it: bound under another name, renamed when it listens.
fn listen(path: &Path) -> UnixListener {
    let temporary = path.with_extension("tmp");
    let listener = UnixListener::bind(&temporary).expect("bound");
    std::fs::rename(temporary, path).expect("renamed");
    listener
}

fn listen_when_signalled(fake: &Fake) {
    let path: PathBuf = fake.path(SOCKET);
    let mut listeners = Vec::new();
    fake.on_signal(move || listeners.push(listen(&path)));
}

#[test]
fn a_jvm_that_listens_gets_no_signal_and_no_trigger_file() {
    let fake = Fake::jvm();
    let _listener = listen(&fake.path(SOCKET));
    attach(&fake).expect("connected");
    assert_eq!(fake.calls(), ["connect"]);
}

#[test]
fn a_willing_jvm_gets_the_trigger_file_before_the_signal_and_loses_it_after() {
    let fake = Fake::jvm();
    listen_when_signalled(&fake);
    attach(&fake).expect("connected");
    assert_eq!(fake.calls(), ["create .attach_pid7", "pidfd_send_signal SIGQUIT", "connect"]);
    assert!(!fake.path(TRIGGER).exists());
}

#[test]
fn a_jvm_that_does_not_answer_costs_the_limit_and_leaves_no_trigger_file() {
    let fake = Fake::jvm();
    let target = Target::open(&fake, PID).expect("opened");
    let failure = connect(&target, SHORT).err().expect("nobody answers");
    assert_eq!(failure.code, Code::NoAnswer);
    assert!(signalled(&fake));
    assert!(!fake.path(TRIGGER).exists());
}

#[test]
fn without_pidfds_the_signal_goes_by_number_after_the_start_time_was_compared() {
    let fake = Fake::jvm();
    fake.refuse("pidfd_open", Errno::EPERM);
    listen_when_signalled(&fake);
    attach(&fake).expect("connected");
    assert!(fake.calls().contains(&"kill 4711 SIGQUIT".to_string()), "{:?}", fake.calls());

    let fake = Fake::jvm();
    fake.refuse("pidfd_open", Errno::ENOSYS);
    let target = Target::open(&fake, PID).expect("opened");
    fake.write("proc/stat", "4711 (other) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 5000 0");
    assert_eq!(connect(&target, Limits::default()).err().map(|failure| failure.code), Some(Code::TargetEnded));
    assert!(!signalled(&fake));
}

#[test]
fn openat2_refused_by_a_seccomp_profile_changes_nothing() {
    for errno in [Errno::EPERM, Errno::ENOSYS] {
        let fake = Fake::jvm();
        fake.refuse("openat2", errno);
        listen_when_signalled(&fake);
        attach(&fake).expect("connected");
        assert!(!fake.path(TRIGGER).exists());
    }
}

#[test]
fn a_process_without_libjvm_is_not_signalled() {
    let fake = Fake::jvm();
    fake.write("proc/maps", "7f00-7f01 r-xp 00000000 00:00 1 /opt/libjvm.so.bak\n");
    assert_eq!(refusal(&fake).code, Code::NoJvm);
}

#[test]
fn a_jvm_without_a_handler_for_sigquit_is_not_signalled() {
    let fake = Fake::jvm();
    fake.set_status(&[("SigCgt", "0000000181005ccb")]);
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
    fake.set_status(&[("SigIgn", "0000000000000004")]);
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
}

#[test]
fn a_stopped_jvm_is_not_signalled_and_gets_no_request_either() {
    for state in ["T (stopped)", "t (tracing stop)"] {
        let fake = Fake::jvm();
        fake.set_status(&[("State", state)]);
        assert_eq!(refusal(&fake).code, Code::NotAttachable);
        let _listener = listen(&fake.path(SOCKET));
        assert_eq!(refusal(&fake).code, Code::NotAttachable);
    }
}

#[test]
fn a_jvm_that_has_ended_is_not_signalled_though_its_remains_are_there() {
    for state in ["Z (zombie)", "X (dead)"] {
        let fake = Fake::jvm();
        fake.set_status(&[("State", state)]);
        assert_eq!(refusal(&fake).code, Code::TargetEnded);
    }
}

#[test]
fn another_process_on_the_socket_is_named_and_refused() {
    let mut fake = Fake::jvm();
    let _listener = listen(&fake.path(SOCKET));
    fake.peer.pid = 4712;
    let failure = refusal(&fake);
    assert_eq!(failure.code, Code::WrongPeer);
    assert!(failure.cause.contains("4712"), "{failure}");
    fake.peer = Peer { pid: PID, uid: fake.peer.uid + 1, gid: fake.peer.gid };
    assert_eq!(refusal(&fake).code, Code::WrongPeer);
}

#[test]
fn something_else_in_the_sockets_place_is_refused() {
    let fake = Fake::jvm();
    fake.write(SOCKET, "");
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
    std::fs::remove_file(fake.path(SOCKET)).expect("removed");
    let _listener = listen(&fake.path("proc/root/tmp/elsewhere"));
    std::os::unix::fs::symlink("elsewhere", fake.path(SOCKET)).expect("linked");
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
}

#[test]
fn a_socket_that_nobody_listens_on_any_more_is_replaced() {
    let fake = Fake::jvm();
    drop(listen(&fake.path(SOCKET)));
    listen_when_signalled(&fake);
    attach(&fake).expect("connected");
    assert!(signalled(&fake));
}

#[test]
fn a_link_out_of_the_root_is_not_followed_with_or_without_openat2() {
    for refused in [None, Some(Errno::EPERM)] {
        let fake = Fake::jvm();
        if let Some(errno) = refused {
            fake.refuse("openat2", errno);
        }
        std::fs::create_dir(fake.path("outside")).expect("created");
        std::fs::remove_dir(fake.path("proc/root/tmp")).expect("removed");
        std::os::unix::fs::symlink("../../outside", fake.path("proc/root/tmp")).expect("linked");
        assert_eq!(refusal(&fake).code, Code::TmpNotWritable, "there is no /outside in the root");
        std::fs::create_dir(fake.path("proc/root/outside")).expect("created");
        let _listener = listen(&fake.path("proc/root/outside/.java_pid7"));
        attach(&fake).expect("the link leads to /outside in the root");
    }
}

#[test]
fn the_trigger_file_of_a_killed_injector_is_swept_and_another_tools_is_not() {
    let fake = Fake::jvm();
    let _listener = listen(&fake.path(SOCKET));
    fake.write(TRIGGER, "kubectl-jattach\n");
    attach(&fake).expect("connected");
    assert!(!fake.path(TRIGGER).exists(), "marked, and locked by nobody");
    fake.write(TRIGGER, "");
    attach(&fake).expect("connected");
    assert!(fake.path(TRIGGER).exists(), "not marked");
    fake.write(TRIGGER, "kubectl-jattach\n");
    let file = std::fs::File::open(fake.path(TRIGGER)).expect("opened");
    file.lock().expect("locked");
    attach(&fake).expect("connected");
    assert!(fake.path(TRIGGER).exists(), "its maker lives");
}

#[test]
fn a_trigger_file_that_another_tool_made_serves_too() {
    let fake = Fake::jvm();
    fake.write(TRIGGER, "");
    listen_when_signalled(&fake);
    attach(&fake).expect("connected");
    assert_eq!(fake.calls(), ["create .attach_pid7", "pidfd_send_signal SIGQUIT", "connect"]);
    assert!(!fake.path(TRIGGER).exists(), "with the socket there, nobody needs it any more");
}

#[test]
fn a_jvm_that_says_it_does_not_attach_is_not_signalled() {
    let fake = Fake::jvm();
    let data = hsperf::fixture(&[("sun.rt.jvmCapabilities", "0100000000")]);
    hsperf::publish(&fake, &data);
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
}

#[test]
fn openj9_would_write_a_javacore_and_is_not_signalled() {
    let fake = Fake::jvm();
    fake.write("proc/maps", "1-2 r-xp 0 0:0 1 /j9/libjvm.so\n3-4 r-xp 0 0:0 2 /j9/libj9vm29.so\n");
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
}

#[test]
fn a_file_in_the_working_directory_that_hides_the_trigger_is_found_out() {
    if !nix::unistd::geteuid().is_root() {
        return skip("giving a file away is root's alone");
    }
    let fake = Fake::jvm();
    fake.write("proc/cwd/.attach_pid7", "");
    std::os::unix::fs::chown(fake.path("proc/cwd/.attach_pid7"), Some(12345), None).expect("given away");
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
}

#[test]
fn a_tmp_that_takes_no_file_is_found_out_before_the_signal() {
    for errno in [Errno::EROFS, Errno::EACCES, Errno::ENOSPC] {
        let fake = Fake::jvm();
        fake.refuse("create", errno);
        let failure = refusal(&fake);
        assert_eq!(failure.code, Code::TmpNotWritable);
        assert!(failure.evidence.contains(".attach_pid7"), "{failure}");
    }
}

#[test]
fn a_request_is_one_write_and_its_reply_a_code_and_text() {
    let fake = Fake::jvm();
    let listener = listen(&fake.path(SOCKET));
    let jvm = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut request = [0; 64];
        let count = client.read(&mut request).expect("a request");
        std::io::Write::write_all(&mut client, b"0\nline\n").expect("answered");
        request[..count].to_vec()
    });
    let target = Target::open(&fake, PID).expect("opened");
    let command = Command::like_jattach(b"threaddump", &[b"-l".to_vec()]).expect("no NUL");
    let mut reply = connect(&target, Limits::default()).expect("connected").request(&command).expect("sent");
    assert_eq!(reply.code().expect("a code"), 0);
    let mut text = String::new();
    reply.read_to_string(&mut text).expect("text");
    assert_eq!(text, "line\n");
    assert_eq!(jvm.join().expect("no panic"), b"1\0threaddump\0-l\0\0\0");
}

#[test]
fn a_reply_that_does_not_come_in_time_is_no_answer() {
    let fake = Fake::jvm();
    let _listener = listen(&fake.path(SOCKET));
    let target = Target::open(&fake, PID).expect("opened");
    let command = Command::like_jattach(b"threaddump", &[]).expect("no NUL");
    let mut reply = connect(&target, SHORT).expect("connected").request(&command).expect("sent");
    assert_eq!(reply.code().map_err(|error| error.kind()), Err(std::io::ErrorKind::TimedOut));
}
