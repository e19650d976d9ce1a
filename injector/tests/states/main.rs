//! A JVM in every state that one has been found in, and programs that are none: each is attached to or refused as it should
//! be, and none is harmed. Needs root.
//!
//! `cargo test -p jattach-injector --features root --test states`. JATTACH_ROUNDS is how often each state is tried (5), a heavy
//! one a fifth of that; JATTACH_INJECTOR names another injector to test, JATTACH_JDK_ROOT another root filesystem with a JVM,
//! JATTACH_KUBECTL a kubectl, which is a program in Go, JATTACH_NGINX an nginx, and JATTACH_RECORD a file for the results. What
//! cannot be had here is not tried, and the table says why; with JATTACH_NO_SKIPS a program that is not named is a failure.
#![cfg(feature = "root")]

mod arguments;
mod container;
mod harness;
mod jvms;
mod neighbours;
mod others;
mod process;
#[path = "../shared/rest.rs"]
mod rest;
mod safepoint;
#[path = "../shared/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Write, stderr};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use harness::{Health, Missing, Row, State, Subject, run, table};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often this state is tried.
fn rounds(state: &State) -> u32 {
    let rounds: u32 =
        std::env::var("JATTACH_ROUNDS").map_or(5, |text| text.parse().expect("JATTACH_ROUNDS is a number"));
    if state.is_heavy { rounds.div_ceil(5) } else { rounds }
}

/// The injector under test, with these words.
fn injector<W: AsRef<OsStr>>(pid: u32, words: &[W]) -> Command {
    let mut command = program();
    command.arg(pid.to_string()).args(words);
    command
}

fn program() -> Command {
    let program = std::env::var_os("JATTACH_INJECTOR");
    Command::new(program.map_or_else(|| env!("CARGO_BIN_EXE_injector").into(), PathBuf::from))
}

/// An injector that signals first, and looks then. The last signal of several may find nobody any more.
fn saboteur(pid: u32, words: &[String]) -> Command {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGQUIT);
    injector(pid, words)
}

/// Tries each of these states, and prints what came of it, whether the test is red or not.
fn assert_all_right(states: &[State]) {
    let rows = run_all(states);
    record(&rows);
    let table = table(&rows);
    stderr().write_all(format!("\n{table}\n").as_bytes()).expect("a terminal or a log");
    assert!(rows.iter().all(Row::is_right), "\n{table}");
    for missing in rows.iter().filter_map(|row| row.missing.as_ref()) {
        // What the JVM and the machine are nobody can change.
        if let Missing::Program(reason) = missing {
            skip::skip(reason);
        }
    }
}

/// Tries several at once: a try waits more than it works, and each has namespaces of its own.
fn run_all(states: &[State]) -> Vec<Row> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((number, state)) = states.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
            let row = run(state, rounds(state), &injector::<String>);
            rows.lock().expect("no panic").insert(number, row);
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    rows.into_inner().expect("no panic").into_values().collect()
}

/// Notes them in the file that JATTACH_RECORD names, for who runs this with several JVMs.
fn record(rows: &[Row]) {
    if let Some(path) = std::env::var_os("JATTACH_RECORD") {
        let mut file = File::options().append(true).create(true).open(path).expect("a file");
        file.write_all(rows.iter().map(Row::record).collect::<String>().as_bytes()).expect("written");
    }
}

fn state<'s>(states: &'s [State], name: &str) -> &'s State {
    states.iter().find(|state| state.name == name).unwrap_or_else(|| panic!("no state is called {name}"))
}

#[test]
fn a_jvm_is_attached_to_or_refused_as_its_state_wants_and_lives() {
    assert_all_right(&[jvms::states(), arguments::states()].into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn a_program_that_is_no_jvm_is_refused_and_lives() {
    assert_all_right(&others::states());
}

#[test]
fn a_wrong_signal_to_a_program_that_is_no_jvm_is_counted_as_a_death_or_as_a_signal() {
    let states = others::states();
    // Where there is no Go or nginx, they are not tried; a shell is everywhere.
    let tried = |name| run(state(&states, name), 1, &saboteur);
    assert_eq!(tried("shell").tried, 1);
    for mortal in ["shell", "program called java", "native image", "Go", "nginx"].map(tried) {
        assert_eq!((mortal.deaths, mortal.signals), (mortal.tried, 0), "{}", table(&[mortal]));
    }
    // A shell that was reading may take the interruption for the end of its input.
    for telltale in ["shell that handles SIGQUIT", "stopped shell"].map(tried) {
        assert_eq!(telltale.deaths + telltale.signals, 1, "{}", table(&[telltale]));
    }
}

#[test]
fn a_wrong_signal_to_a_jvm_is_counted_as_a_death_or_as_a_signal() {
    let states = jvms::states();
    let row = run(state(&states, "-Xrs, socket deleted"), 1, &saboteur);
    assert!(row.deaths == 1 && !row.is_right(), "{}", table(&[row]));
    let row = run(state(&states, "starting"), 1, &saboteur);
    assert!(row.deaths == 1 && !row.is_right(), "{}", table(&[row]));
    let row = run(state(&states, "+DisableAttachMechanism"), 1, &saboteur);
    assert!(row.signals == 1 && !row.is_right(), "{}", table(&[row]));
}

#[test]
fn a_wrong_signal_to_the_neighbour_of_a_jvm_is_counted_too() {
    for start in [neighbours::in_one_container, neighbours::in_one_tmp] {
        let pair = start();
        kill(Pid::from_raw(pair.neighbour.pid().cast_signed()), Signal::SIGQUIT).expect("it lives");
        let health = Box::new(pair).health();
        assert!(matches!(health, Health::Signalled(_)), "{health:?}");
    }
}

#[test]
fn a_state_that_was_not_tried_is_right_for_a_reason_only() {
    let states = others::states();
    assert!(!run(state(&states, "shell"), 0, &injector::<String>).is_right());
    let missing = State { start: || Err(Missing::Room("none".to_owned())), ..others::states().remove(0) };
    assert!(run(&missing, 5, &injector::<String>).is_right());
}

#[test]
fn an_injector_that_does_nothing_is_found_out() {
    for name in ["normal", "starting"] {
        for lazy in ["true", "false"] {
            let row = run(state(&jvms::states(), name), 1, &|_, _| Command::new(lazy));
            assert!((row.deaths, row.signals) == (0, 0) && !row.is_right(), "{}", table(&[row]));
        }
    }
}

#[test]
fn the_list_shows_names_in_any_bytes_as_a_line_of_text() {
    let jvm: Box<dyn Subject> = Box::new(jvms::names_in_any_bytes());
    for (words, start) in
        [(&["list"][..], format!("{} ", jvm.pid())), (&["list", "--json"], format!("  {{\"pid\": {}, ", jvm.pid()))]
    {
        let output = program().args(words).output().expect("the injector");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&start)).collect();
        let [line] = lines[..] else { panic!("one line for it: {text}") };
        assert!(line.contains("HotSpot") && line.contains(".jar"), "{line}");
        assert!(line.ends_with("  yes") || line.trim_end_matches(',').ends_with("\"attachable\": true}"), "{line}");
    }
    assert!(matches!(jvm.health(), Health::Well));
}
