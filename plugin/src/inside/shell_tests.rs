//! What may answer in the place of the shell.

use futures::FutureExt;
use futures::future::{pending, ready};
use tokio::time::Instant;

use super::*;
use crate::error::Exit;
use crate::session::OtherEnd;

/// A shell whose stream does not end.
fn shell() -> (Shell<'static>, OtherEnd) {
    let (streams, other) = Streams::of_a_test(pending().boxed());
    (Shell::new(streams, "app"), other)
}

/// A shell that says this on stdout and stderr, and ends with that status.
async fn last_said(output: &str, errors: &str, status: Option<&str>) -> Shell<'static> {
    let status = status.map(|message| Status { message: Some(message.to_owned()), ..Status::default() });
    let (streams, mut other) = Streams::of_a_test(ready(status).boxed());
    other.output.write_all(output.as_bytes()).await.expect("a pipe");
    other.errors.write_all(errors.as_bytes()).await.expect("a pipe");
    other.errors.shutdown().await.expect("a pipe");
    // Its drain is a task of its own.
    tokio::task::yield_now().await;
    Shell::new(streams, "app")
}

#[tokio::test]
async fn what_the_container_lacks_is_named() {
    for (output, errors, status, expected) in [
        ("lacks sha256sum\n", "", Some("exit code 1"), "its image has no sha256sum"),
        ("nowhere\n", "mkdir: /tmp: Read-only file system", Some("exit code 1"), "/tmp: Read-only file system"),
        ("", "", Some(r#"exec: "sh": executable file not found in $PATH"#), "its image has no shell"),
        (
            "",
            "",
            Some("crun: executable file `sh` not found in $PATH: No such file or directory"),
            "its image has no shell",
        ),
        ("", "", Some(r#"error finding executable "sh" in PATH: no such file or directory"#), "its image has no shell"),
        (
            "",
            "",
            Some(r#"chdir to cwd ("/gone") set in config.json failed: no such file or directory"#),
            "its shell did not start, or gave up",
        ),
        ("", "sh: out of memory", Some("exit code 2"), "sh: out of memory"),
    ] {
        let failure = last_said(output, errors, status).await.place().await.expect_err("no place");
        assert_eq!(failure.exit(), Exit::Injector, "{failure}");
        assert!(failure.to_string().contains(expected), "{failure}");
        assert!(!failure.remedy.is_empty(), "{failure}");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_no_refusal() {
    let failure = last_said("at x86_64", "", None).await.place().await.expect_err("half a line");
    assert_eq!(failure.exit(), Exit::Transfer, "{failure}");
}

#[tokio::test]
async fn what_was_said_before_the_end_is_read_after_it() {
    let place = last_said("at x86_64 /a b\n", "", Some("exit code 0")).await.place().await.expect("a place");
    assert_eq!((place.machine.as_str(), place.directory.as_str()), ("x86_64", "/a b"));
}

#[tokio::test]
async fn a_line_without_an_end_is_not_read_for_ever_and_words_that_make_no_sense_end_it() {
    for said in ["x".repeat(MAX_LINE + 1), "\x1b[2Jat\n".to_owned(), "at x86_64\n".to_owned(), "\n".to_owned()] {
        let (mut shell, mut other) = shell();
        other.output.write_all(said.as_bytes()).await.expect("a pipe");
        let failure = shell.place().await.expect_err("no place");
        assert_eq!(failure.exit(), Exit::Injector, "{failure}");
        assert!(failure.evidence.len() < 300 && !failure.evidence.contains('\x1b'), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shell_that_says_nothing_or_takes_nothing_is_not_waited_for_for_ever() {
    let begun = Instant::now();
    let (mut silent, _other) = shell();
    assert_eq!(silent.place().await.expect_err("silence").exit(), Exit::Transfer);
    let (mut deaf, _other) = shell();
    let program = Program::new(vec![0; 1 << 20]);
    assert_eq!(deaf.write(&program).await.expect_err("a full pipe").exit(), Exit::Transfer);
    assert_eq!(begun.elapsed(), 2 * PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_arrives_damaged_is_not_run() {
    let program = Program::new(b"a program".to_vec());
    let (mut shell, mut other) = shell();
    other.output.write_all(b"damaged\n").await.expect("a pipe");
    let failed = tokio::join!(shell.write(&program), async {
        let mut sent = vec![0; program.announcement().len() + program.bytes().len()];
        other.input.read_exact(&mut sent).await.expect("all of it");
        assert!(sent.ends_with(b"a program"));
    });
    let failure = failed.0.expect_err("damaged");
    assert_eq!(failure.exit(), Exit::Transfer, "{failure}");
}
