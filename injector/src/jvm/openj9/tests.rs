//! The steps, told by what they do to a process that is made of files (see [`Fake`]), whose JVM is this very process.

use std::fs::{self, File, read_dir};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Limits, connect, refuse_heap_dump};
use crate::process::Target;
use crate::sys::fake::{Fake, PID};

const COMMON: &str = "proc/root/tmp/.com_ibm_tools_attach";
const REPLY_INFO: &str = "proc/root/tmp/.com_ibm_tools_attach/7/replyInfo";

/// So short that a test in which nobody is to come does not take long; nothing depends on its length.
const SHORT: Limits = Limits { attach: Duration::from_millis(50), silence: Duration::from_millis(50) };

/// An OpenJ9, and the remains of two others.
fn openj9() -> Fake {
    let fake = Fake::jvm();
    fake.write("proc/maps", "1-2 r-xp 0 0:0 1 /j9/libjvm.so\n3-4 r-xp 0 0:0 2 /j9/libj9vm29.so\n");
    for pid in ["7", "8", "4711"] {
        fs::create_dir_all(fake.path(COMMON).join(pid)).expect("created");
        fake.write(&format!("{COMMON}/{pid}/attachInfo"), "");
        fake.write(&format!("{COMMON}/{pid}/attachNotificationSync"), "");
    }
    fs::create_dir(fake.path(COMMON).join("9")).expect("created: of one that never waited");
    fake.write(&format!("{COMMON}/_attachlock"), "");
    fake.write(&format!("{COMMON}/_notifier"), "");
    for own in ["net", "fd"] {
        symlink(format!("/proc/self/{own}"), fake.path("proc").join(own)).expect("linked");
    }
    fake
}

fn attach(fake: &Fake) -> Result<(), Failure> {
    let target = Target::open(fake, PID)?;
    connect(&target, SHORT).map(drop)
}

/// That nothing is left of an attempt, and nothing was signalled.
fn assert_undone(fake: &Fake) {
    assert!(!fake.path(REPLY_INFO).exists());
    assert_eq!(*fake.semaphore.lock().expect("no panic"), 0, "{:?}", fake.calls());
    for file in ["_attachlock", "7/attachNotificationSync", "8/attachNotificationSync", "4711/attachNotificationSync"] {
        let path = fake.path(COMMON).join(file);
        if path.is_file() {
            File::open(path).expect("opened").try_lock().expect("nobody has it");
        }
    }
    assert!(!fake.calls().iter().any(|call| call.contains("SIG")), "{:?}", fake.calls());
}

fn refusal(fake: &Fake) -> Failure {
    let failure = attach(fake).expect_err("refused");
    assert_undone(fake);
    failure
}

/// Attaches while this JVM waits to be woken. It does what OpenJ9 does, and says this instead of the key where there is one.
fn attach_to_jvm(fake: &Fake, key: Option<&str>) -> Result<(), Failure> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let jvm = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let mut semaphore = fake.semaphore.lock().expect("no panic");
                if *semaphore > 0 {
                    *semaphore -= 1;
                    drop(semaphore);
                    let mode = fs::metadata(fake.path(REPLY_INFO)).expect("there").permissions().mode();
                    assert_eq!(mode & 0o777, 0o600);
                    let info = fs::read_to_string(fake.path(REPLY_INFO)).expect("there");
                    let [its_key, port] = info.lines().collect::<Vec<_>>()[..] else { panic!("two lines") };
                    let port = port.parse().expect("a port");
                    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
                    let greeting = format!("ATTACH_CONNECTED {} \0", key.unwrap_or(its_key));
                    assert_eq!(greeting.len(), 35);
                    stream.write_all(greeting.as_bytes()).expect("taken");
                    return Some(stream);
                }
                drop(semaphore);
                thread::yield_now();
            }
            None
        });
        let attached = attach(fake);
        over.store(true, Ordering::SeqCst);
        drop(jvm.join().expect("no panic"));
        attached
    })
}

#[test]
fn a_semaphore_that_nobody_waits_for_is_not_made() {
    let fake = openj9();
    fake.refuse("semget", Errno::ENOENT);
    let failure = attach(&fake).expect_err("nobody to wake");
    assert!(failure.code == Code::NotAttachable && failure.evidence.contains("No such file"), "{failure}");
    assert_undone(&fake);
}

/// One where nobody has made the common lock yet, and its path.
fn without_lock() -> (Fake, PathBuf) {
    let fake = openj9();
    let lock = fake.path(COMMON).join("_attachlock");
    fs::remove_file(&lock).expect("removed");
    (fake, lock)
}

#[test]
fn a_lock_that_another_tool_makes_at_the_same_moment_is_taken() {
    let (fake, lock) = without_lock();
    fake.on("create", move || drop(File::create(&lock).expect("made")));
    attach_to_jvm(&fake, None).expect("connected");
}

#[test]
fn every_jvm_is_woken_once_one_connects_and_nothing_is_left() {
    let fake = openj9();
    attach_to_jvm(&fake, None).expect("connected");
    assert_undone(&fake);
    let taken_back = ["semop -1"; 3].map(String::from);
    assert_eq!(fake.calls()[..3], ["create replyInfo", "semget", "semop +3"]);
    assert_eq!(fake.calls()[3..6], taken_back);
    assert_eq!(fake.calls()[6..], ["semop +1 -1"], "what the JVM has taken is not taken back at our end");
}

