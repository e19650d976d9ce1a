//! The script in the shells of this machine; the one of busybox has it in the end-to-end tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::carried::Program;
use super::script;

const SHELLS: [&str; 3] = ["/bin/sh", "/bin/dash", "/bin/bash"];

/// Runs the script, sends it this behind a program's announcement, and gives what it says after its first line, which names
/// the directory.
fn run(shell: &str, program: &Program, sent: &[u8]) -> (String, String) {
    let mut command = Command::new(shell);
    command.args(["-c", &script(), "jattach", "enter-tests"]);
    let mut child: Child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    said.read_line(&mut first).expect("text");
    let directory =
        first.trim_end().splitn(3, ' ').nth(2).unwrap_or_else(|| panic!("{shell} says {first:?}")).to_owned();
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(program.announcement().as_bytes()).and_then(|()| stdin.write_all(sent)).expect("it reads");
    drop(stdin);
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    child.wait().expect("its end");
    (directory, rest)
}

#[test]
fn a_program_that_is_whole_is_run_where_it_was_written() {
    let program =
        Program::new(b"#!/bin/sh\necho \"$0 $1 of $(pwd)\"\nrm injector\ncd / && rmdir \"$OLDPWD\"\n".to_vec());
    for shell in SHELLS.into_iter().filter(|shell| Path::new(shell).exists()) {
        let (directory, rest) = run(shell, &program, &[program.bytes(), b"run\n"].concat());
        assert_eq!(rest, format!("whole\n/proc/self/cwd/injector inside of {directory}\n"), "{shell}");
        assert!(!Path::new(&directory).exists(), "{shell}");
    }
}

#[test]
fn what_is_not_whole_or_cannot_be_run_leaves_nothing() {
    let program = Program::new(b"\x7fELF of another world".to_vec());
    let bytes = program.bytes();
    for shell in SHELLS.into_iter().filter(|shell| Path::new(shell).exists()) {
        for (sent, expected) in [
            (&b""[..], "damaged\n"),
            (&bytes[1..], "damaged\n"),
            (bytes, "whole\n"),
            (&[bytes, b"run\n"].concat(), "whole\n"),
        ] {
            let (directory, rest) = run(shell, &program, sent);
            assert_eq!(rest, expected, "{shell}");
            assert!(fs::symlink_metadata(&directory).is_err(), "{shell} has left {directory}");
        }
    }
}
