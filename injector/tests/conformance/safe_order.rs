//! What the injector finds it must not signal stays as it was; what it may, answers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::jvm::{Jvm, homes};
use crate::run::{inject, injector};

fn signal(pid: u32, signal: Signal) {
    kill(nix_pid(pid), signal).expect("sent");
}

fn nix_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a pid"))
}

/// Whether SIGQUIT waits for the process to be continued.
fn sigquit_is_pending(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let pending = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:").or(line.strip_prefix("SigPnd:")));
    pending.map(|mask| u64::from_str_radix(mask.trim(), 16).expect("hex")).any(|mask| mask & 4 != 0)
}

#[test]
fn a_program_that_is_no_jvm_is_not_signalled() {
    // One that SIGQUIT ends, one that would tell of it.
    for script in ["echo READY; read line; echo $line", "trap 'echo killed' QUIT; echo READY; read line; echo $line"] {
        let mut shell =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
        let mut lines = BufReader::new(shell.stdout.take().expect("piped")).lines().map(|line| line.expect("a line"));
        assert_eq!(lines.next().as_deref(), Some("READY"));
        inject(shell.id(), &["threaddump"]).assert_refused("is no HotSpot JVM");
        shell.stdin.take().expect("piped").write_all(b"alive\n").expect("it lives");
        assert_eq!(lines.collect::<Vec<_>>(), ["alive"]);
        assert!(shell.wait().expect("a child").success());
    }
}

#[test]
fn a_stopped_jvm_is_refused_and_goes_on_as_if_nothing_had_been() {
    for home in homes() {
        for attached_before in [false, true] {
            let mut jvm = Jvm::start(home, &[]);
            if attached_before {
                inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
            }
            signal(jvm.pid(), Signal::SIGSTOP);
            waitpid(nix_pid(jvm.pid()), Some(WaitPidFlag::WUNTRACED)).expect("stopped");
            inject(jvm.pid(), &["threaddump"]).assert_refused("is stopped");
            assert!(!sigquit_is_pending(jvm.pid()));
            signal(jvm.pid(), Signal::SIGCONT);
            jvm.assert_untouched();
        }
    }
}

#[test]
fn a_jvm_without_signal_handlers_is_attached_to_without_one_or_not_at_all() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &["-Xrs"]);
        inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
        fs::remove_file(jvm.tmp("java")).expect("its socket");
        inject(jvm.pid(), &["threaddump"]).assert_refused("does not handle SIGQUIT");
        jvm.assert_untouched();
    }
}

#[test]
fn a_jvm_that_was_told_not_to_attach_is_not_asked() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &["-XX:+DisableAttachMechanism"]);
        inject(jvm.pid(), &["threaddump"]).assert_refused("DisableAttachMechanism");
        jvm.assert_untouched();
    }
}

#[test]
fn a_jvm_that_is_starting_lives_and_answers_as_soon_as_it_can() {
    for home in homes() {
        for _ in 0..5 {
            let mut jvm = Jvm::launch(home, &[]);
            loop {
                let outcome = inject(jvm.pid(), &["jcmd", "VM.version"]);
                if outcome.code == Some(0) {
                    break;
                }
                outcome.assert_refused("");
            }
            assert_eq!(jvm.line(), "READY");
            jvm.assert_untouched();
            jvm.finish();
        }
    }
}

#[test]
fn a_socket_that_a_dead_jvm_left_is_replaced() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &[]);
        drop(UnixListener::bind(jvm.tmp("java")).expect("bound"));
        inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
        jvm.assert_untouched();
    }
}

#[test]
fn a_socket_that_was_deleted_is_made_again() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &[]);
        for _ in 0..3 {
            inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
            fs::remove_file(jvm.tmp("java")).expect("its socket");
        }
        jvm.assert_untouched();
        assert!(!jvm.tmp("attach").exists());
    }
}

#[test]
fn another_process_that_listens_in_the_jvms_place_gets_no_request() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &[]);
        let _listener = UnixListener::bind(jvm.tmp("java")).expect("bound");
        let us = format!("process {} listens on the socket", std::process::id());
        inject(jvm.pid(), &["threaddump"]).assert_refused(&us);
        jvm.assert_untouched();
    }
}

#[test]
fn an_argument_over_1024_bytes_needs_a_jvm_of_version_2_and_harms_no_other() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &[]);
        let knows_version_2 = inject(jvm.pid(), &["getversion"]).code == Some(0);
        for length in [1025, 100 << 10] {
            let long = format!("VM.version{}", " ".repeat(length - "VM.version".len()));
            let outcome = inject(jvm.pid(), &["jcmd", &long]);
            if knows_version_2 {
                assert_eq!(outcome.stdout, inject(jvm.pid(), &["jcmd", "VM.version"]).stdout);
            } else {
                assert_eq!(outcome.code, Some(1));
                assert!(outcome.stderr.contains("too long for this JVM"), "{outcome:?}");
            }
        }
        inject(jvm.pid(), &["seventeen-letters"]).assert_words_refused("name is too long");
        inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
        jvm.assert_untouched();
    }
}

/// A JVM that takes the signal and does not listen, and an injector that waits for it, its trigger file placed.
fn waiting_injector(jvm: &Jvm) -> Child {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
    inotify.add_watch("/tmp", AddWatchFlags::IN_CREATE).expect("watched");
    // Whatever the test itself was started under ignores (nohup, a shell's background) is not to be inherited.
    let child = Command::new("env")
        .arg("--default-signal=HUP,INT,TERM")
        .arg(injector())
        .args([&jvm.pid().to_string(), "threaddump"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the injector");
    let name = jvm.tmp("attach");
    while !inotify.read_events().expect("events").iter().any(|event| event.name.as_deref() == name.file_name()) {}
    child
}

const DEAF: [&str; 2] = ["-XX:+DisableAttachMechanism", "-XX:-UsePerfData"];

#[test]
fn an_injector_that_is_told_to_end_takes_its_trigger_file_along() {
    let jvm = Jvm::start(&homes()[0], &DEAF);
    for how in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut injector = waiting_injector(&jvm);
        signal(injector.id(), how);
        assert_eq!(injector.wait().expect("a child").signal(), Some(how as i32));
        assert!(!jvm.tmp("attach").exists(), "{how}");
    }
}

#[test]
fn the_trigger_file_of_a_killed_injector_is_gone_after_the_next() {
    let jvm = Jvm::start(&homes()[0], &DEAF);
    let trigger = jvm.tmp("attach");
    let mut injector = waiting_injector(&jvm);
    // The mark is written right behind the creation: it has to be there for this test to test anything.
    while fs::read(&trigger).expect("a trigger file").is_empty() {}
    injector.kill().expect("killed");
    injector.wait().expect("a child");
    assert!(trigger.exists());
    let mut next = waiting_injector(&jvm);
    signal(next.id(), Signal::SIGTERM);
    next.wait().expect("a child");
    assert!(!trigger.exists());
}
