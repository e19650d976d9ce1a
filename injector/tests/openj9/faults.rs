//! Whatever goes wrong on either side, nothing is left of an attempt.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::jvm::Jvm;
use crate::{inject, injector_of, text};

fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
}

#[test]
fn a_jvm_that_does_not_wake_is_given_up() {
    let mut jvm = Jvm::start("asleep");
    refused(&inject(jvm.pid, &["threaddump"]), "nobody connected");
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 0);
    assert!(jvm.lives());
}

#[test]
fn a_jvm_that_does_not_connect_is_given_up() {
    let mut jvm = Jvm::start("does not connect");
    refused(&inject(jvm.pid, &["threaddump"]), "nobody connected");
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 2, "once more, for one that was not back yet from an earlier attach");
}

#[test]
fn who_says_another_key_is_given_up() {
    let mut jvm = Jvm::start("wrong key");
    refused(&inject(jvm.pid, &["threaddump"]), "did not know the key");
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 1);
}

#[test]
fn a_jvm_that_ends_when_it_has_connected_is_told_of() {
    let jvm = Jvm::start("dies when connected");
    let output = inject(jvm.pid, &["threaddump"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!text(&output.stderr).is_empty());
    jvm.assert_nothing_is_left();
}

#[test]
fn a_jvm_that_hangs_up_is_told_of() {
    let mut jvm = Jvm::start("hangs up");
    let output = inject(jvm.pid, &["threaddump"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 1);
}

#[test]
fn half_a_reply_is_no_success() {
    let mut jvm = Jvm::start("half a reply");
    for words in [&["threaddump"][..], &["properties"], &["load", "/opt/agent.so", "true", "port=1,x"]] {
        refused(&inject(jvm.pid, words), "closed the connection");
        jvm.assert_nothing_is_left();
        assert_eq!(jvm.new_wakes(), 1);
    }
}

#[test]
fn a_reply_without_end_fills_nobodys_memory_and_ends_with_its_reader() {
    let jvm = Jvm::start("text without end");
    let mut injector = injector_of(jvm.pid, &["jcmd", "help"]).stdout(Stdio::piped()).spawn().expect("the injector");
    let mut reader = BufReader::new(injector.stdout.take().expect("piped"));
    let mut beginning = String::new();
    reader.read_line(&mut beginning).expect("a line");
    assert_eq!(beginning, "Connected to remote JVM\n");
    let mut taken = vec![0; 32 << 20];
    reader.read_exact(&mut taken).expect("there is no end");
    let status = fs::read_to_string(format!("/proc/{}/status", injector.id())).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 16 << 10, "{peak} KiB for 32 MiB of text");
    drop(reader);
    injector.wait().expect("its end");
    jvm.assert_nothing_is_left();
}

#[test]
fn noise_in_place_of_a_reply_or_after_it_is_none() {
    for fault in ["nothing but noise", "noise after the text"] {
        let jvm = Jvm::start(fault);
        refused(&inject(jvm.pid, &["threaddump"]), "no attach listener");
        jvm.assert_nothing_is_left();
    }
    let jvm = Jvm::start("nothing but noise");
    refused(&inject(jvm.pid, &["load", "/opt/agent.so", "true", "x"]), "no attach listener");
    jvm.assert_nothing_is_left();
}

/// Starts an injector, and ends it as soon as it has woken the JVM, which does not come.
fn ended_by(jvm: &mut Jvm, signal: Signal) {
    let mut injector = injector_of(jvm.pid, &["threaddump"]).spawn().expect("the injector");
    jvm.await_woken();
    assert!(jvm.reply_info().exists());
    assert!(jvm.locks().iter().all(|lock| File::open(lock).expect("opened").try_lock().is_err()), "all are locked");
    kill(Pid::from_raw(injector.id().cast_signed()), signal).expect("it lives");
    assert_eq!(injector.wait().expect("its end").signal(), Some(signal as i32));
}

#[test]
fn an_injector_that_is_told_to_end_undoes_all_of_it_first() {
    let mut jvm = Jvm::start("does not connect");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        ended_by(&mut jvm, signal);
        jvm.assert_nothing_is_left();
        assert_eq!(jvm.new_wakes(), 1);
    }
}

#[test]
fn of_a_killed_injector_the_kernel_undoes_all_but_a_file_that_the_next_replaces() {
    let mut jvm = Jvm::start("does not connect");
    ended_by(&mut jvm, Signal::SIGKILL);
    assert!(!jvm.has_tokens());
    assert!(jvm.reply_info().exists(), "nobody was there to remove it");
    assert_eq!(jvm.new_wakes(), 1);
    ended_by(&mut jvm, Signal::SIGTERM);
    jvm.assert_nothing_is_left();
}

#[test]
fn a_lock_that_another_tool_keeps_costs_the_limit_and_nothing_is_woken() {
    for lock in ["_attachlock", "4711/attachNotificationSync"] {
        let mut jvm = Jvm::start("");
        let path = jvm.locks().into_iter().find(|path| path.ends_with(lock)).expect("one of them");
        let file = File::open(path).expect("opened");
        file.lock().expect("locked");
        refused(&inject(jvm.pid, &["threaddump"]), "somebody else attaches");
        drop(file);
        jvm.assert_nothing_is_left();
        assert_eq!(jvm.new_wakes(), 0);
    }
}

#[test]
fn two_injectors_take_turns() {
    let mut jvm = Jvm::start("");
    let start = || injector_of(jvm.pid, &["jcmd", "help"]).stdout(Stdio::piped()).spawn().expect("the injector");
    let injectors = [0; 4].map(|_| start());
    for injector in injectors {
        let output = injector.wait_with_output().expect("its end");
        assert!(output.status.success() && text(&output.stdout).contains("done: help"), "{output:?}");
    }
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 4);
}

#[test]
fn a_stopped_jvm_is_not_woken() {
    let mut jvm = Jvm::start("");
    let process = Pid::from_raw(jvm.pid.cast_signed());
    kill(process, Signal::SIGSTOP).expect("it lives");
    let is_stopped =
        || fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(|text| text.contains("State:\tT"));
    while !is_stopped() {
        std::thread::yield_now();
    }
    refused(&inject(jvm.pid, &["threaddump"]), "is stopped");
    kill(process, Signal::SIGCONT).expect("it lives");
    jvm.assert_nothing_is_left();
    assert_eq!(jvm.new_wakes(), 0);
}

#[test]
fn of_two_jvms_of_one_pid_in_one_tmp_each_answers_for_itself_or_the_clash_is_named() {
    let one = Jvm::start("one");
    let other = one.start_beside("other");
    for _ in 0..5 {
        for (jvm, name) in [(&one, "one"), (&other, "other")] {
            let output = inject(jvm.pid, &["jcmd", "who"]);
            match output.status.code() {
                Some(0) => assert_eq!(text(&output.stdout), format!("Connected to remote JVM\n{name}\n")),
                _ => refused(&output, "another JVM answers in place of"),
            }
        }
    }
    one.assert_nothing_is_left();
}
