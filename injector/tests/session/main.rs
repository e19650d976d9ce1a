//! hold and session as they stand in a debug container: the real binary beside a real JVM, in namespaces of their own.
#![cfg(feature = "root")]

mod client;
mod collectors;
mod container;
mod disk;
mod file;
mod full;
mod identity;
mod killed;
mod place;
mod print;
mod rendezvous;
#[path = "../shared/rest.rs"]
mod rest;
mod resume;
#[path = "../shared/skip.rs"]
mod skip;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use client::{Client, attach, dump_heap};
use container::{Container, child_of};
use jattach_protocol::message::{Hello, Operation, Phase, Progress, Request};
use jattach_protocol::{Code, Message};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

struct Hold {
    nsenter: Child,
    stderr: BufReader<ChildStderr>,
}

impl Hold {
    fn start(container: &Container) -> Hold {
        Hold::run(container.command(container.injector()))
    }

    /// The same by a command that ends in executing the injector.
    fn run(mut command: Command) -> Hold {
        let mut nsenter = command.arg("hold").stderr(Stdio::piped()).spawn().expect("hold");
        let stderr = BufReader::new(nsenter.stderr.take().expect("piped"));
        Hold { nsenter, stderr }
    }

    fn pid(&self) -> u32 {
        child_of(self.nsenter.id())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().expect("a pid")), signal).expect("hold runs");
    }

    /// Waits for its end, and gives its last words.
    fn farewell(&mut self) -> (bool, String) {
        let success = self.nsenter.wait().expect("hold's end").success();
        let last = self.stderr.by_ref().lines().last();
        (success, last.map_or_else(String::new, |line| line.expect("text")))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // It lives in the container's PID namespace, and ends with that.
        let _ = self.nsenter.kill();
        let _ = self.nsenter.wait();
    }
}

#[test]
fn a_thread_dump_arrives_whole_and_the_session_ends_with_its_stdin() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let text = String::from_utf8(client.ask(attach("threaddump", &[])).whole()).expect("text");
    assert!(text.contains("Full thread dump") && text.contains("Hoard.main"), "{text}");
    assert!(client.close().success());
    container.assert_unharmed();
}

#[test]
fn a_heap_dump_arrives_whole_and_nothing_of_it_is_left() {
    let mut container = Container::start(40);
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let dump = client.ask(dump_heap()).whole();
    assert!(dump.len() > 40 << 20);
    assert!(dump.starts_with(b"JAVA PROFILE 1.0."));
    assert!(dump.ends_with(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]), "HEAP_DUMP_END");
    assert!(client.ask(Operation::Shutdown).whole().is_empty());
    assert_eq!(hold.farewell(), (true, "injector hold: ends: told to end by a client".into()));
    assert_eq!(container.left_behind(), [""; 0]);
    container.assert_unharmed();
}

#[test]
fn a_second_job_is_told_what_the_first_one_is_and_gets_its_turn_when_that_client_goes() {
    let mut container = Container::start(80);
    let _hold = Hold::start(&container);
    let mut first = Client::connect(&container);
    first.ttl = 2;
    first.request(dump_heap());
    // Without acknowledgements the window closes at 32 MB: the job stays.
    first.receive(|message| matches!(message, Message::Block(_)));

    let mut second = Client::connect(&container);
    let busy = second.ask(attach("threaddump", &[])).failure();
    assert_eq!(busy.code, Code::Busy);
    assert!(busy.cause.contains("heap dump"), "{busy}");
    assert!(second.ask(Operation::List).end.is_ok(), "who only looks needs no turn");

    second.request_as(2, true, attach("properties", &[]));
    let queued = |message: Message<'_>| matches!(message, Message::Progress(Progress { phase: Phase::Queued, .. }));
    assert!(second.receive(queued));
    first.close();
    let text = String::from_utf8(second.answer().whole()).expect("text");
    assert!(text.contains("java.version="), "{text}");
    container.assert_unharmed();
}

