//! How long an argument may be, which is a question of the protocol's version, and that of the JVM's.

use crate::container::{Jvm, Launch};
use crate::harness::{Expected, State, Subject};
use crate::injector;
use crate::jvms::started;

/// The first with version 2 of the protocol (JDK-8339289), whose arguments are as long as they like.
const FIRST_WITH_LONG_ONES: u32 = 24;

const COMMAND: &str = "VM.version";

/// The states: a JVM is asked for the same as ever, in more words.
pub(crate) fn states() -> Vec<State> {
    let jvm = Jvm::start(&Launch::with(&[]));
    let output = injector(jvm.pid(), &["jcmd", COMMAND]).output().expect("the injector");
    let answer = String::from_utf8(output.stdout).expect("text");
    let takes_long_ones = version(&answer) >= FIRST_WITH_LONG_ONES;
    let expected =
        if takes_long_ones { Expected::Attached } else { Expected::RefusedConnected("too long for this JVM") };
    let argument = |length: usize| COMMAND.to_owned() + &" ".repeat(length - COMMAND.len());
    let state = |name, length| State {
        words: vec!["jcmd".to_owned(), argument(length)],
        answer: answer.clone(),
        ..State::new(name, expected, || started(&Launch::with(&[])))
    };
    vec![state("argument of 1025 bytes", 1025), state("argument of 100 KiB", 100 << 10)]
}

/// The version in an answer to [`COMMAND`], whose last line is `JDK 17.0.11`.
fn version(answer: &str) -> u32 {
    let words = answer.lines().find_map(|line| line.strip_prefix("JDK "));
    let number = words.and_then(|words| words.split(|c: char| !c.is_ascii_digit()).next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("its version: {answer}"))
}
