//! Running either program.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The injector under test.
pub(crate) fn injector() -> PathBuf {
    std::env::var_os("JATTACH_INJECTOR").map_or_else(|| env!("CARGO_BIN_EXE_injector").into(), PathBuf::from)
}

/// What a program said and returned.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Fails unless the safe order refused, with these words among the reasons.
    pub(crate) fn assert_refused(&self, words: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
    }

    /// Fails unless the request was refused before it was sent.
    pub(crate) fn assert_words_refused(&self, words: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), "Connected to remote JVM\n"), "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
    }

    /// Fails unless a thread dump came.
    pub(crate) fn assert_thread_dump(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        assert!(self.stdout.contains("Full thread dump"), "{self:?}");
    }
}

/// The injector with this pid and these words.
pub(crate) fn inject(pid: u32, words: &[&str]) -> Outcome {
    Outcome::of(Command::new(injector()).arg(pid.to_string()).args(words).output().expect("the injector"))
}

/// jattach with the same.
pub(crate) fn jattach(pid: u32, words: &[&str]) -> Outcome {
    let output = Command::new("jattach").arg(pid.to_string()).args(words).output();
    Outcome::of(output.expect("jattach 2.1: apt install jattach"))
}
