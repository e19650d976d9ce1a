//! The injector against a stand-in of OpenJ9's side of attaching, a real process with real locks, semaphores and sockets, and
//! with every fault that one may have. Nothing may be left of any of it. Needs root.
//!
//! `cargo test -p jattach-injector --features root --test openj9`. JATTACH_INJECTOR names another injector to test. No OpenJ9
//! was at hand: the stand-in is written from what is known of the protocol, by its description and not by our code.
#![cfg(feature = "root")]

#[path = "../session/client.rs"]
#[allow(dead_code, reason = "the session tests do more with it")]
mod client;
mod container;
mod faults;
mod hold;
mod jvm;
mod standin;
#[path = "../../src/sys/sysv.rs"]
mod sysv;
mod table;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The injector under test.
fn injector() -> Command {
    let program = std::env::var_os("JATTACH_INJECTOR");
    Command::new(program.map_or_else(|| env!("CARGO_BIN_EXE_injector").into(), PathBuf::from))
}

/// The same with these words. A shell ignores SIGINT for all that it starts in the background, as these tests may be.
fn injector_of(pid: u32, words: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP").arg(injector().get_program()).arg(pid.to_string()).args(words);
    command
}

fn inject(pid: u32, words: &[&str]) -> Output {
    injector_of(pid, words).output().expect("the injector")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
