//! A dump whose client is lost: the next one goes on where that one stopped.

use jattach_protocol::message::{DumpHeap, Limits, Operation, Request, Resume};
use jattach_protocol::{Code, Message};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hold;
use crate::client::{Client, all_is_written, attach, dump_heap};
use crate::container::Container;

fn resume(job: u64, stored: [u64; 2]) -> Operation {
    Operation::DumpHeap(DumpHeap { live: true, resume: Some(Resume { job, stored }), ..DumpHeap::default() })
}

/// Asks for a dump, and gets so many blocks of it.
fn begin(client: &mut Client, blocks: u32) {
    client.request(dump_heap());
    let mut left = blocks;
    client.fetch(&mut |message| {
        left -= u32::from(matches!(message, Message::Block(_)));
        left == 0
    });
}

/// A client that has what the earlier one had, and asks for the rest.
fn follow(container: &Container, earlier: &mut Client) -> Client {
    let mut client = Client::connect(container);
    (client.job, client.streams) = (earlier.job, std::mem::take(&mut earlier.streams));
    client.request(resume(client.job, client.stored()));
    client
}

#[test]
fn a_client_that_is_lost_is_followed_by_one_that_gets_the_rest() {
    let mut container = Container::start(60);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 5);
    let job = client.job;
    for more in [1, 20] {
        let mut next = follow(&container, &mut client);
        client.close();
        let mut left = more;
        next.fetch(&mut |message| {
            left -= u32::from(matches!(message, Message::Block(_)));
            left == 0
        });
        client = next;
    }
    let mut last = follow(&container, &mut client);
    let dump = last.answer().whole();
    assert_eq!(last.job, job);
    assert!(dump.len() > 60 << 20);
    assert!(dump.ends_with(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]), "HEAP_DUMP_END");
    assert_eq!(Client::connect(&container).ask(attach("properties", &[])).end.err(), None, "nobody is waited for");
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn a_connection_that_nobody_is_behind_any_more_does_not_keep_the_dump() {
    let mut container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut stale = Client::connect(&container);
    begin(&mut stale, 3);
    assert!(follow(&container, &mut stale).answer().whole().len() > 40 << 20);
    assert!(!stale.receive(|_| false), "its session has ended");
    container.assert_unharmed();
}

#[test]
fn a_client_that_has_all_and_lacks_the_last_word_gets_that() {
    let mut container = Container::start(20);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let dump = client.ask(dump_heap()).whole();
    let mut next = Client::connect(&container);
    next.streams = client.streams.clone();
    next.request(resume(client.job, next.stored()));
    let again = next.answer();
    assert_eq!(next.job, client.job);
    assert!(again.whole() == dump);
    container.assert_unharmed();
}

#[test]
fn a_dump_that_is_gone_is_told_of_and_no_other_one_is_made() {
    let mut container = Container::start(5);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let failure = client.ask(resume(12345, [1 << 20, 0])).failure();
    assert_eq!(failure.code, Code::Gone, "{failure}");
    assert!(client.ask(dump_heap()).whole().len() > 5 << 20, "another one is made when it is asked for");
    container.assert_unharmed();
}

#[test]
fn a_client_that_comes_back_is_sent_nothing_before_it_has_looked_at_what_it_has() {
    let mut container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 3);
    client.close_stdin();
    let mut next = Client::connect(&container);
    (next.job, next.streams) = (client.job, std::mem::take(&mut client.streams));
    let request =
        Request { pid: 0, container: String::new(), wait: false, ttl: 600, operation: resume(next.job, next.stored()) };
    next.send(1, &Message::Request(request));
    assert!(next.receive(|message| matches!(message, Message::Started(_))));
    let list = Request { pid: 0, container: String::new(), wait: false, ttl: 600, operation: Operation::List };
    next.send(2, &Message::Request(list));
    let mut blocks = 0;
    assert!(next.receive(|message| {
        blocks += u32::from(matches!(message, Message::Block(_)));
        matches!(message, Message::End(_))
    }));
    assert_eq!(blocks, 0);
    let offset = next.stored()[0];
    next.send(1, &Message::Ack { stream: 0, offset });
    assert!(next.answer().whole().len() > 40 << 20);
    container.assert_unharmed();
}

#[test]
fn a_client_that_lacks_what_it_has_acknowledged_is_told_so() {
    let mut container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 3);
    client.close_stdin();
    let mut next = Client::connect(&container);
    next.request(resume(client.job, [0, 0]));
    let failure = next.answer().failure();
    assert_eq!(failure.code, Code::Usage, "{failure}");
    assert!(next.ask(Operation::Shutdown).whole().is_empty());
    container.assert_unharmed();
}

