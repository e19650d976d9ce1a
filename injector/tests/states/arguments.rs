//! How long an argument may be, which is a question of the protocol's version, and that of the JVM's.

use crate::container::{Jvm, Launch};
use crate::harness::{Health, Subject};
use crate::injector_of;

/// The first with version 2 of the protocol (JDK-8339289), whose arguments are as long as they like.
const FIRST_WITH_LONG_ONES: u32 = 24;

const COMMAND: &str = "VM.version";

/// What the injector said when it was asked for that, and whether it came to a good end.
fn asked(jvm: &Jvm, command: &str) -> (bool, String) {
    let output = injector_of(jvm.pid(), &["jcmd", command]).output().expect("the injector");
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The version in an answer to [`COMMAND`], whose last line is `JDK 17.0.11`.
fn version(answer: &str) -> u32 {
    let words = answer.lines().find_map(|line| line.strip_prefix("JDK "));
    let number = words.and_then(|words| words.split(|c: char| !c.is_ascii_digit()).next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("its version: {answer}"))
}

#[test]
fn an_argument_of_100_kilobytes_is_taken_by_every_jvm_from_24_on_and_harms_none() {
    let jvm = Jvm::start(&Launch::with(&[]));
    let (_, short) = asked(&jvm, COMMAND);
    let version = version(&short);
    for length in [1025, 100 << 10] {
        let (success, answer) = asked(&jvm, &(COMMAND.to_owned() + &" ".repeat(length - COMMAND.len())));
        if version >= FIRST_WITH_LONG_ONES {
            assert_eq!(answer, short, "JDK {version}, {length} bytes");
        } else {
            let refused = !success && answer.contains("too long for this JVM");
            assert!(refused, "JDK {version}, {length} bytes: {answer}");
        }
    }
    assert!(matches!(Box::new(jvm).health(), Health::Well));
}
