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
    artefact.put(0, vec![1; length]).expect("room");
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
    artefact.begin(false);
    let put = |length| artefact.put(0, vec![1; length]);
    for _ in 0..6 {
        put(1 << 20).expect("memory");
    }
    assert_eq!(put(1).expect_err("full").code, Code::TimedOut);
    artefact.answered();
    let waiting = Arc::clone(&artefact);
    let put = std::thread::spawn(move || waiting.put(0, vec![1]));
    let peer = artefact.client().expect("a client").peer;
    artefact.acknowledge(&peer, 0, 6 << 20);
    assert_eq!(put.join().expect("no panic"), Ok(()));
}

/// A dump under way that waits for room for so many milliseconds.
fn dumping(max_stall: u32) -> Arc<Artefact> {
    let limits = Limits { max_stall, ..Limits::default() };
    let started = Started { job: 1, pid: 1, start_time: 1 };
    let artefact = Artefact::new(started, &limits, client()).expect("a bell");
    artefact.begin(false);
    Arc::new(artefact)
}

#[test]
fn a_disk_that_hangs_holds_the_jvm_no_longer_than_a_client_may() {
    // Nobody moves anything.
    let artefact = dumping(50);
    let failure = (0..).find_map(|_| artefact.put(0, vec![1; 1 << 20]).err()).expect("it ends");
    assert_eq!(failure.code, Code::TimedOut);
    assert_eq!(artefact.state().queue.lengths(), [7 << 20, 0]);
}

#[test]
fn short_waits_add_up() {
    let limits = Limits { spool: 0, max_stall: 100, ..Limits::default() };
    let artefact = Artefact::new(Started { job: 1, pid: 1, start_time: 1 }, &limits, client()).expect("a bell");
    let artefact = Arc::new(artefact);
    artefact.begin(true);
    let client = Arc::clone(&artefact);
    let (waits, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let peer = client.client().expect("a client").peer;
        for stored in 1.. {
            let Ok(()) = waiting.recv() else { return };
            // As long as a wait is, and no wake-up before its end.
            std::thread::sleep(Duration::from_millis(20));
            client.acknowledge(&peer, 0, stored << 20);
        }
    });
    let put = |number| {
        if number >= 6 {
            waits.send(()).expect("it listens");
        }
        artefact.put(0, vec![1; 1 << 20])
    };
    let (puts, failure) = (0..).find_map(|number| put(number).err().map(|failure| (number, failure))).expect("it ends");
    assert_eq!(failure.code, Code::TimedOut);
    assert!((6..=11).contains(&puts), "{puts} of them, where six need not wait and five may");
}

#[test]
fn what_the_disk_takes_comes_out_as_it_went_in() {
    let artefact = dumping(u32::MAX);
    let its_artefact = Arc::clone(&artefact);
    let spooling = std::thread::spawn(move || spooler::run(&its_artefact));
    for byte in 0..40 {
        artefact.put(0, vec![byte; 1 << 20]).expect("room");
    }
    assert!(artefact.state().queue.spool.used() >= 34 << 20);
    artefact.answered();
    artefact.finish(Ok(()));
    let peer = artefact.client().expect("a client").peer;
    let mut bytes = Vec::new();
    loop {
        match artefact.next() {
            Step::Send(_, block) => {
                assert_eq!(block.bytes, vec![block.bytes[0]; 1 << 20]);
                bytes.push(block.bytes[0]);
                artefact.sent(block);
                artefact.acknowledge(&peer, 0, (bytes.len() as u64) << 20);
            }
            Step::Over => break,
            _ => {}
        }
    }
    assert_eq!(bytes, (0..40).collect::<Vec<u8>>());
    spooling.join().expect("it ends with the dump");
}

#[test]
fn what_any_disk_takes_for_a_block_does_not_count_as_a_stall() {
    let begin = Instant::now().checked_sub(Duration::from_millis(100)).expect("up for longer");
    let wait = Wait { begin, moved: 5, earlier: Duration::ZERO };
    assert!(wait.unfair(5) >= Duration::from_millis(100));
    assert!(wait.unfair(15) >= Duration::from_millis(60));
    assert_eq!(wait.unfair(5 + u32::MAX / 8), Duration::ZERO);
}

#[test]
fn a_block_waits_for_its_turn_as_long_as_the_jvm_dumps_and_there_is_room() {
    let artefact = dumping(0);
    artefact.put(0, vec![1; 1 << 20]).expect("room");
    let mut state = artefact.state();
    assert!(matches!(state.step(), Ok(Step::Greet(_))));
    // As if one had been sent just now, however slow this test is.
    state.sent = Instant::now().checked_add(Duration::from_secs(3600));
    let waits = |state: &mut State| matches!(state.step(), Err(Some(left)) if left <= PACE);
    assert!(waits(&mut state));
    for lift in 0..2 {
        (state.tight, state.dumping) = (false, true);
        assert!(waits(&mut state));
        match lift {
            0 => state.tight = true,
            _ => state.dumping = false,
        }
        let Ok(Step::Send(_, block)) = state.step() else { panic!("it waits") };
        assert_eq!(block.leisure, !state.tight, "there is time to compress it");
        state.queue.put_back(block);
        let _ = state.queue.rewind([0, 0]);
        state.sent = Instant::now().checked_add(Duration::from_secs(3600));
    }
}