#[test]
fn a_client_that_goes_while_the_jvm_dumps_leaves_nothing_behind() {
    let mut container = Container::start(80);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.ttl = 2;
    client.request(dump_heap());
    client.receive(|message| matches!(message, Message::Progress(Progress { phase: Phase::Attaching, .. })));
    client.close();
    // The next job begins when that one has ended.
    let mut next = Client::connect(&container);
    next.request_as(1, true, attach("properties", &[]));
    next.answer().whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn hold_ends_at_once_when_told_to_and_says_why() {
    let mut container = Container::start(1);
    let mut hold = Hold::start(&container);
    // It is up when it answers.
    Client::connect(&container).ask(Operation::List).whole();
    hold.signal(Signal::SIGTERM);
    assert_eq!(hold.farewell(), (true, "injector hold: ends: told to end (SIGTERM)".into()));
    assert_eq!(container.left_behind(), [""; 0]);
    container.assert_unharmed();
}

#[test]
fn a_request_that_is_no_job_also_says_how_long_hold_stays_after_it() {
    let container = Container::start(1);
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let request = Request { pid: 0, container: String::new(), wait: false, ttl: 0, operation: Operation::List };
    client.send(1, &Message::Request(request));
    client.answer().whole();
    drop(client);
    assert_eq!(hold.farewell(), (true, "injector hold: ends: idle for its time to live".into()));
}

#[test]
fn a_client_that_says_nothing_for_15_seconds_is_gone_and_the_next_one_gets_its_turn() {
    let mut container = Container::start(80);
    let _hold = Hold::start(&container);
    let mut silent = Client::connect(&container);
    silent.ttl = 2;
    silent.request(dump_heap());
    // It reads all there is and acknowledges nothing, without a heartbeat: the way a stopped client looks from inside.
    let failure = silent.answer_without_acks().failure();
    assert_eq!(failure.code, Code::Transfer);
    assert!(failure.cause.contains("silent"), "{failure}");
    let mut next = Client::connect(&container);
    next.request_as(1, true, attach("properties", &[]));
    next.answer().whole();
    container.assert_unharmed();
}

/// An agent that answers with the length of its options.
const AGENT: &str =
    "#include <string.h>\nint Agent_OnAttach(void *vm, char *options, void *reserved) { return strlen(options); }\n";

#[test]
fn an_agent_is_sent_loaded_and_removed() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let source = container.tmp.path().join("Hoard-agent.c");
    let library = container.tmp.path().join("Hoard-agent.so");
    std::fs::write(&source, AGENT).expect("the source");
    let compiled =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.expect("cc").success());
    let agent = std::fs::read(library).expect("the library");

    let mut client = Client::connect(&container);
    let said = String::from_utf8(client.upload(&agent, agent.len(), "").whole()).expect("text");
    assert_eq!(said, "return code: 0\n");
    let refused = client.upload(&agent, agent.len(), "four").failure();
    assert_eq!((refused.code, refused.evidence.as_ref()), (Code::JvmFailed, "return code: 4"));
    let mut other = agent.clone();
    other[100] ^= 1;
    assert_eq!(client.upload(&other, agent.len(), "").failure().code, Code::Transfer, "a hash that is another's");
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn a_client_that_says_bye_sees_the_session_end_without_closing_its_stdin() {
    let container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.ask(attach("properties", &[])).whole();
    client.send(0, &Message::Bye);
    assert!(!client.receive(|_| false), "only the end is left");
}

#[test]
fn a_session_without_a_hold_says_so_in_frames() {
    let container = Container::start(1);
    let mut client = Client::start(&container);
    let failure = client.answer().failure();
    assert!(failure.cause.contains("does not answer"), "{failure}");
    assert_eq!(client.close().code(), Some(8));
}

#[test]
fn a_client_of_another_version_is_told_which_versions_met() {
    let container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::start(&container);
    client.send(0, &Message::Hello(Hello { version: 99, software: "kubectl-jattach 9".into(), capabilities: 0 }));
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::Version);
    assert!(failure.evidence.contains("kubectl-jattach 9"), "{failure}");
}

#[test]
fn what_is_no_frame_ends_the_conversation_with_a_reason() {
    let container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::start(&container);
    client.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().failure().code, Code::Transfer);
}

#[test]
fn what_the_jvm_refuses_is_a_failure_in_its_own_words() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    for (command, argument, said) in [
        ("jcmd", "No.such", "Unknown diagnostic command"),
        ("printflag", "NoSuchFlag", "no such flag"),
        ("setflag", "UseSerialGC", "cannot be changed"),
        ("load", "/no/such.so", "no/such.so"),
    ] {
        let failure = client.ask(attach(command, &[argument])).failure();
        assert_eq!(failure.code, Code::JvmFailed, "{command}: {failure}");
        assert!(failure.evidence.contains(said), "{command}: {failure}");
    }
    assert_eq!(client.ask(attach("nonsense", &[])).failure().code, Code::Usage);
    container.assert_unharmed();
}

#[test]
fn a_second_request_of_a_client_is_refused_and_the_first_one_goes_on() {
    let mut container = Container::start(40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request_as(1, false, dump_heap());
    client.request_as(2, false, attach("properties", &[]));
    let (dump, refused) = client.answer_despite(Code::Usage);
    assert!(refused);
    assert!(dump.whole().len() > 40 << 20);
    container.assert_unharmed();
}

#[test]
fn an_upload_that_is_refused_holds_up_nobody() {
    let mut container = Container::start(80);
    let mut hold = Hold::start(&container);
    let mut first = Client::connect(&container);
    first.ttl = 2;
    first.request(dump_heap());
    first.receive(|message| matches!(message, Message::Block(_)));
    let mut second = Client::connect(&container);
    let refused = second.upload(&vec![0; 1 << 20], 1 << 20, "").failure();
    assert_eq!(refused.code, Code::Busy);
    assert!(second.ask(Operation::List).end.is_ok(), "it is still heard");
    hold.signal(Signal::SIGTERM);
    let late = second.ask(attach("properties", &[])).failure();
    assert_eq!(late.code, Code::Busy, "nothing is begun any more");
    first.close();
    assert_eq!(hold.farewell(), (true, "injector hold: ends: told to end (SIGTERM)".into()));
    container.assert_unharmed();
}
