//! What the desk says of its job, and what it ends with.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use jattach_protocol::message::{DumpHeap, Limits, Started, TOLD_TO_END};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::*;
use crate::dump::artefact::Client;
use crate::sys::Kernel;

static KERNEL: Kernel = Kernel;

/// A process that is stopped; ended with its test.
struct Stopped(Child);

impl Stopped {
    fn start() -> Stopped {
        let child = Command::new("sleep").arg("600").spawn().expect("a sleep");
        let pid = Pid::from_raw(child.id().cast_signed());
        kill(pid, Signal::SIGSTOP).expect("it runs");
        waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("it stops");
        Stopped(child)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it is ours");
    }
}

fn peer() -> Arc<Peer> {
    let (ours, _theirs) = UnixStream::pair().expect("sockets");
    Arc::new(Peer::new(ours).expect("a peer"))
}

/// What a client of its own asks for.
fn order(pid: u32, wait: bool, operation: Operation) -> Order {
    let target = Target::open(&KERNEL, pid).expect("it is there");
    let request = Request { pid, container: String::new(), wait, ttl: 600, operation };
    Order { target, peer: peer(), id: 1, request, blocks: Arc::default() }
}

/// A heap dump of that process runs.
fn dumping(desk: &Desk, pid: u32, wanted: DumpHeap) -> Arc<Artefact> {
    assert_eq!(desk.submit(order(pid, false, Operation::DumpHeap(wanted))), Ok(None), "nothing runs");
    let (order, job) = desk.next().expect("its turn");
    let started = Started { job, pid, start_time: order.target.start_time() };
    let client = Client::new(&order.peer, order.id, Duration::from_secs(600));
    let dump = Arc::new(Artefact::new(started, &Limits::default(), client).expect("a bell"));
    desk.dumps(&dump);
    dump
}

#[test]
fn who_has_told_it_to_end_is_said_beside_a_stopped_jvm_as_well() {
    for reason in [TOLD_TO_END, "told to end (SIGTERM)"] {
        let (jvm, desk) = (Stopped::start(), Desk::new().expect("a bell"));
        let dump = dumping(&desk, jvm.0.id(), DumpHeap::default());
        dump.is_written(true);
        dump.end(ended(reason));
        desk.state().closing = Some((reason, Instant::now()));
        let said = desk.over().expect_err("nothing to wait for");
        assert_eq!(said, format!("{reason}; the JVM is stopped, and gives its heap dump up as soon as it goes on"));
    }
}

#[test]
fn who_finds_it_busy_with_a_dump_without_a_client_is_told_of_a_way_to_go_on_only_where_there_is_one() {
    for (piped, told) in [(false, "the same command with the same FILE goes on with it"), (true, "only the run that")] {
        let desk = Desk::new().expect("a bell");
        let dump = dumping(&desk, std::process::id(), DumpHeap { piped, ..DumpHeap::default() });
        desk.detach(&dump.client().expect("its client").peer);
        let state = desk.state();
        let failure = busy(state.running.as_ref().expect("a job"));
        assert!(failure.remedy.starts_with(told), "{failure}");
    }
}

#[test]
fn who_waits_is_told_of_the_job_before_it() {
    let (desk, pid) = (Desk::new().expect("a bell"), std::process::id());
    let text = |wait| {
        let operation = Operation::Attach { command: "threaddump".to_owned(), arguments: Vec::new() };
        desk.submit(order(pid, wait, operation))
    };
    let running = dumping(&desk, pid, DumpHeap::default());
    assert_eq!(text(false).expect_err("not now").code, Code::Busy);
    let before = text(true).expect("it waits").expect("for another job");
    assert!(before.starts_with("heap dump, for "), "{before}");
    drop(running);
    desk.ended();
    assert!(text(true).expect("it waits").expect("for the one that waits").starts_with("threaddump"));
}