#[test]
fn who_does_not_know_the_key_is_not_the_jvm() {
    let fake = openj9();
    let failure = attach_to_jvm(&fake, Some("0123456789abcdef")).expect_err("nobody else came");
    assert_eq!(failure.code, Code::NoAnswer);
    assert!(failure.evidence.contains("did not know the key"), "{failure}");
    assert_undone(&fake);
}

#[test]
fn another_jvm_that_knows_the_key_is_not_the_target() {
    let fake = openj9();
    fs::remove_file(fake.path("proc/fd")).expect("removed");
    fs::create_dir(fake.path("proc/fd")).expect("created");
    assert_eq!(attach_to_jvm(&fake, None).expect_err("none of its descriptors").code, Code::WrongPeer);
    assert_undone(&fake);
}

#[test]
fn a_semaphore_that_cannot_be_had_is_named_and_all_else_undone() {
    for call in ["semget", "semop"] {
        let fake = openj9();
        fake.refuse(call, Errno::EACCES);
        assert_eq!(refusal(&fake).code, Code::NotAttachable, "{call}");
    }
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    for errno in [Errno::EROFS, Errno::ENOSPC] {
        let fake = openj9();
        fake.refuse("create", errno);
        assert!(refusal(&fake).evidence.contains("replyInfo"), "{errno}");
    }
}

#[test]
fn what_a_killed_client_has_left_is_replaced() {
    let fake = openj9();
    fake.write(REPLY_INFO, "0\n1\n");
    attach_to_jvm(&fake, None).expect("connected");
    assert_undone(&fake);
}

#[test]
fn a_lock_that_somebody_keeps_costs_the_limit() {
    for lock in ["_attachlock", "7/attachNotificationSync", "4711/attachNotificationSync"] {
        let fake = openj9();
        let file = File::open(fake.path(COMMON).join(lock)).expect("opened");
        file.lock().expect("locked");
        let failure = attach(&fake).expect_err("it is kept");
        assert_eq!(failure.code, Code::NoAnswer, "{lock}: {failure}");
        drop(file);
        assert_undone(&fake);
    }
}

#[test]
fn a_lock_that_was_never_made_is_made_for_everybody() {
    let (fake, lock) = without_lock();
    attach_to_jvm(&fake, None).expect("connected");
    assert_eq!(fs::metadata(lock).expect("made").permissions().mode() & 0o777, 0o666);
}

#[test]
fn a_trap_in_the_place_of_a_file_is_refused() {
    for file in ["_attachlock", "7/attachNotificationSync"] {
        let fake = openj9();
        let path = fake.path(COMMON).join(file);
        fs::rename(&path, fake.path("elsewhere")).expect("moved");
        symlink(fake.path("elsewhere"), &path).expect("linked");
        assert_eq!(refusal(&fake).code, Code::NotAttachable, "a link at {file}");
        fs::remove_file(&path).expect("removed");
        mkfifo(&path, Mode::S_IRWXU).expect("made");
        assert_eq!(refusal(&fake).code, Code::NotAttachable, "a FIFO at {file}");
    }
}

#[test]
fn a_directory_that_is_a_link_is_not_entered() {
    for directory in ["", "7"] {
        let fake = openj9();
        let path = fake.path(COMMON).join(directory);
        fs::rename(&path, fake.path("proc/root/elsewhere")).expect("moved");
        symlink("/elsewhere", path.to_str().expect("text").trim_end_matches('/')).expect("linked");
        assert_eq!(refusal(&fake).code, Code::NotAttachable, "{directory:?}");
        assert_eq!(fake.calls(), Vec::<String>::new());
    }
}

#[test]
fn a_jvm_that_says_it_takes_no_requests_gets_none() {
    for missing in ["7/attachInfo", "_notifier"] {
        let fake = openj9();
        fs::remove_file(fake.path(COMMON).join(missing)).expect("removed");
        let failure = refusal(&fake);
        assert!(failure.code == Code::NotAttachable && failure.evidence.contains(missing), "{failure}");
    }
}

#[test]
fn the_place_of_another_users_jvm_is_not_the_targets() {
    let fake = openj9();
    fake.set_status(&[("Uid", "4242\t4242\t4242\t4242")]);
    assert_eq!(refusal(&fake).code, Code::WrongPeer);
    assert_eq!(fake.calls(), Vec::<String>::new());
}

#[test]
fn more_jvms_than_can_be_are_not_woken() {
    let fake = openj9();
    for pid in 10_000..10_300 {
        fs::create_dir(fake.path(COMMON).join(pid.to_string())).expect("created");
        fake.write(&format!("{COMMON}/{pid}/attachNotificationSync"), "");
    }
    assert!(refusal(&fake).cause.contains("too many JVMs"));
    assert_eq!(fake.calls(), ["create replyInfo"]);
}

#[test]
fn a_stopped_openj9_is_left_alone() {
    let fake = openj9();
    fake.set_status(&[("State", "T (stopped)")]);
    assert_eq!(refusal(&fake).code, Code::NotAttachable);
    assert_eq!(fake.calls(), Vec::<String>::new());
}

#[test]
fn its_heap_dumps_are_refused_before_anything_is_asked() {
    let fake = openj9();
    let target = Target::open(&fake, PID).expect("opened");
    let failure = refuse_heap_dump(&target).expect_err("refused");
    assert!(failure.code == Code::Usage && failure.remedy.contains("Dump.heap"), "{failure}");
    assert_eq!(fake.calls(), Vec::<String>::new());
    assert!(read_dir(fake.path(COMMON).join("7")).expect("there").count() == 2, "nothing was added");
    let hotspot = Fake::jvm();
    refuse_heap_dump(&Target::open(&hotspot, PID).expect("opened")).expect("HotSpot's can be fetched");
}
