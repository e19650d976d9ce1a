//! The injector as it runs in a container that is not its own: nothing of it may stay there.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const INJECTOR: &str = env!("CARGO_BIN_EXE_injector");

/// A program is not executed that somebody holds open for writing, as a child does that is started while it is copied.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts a copy of the program in `directory`, and waits until it has said hello.
fn start_in(directory: &Path) -> Child {
    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    fs::create_dir(directory).expect("a directory");
    fs::copy(INJECTOR, directory.join("injector")).expect("a copy");
    let mut command = Command::new("./injector");
    command.arg("inside").current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(starting);
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("its hello");
    child
}

#[test]
fn its_file_is_gone_before_it_says_hello_and_it_ends_with_its_client() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join(".jattach-in-0123456789ab-7");
    let mut child = start_in(&directory);
    assert!(!directory.exists(), "it is there while it runs");
    drop(child.stdin.take());
    assert!(child.wait().expect("its end").success());
}

#[test]
fn a_program_that_was_started_by_hand_stays_where_it_is() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("bin");
    let mut child = start_in(&directory);
    assert!(directory.join("injector").exists());
    drop(child.stdin.take());
    assert!(child.wait().expect("its end").success());
}
