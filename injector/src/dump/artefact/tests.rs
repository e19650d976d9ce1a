//! The job of a dump, with clients that nobody is behind.

use std::os::unix::net::UnixStream;

use super::*;

fn client() -> Client {
    let (ours, _theirs) = UnixStream::pair().expect("sockets");
    Client::new(&Arc::new(Peer::new(ours).expect("a peer")), 1, Duration::from_secs(600))
}

/// A dump of one block, which the JVM has finished.
fn finished(client: Client, length: usize) -> Artefact {
    let started = Started { job: 1, pid: 1, start_time: 1 };
    let artefact = Artefact::new(started, &Limits::default(), client).expect("a bell");
    artefact.put(0, vec![1; length], &mut |raw| (Codec::None, raw)).expect("room");
    artefact.finish(Ok(()));
    artefact
}

#[test]
fn a_client_that_lacks_nothing_but_the_last_word_is_greeted_before_that() {
    let first = client();
    let artefact = finished(first.clone(), 100);
    assert!(matches!(artefact.next(), Step::Greet(_)));
    assert!(matches!(artefact.next(), Step::Send(_, _)));
    artefact.detach(&first.peer);
    assert!(matches!(artefact.attach(client(), [100, 0]), Ok(Attached::Live)));
    assert!(matches!(artefact.next(), Step::Greet(_)), "it waits for that");
    assert!(matches!(artefact.next(), Step::Over));
    assert_eq!(artefact.result().expect("whole").1[0].length, 100);
}

#[test]
fn what_nobody_fetches_is_given_back_and_said_to_be_gone() {
    let mut hasty = client();
    hasty.patience = Duration::ZERO;
    let artefact = finished(hasty.clone(), 100);
    artefact.detach(&hasty.peer);
    assert!(matches!(artefact.next(), Step::Over));
    assert_eq!(artefact.result().expect_err("gone").code, Code::Cancelled);
    assert!(matches!(artefact.attach(client(), [0, 0]), Ok(Attached::Over)));
    assert!(artefact.state().queue.is_empty());
}

#[test]
fn a_failure_lets_everything_go_and_stays_what_it_was() {
    let artefact = finished(client(), 100);
    artefact.state().outcome = None;
    artefact.finish(Err(Failure::new(Code::TargetEnded, "process 1 has ended")));
    artefact.fail(Failure::new(Code::NoSpace, "the spool in the pod cannot be used"));
    assert!(matches!(artefact.next(), Step::Greet(_)));
    assert!(matches!(artefact.next(), Step::Over));
    assert_eq!(artefact.result().expect_err("failed").code, Code::TargetEnded);
}

#[test]
fn a_jvm_that_has_answered_is_not_said_to_wait() {
    let limits = Limits { spool: 0, max_stall: 0, ..Limits::default() };
    let started = Started { job: 1, pid: 1, start_time: 1 };
    let artefact = Arc::new(Artefact::new(started, &limits, client()).expect("a bell"));
    artefact.begin();
    let put = |length| artefact.put(0, vec![1; length], &mut |raw| (Codec::None, raw));
    for _ in 0..6 {
        put(1 << 20).expect("memory");
    }
    assert_eq!(put(1).expect_err("full").code, Code::TimedOut);
    artefact.answered();
    let waiting = Arc::clone(&artefact);
    let put = std::thread::spawn(move || waiting.put(0, vec![1], &mut |raw| (Codec::None, raw)));
    let peer = artefact.client().expect("a client").peer;
    artefact.acknowledge(&peer, 0, 6 << 20);
    assert_eq!(put.join().expect("no panic"), Ok(()));
}
