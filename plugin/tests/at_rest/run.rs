//! Runs the plugin.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What it printed, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Runs it in that directory, with these bytes on stdin.
pub(crate) fn run(directory: &Path, words: &str, stdin: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-jattach"))
        .args(words.split(' '))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the plugin starts");
    let mut input = child.stdin.take().expect("piped");
    // Whoever reads no further closes the pipe.
    let _ = input.write_all(stdin);
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The same with bytes in a file of that name.
pub(crate) fn with_file(name: &str, bytes: &[u8], words: &str) -> Ran {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(name), bytes).expect("a file");
    run(directory.path(), words, b"")
}

/// The document about that file.
#[track_caller]
pub(crate) fn document(command: &str, name: &str, bytes: &[u8]) -> Value {
    with_file(name, bytes, &format!("{command} {name} -o json")).json()
}
