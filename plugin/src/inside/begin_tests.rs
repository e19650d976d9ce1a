//! What becomes of the conversation where the program has not begun it.

use futures::future::pending;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::session::OtherEnd;

/// How a program's beginning fails that says this, and ends so, if it does.
async fn begun(said: &[u8], end: Option<Option<Status>>) -> Failure {
    let status = match end {
        Some(status) => ready(status).boxed(),
        None => pending().boxed(),
    };
    let (streams, mut other): (Streams, OtherEnd) = Streams::of_a_test(status);
    other.output.write_all(said).await.expect("a pipe");
    match begin(streams, "app").await {
        Ok(_) => panic!("nobody was there"),
        Err(error) => error.into(),
    }
}

fn killed() -> Status {
    Status { message: Some("command terminated with exit code 126".to_owned()), ..Status::default() }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_ended_before_its_first_word_was_not_let_run() {
    let failure = begun(b"", Some(Some(killed()))).await;
    assert_eq!(failure.id, Id::NotInside, "{failure}");
    assert!(failure.evidence.contains("exit code 126"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_says_nothing_of_the_program() {
    for (said, end) in [(&b""[..], Some(None)), (b"", None), (&[0xff; 64], None)] {
        let failure = begun(said, end).await;
        assert_eq!(failure.exit(), Exit::Transfer, "{failure}");
    }
}
