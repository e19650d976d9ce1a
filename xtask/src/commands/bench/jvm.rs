//! A JVM on this machine, outside of any container, for what is measured without one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tools::jdk::Jdk;

/// It runs for as long as this value lives.
pub(super) struct Jvm {
    child: Child,
    /// `Fixture` ends with its input.
    _stdin: ChildStdin,
}

impl Jvm {
    /// Starts a fixture, and returns when it says that it is ready.
    pub(super) fn start(jdk: &Jdk, classes: &Path, words: &[&str]) -> Result<Jvm> {
        let mut java = Command::new(jdk.tool("java"));
        java.arg("-cp").arg(classes).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = java.spawn().context("failed to start java")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let jvm = Jvm { child, _stdin: stdin.context("java has a stdin")? };
        let mut line = String::new();
        // What it says later has no reader, and is little.
        BufReader::new(stdout.context("java has a stdout")?).read_line(&mut line)?;
        ensure!(line.trim().eq_ignore_ascii_case("ready"), "{words:?} said {line:?} instead of ready");
        Ok(jvm)
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