#[test]
fn a_dump_that_waits_for_its_client_is_seen_and_keeps_others_waiting_until_it_is_ended() {
    let mut container = Container::start(40);
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    client.fetch(&mut all_is_written());
    client.close_stdin();
    let mut other = Client::connect(&container);
    other.until_job_waits();
    let busy = other.ask(attach("properties", &[])).failure();
    assert_eq!(busy.code, Code::Busy);
    assert!(busy.cause.contains("waiting for its client to come back"), "{busy}");
    assert!(busy.evidence.contains("by a test, who has been gone for"), "{busy}");
    assert!(busy.remedy.contains("goes on with it") && busy.remedy.contains("TARGET clean"), "{busy}");
    assert!(other.ask(Operation::Shutdown).whole().is_empty());
    drop(other);
    assert_eq!(hold.farewell(), (true, "injector hold: ends: told to end by a client".into()));
    container.assert_unharmed();
}

#[test]
fn a_client_that_says_bye_to_its_dump_gives_it_up() {
    let container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 3);
    client.send(0, &Message::Bye);
    let mut next = Client::connect(&container);
    next.request_as(1, true, attach("properties", &[]));
    next.answer().whole();
    assert_eq!(next.ask(resume(client.job, client.stored())).failure().code, Code::Gone, "it is not kept");
}

#[test]
fn a_dump_that_somebody_gives_up_without_having_come_for_it_keeps_nobody_waiting() {
    let mut container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    client.fetch(&mut all_is_written());
    client.close_stdin();
    let mut other = Client::connect(&container);
    other.until_job_waits();
    assert_eq!(other.ask(Operation::GiveUp(client.job ^ 1)).failure().code, Code::Gone);
    other.until_job_waits();
    other.ask(Operation::GiveUp(client.job)).whole();
    other.request_as(2, true, attach("properties", &[]));
    other.answer().whole();
    assert_eq!(other.ask(Operation::GiveUp(client.job)).failure().code, Code::Gone);
    container.assert_unharmed();
}

#[test]
fn a_hold_that_is_told_to_end_does_not_wait_for_a_jvm_that_is_stopped() {
    let mut container = Container::start(300);
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 1);
    let jvm = Pid::from_raw(container.init().try_into().expect("a pid"));
    kill(jvm, Signal::SIGSTOP).expect("it runs");
    Client::connect(&container).ask(Operation::Shutdown).whole();
    let (_, last) = hold.farewell();
    kill(jvm, Signal::SIGCONT).expect("it is stopped");
    assert!(last.contains("the JVM is stopped"), "{last}");
    let _next = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

/// Nothing may lie on a disk, and the JVM may wait for so long.
fn tight(max_stall: u32, max_pause: u32) -> Operation {
    let limits = Limits { spool: 0, max_stall, max_pause, ..Limits::default() };
    Operation::DumpHeap(DumpHeap { live: true, limits, ..DumpHeap::default() })
}

#[test]
fn a_client_that_takes_nothing_does_not_keep_the_jvm_for_longer_than_it_may() {
    let mut container = Container::start(100);
    let _hold = Hold::start(&container);
    let mut stopped = Client::connect(&container);
    stopped.request(tight(300, 0));
    let failure = stopped.answer_without_acks().failure();
    assert_eq!(failure.code, Code::TimedOut, "{failure}");
    assert!(failure.cause.contains("wait"), "{failure}");
    container.assert_only_sockets_left();
    let failure = Client::connect(&container).ask(resume(stopped.job, [0, 0])).failure();
    assert_eq!(failure.code, Code::TimedOut, "who comes back for it is told the same: {failure}");
    let mut last = Client::connect(&container);
    last.request_as(1, true, tight(10_000, 0));
    let again = last.answer().whole();
    assert!(again.len() > 100 << 20, "a client that takes what comes needs no disk");
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn a_client_that_is_dead_does_not_keep_the_jvm_however_long_it_may_wait() {
    let mut container = Container::start(100);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(tight(u32::MAX, 0));
    assert!(client.receive(|message| matches!(message, Message::Block(_))));
    client.close_stdin();
    let mut next = Client::connect(&container);
    next.request_as(1, true, attach("properties", &[]));
    next.answer().whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn a_pause_that_becomes_too_long_is_ended_and_the_jvm_goes_on() {
    let mut container = Container::start(300);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(tight(10_000, 30));
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::TimedOut, "{failure}");
    assert!(failure.cause.contains("pause"), "{failure}");
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn a_dump_that_is_ended_while_the_jvm_writes_leaves_nothing() {
    let mut container = Container::start(300);
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    begin(&mut client, 1);
    Client::connect(&container).ask(Operation::Shutdown).whole();
    assert_eq!(hold.farewell(), (true, "injector hold: ends: told to end by a client".into()));
    assert_eq!(container.left_behind(), [""; 0]);
    container.assert_unharmed();
}
