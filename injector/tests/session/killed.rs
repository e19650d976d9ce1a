//! What is left when somebody is killed while the JVM writes a dump.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jattach_protocol::message::{Phase, Progress};
use jattach_protocol::{Code, Message};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::container::{Container, UNDER_INIT, child_of};

/// As much heap as a JVM writes for a while.
const LARGE: u32 = 300;

/// What is opened in the places where a dump's FIFOs may be.
pub(crate) struct Opens(Inotify);

impl Opens {
    pub(crate) fn watch(container: &Container) -> Opens {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("an inotify instance");
        for directory in [container.tmp.path().to_owned(), format!("/proc/{}/root/dev/shm", container.init()).into()] {
            inotify.add_watch(&directory, AddWatchFlags::IN_OPEN).expect("watched");
        }
        Opens(inotify)
    }

    /// Waits until a JVM has opened what it is to dump into: it is about to collect garbage, and to dump then.
    pub(crate) fn wait(&self, jvm: u32) -> PathBuf {
        loop {
            if let Some(path) = opened(jvm) {
                return path;
            }
            self.0.read_events().expect("an event");
        }
    }
}

/// The FIFO of ours that the process has open.
fn opened(pid: u32) -> Option<PathBuf> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let mut links = fds.filter_map(|fd| std::fs::read_link(fd.expect("an entry").path()).ok());
    links.find(|link| link.to_string_lossy().contains("/.jattach-"))
}

#[test]
fn a_jvm_whose_injector_is_killed_before_it_has_opened_all_it_dumps_into_goes_on() {
    let mut container = Container::start(LARGE);
    let hold = Hold::start(&container);
    let opens = Opens::watch(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    opens.wait(container.init());
    let jvm = Pid::from_raw(container.init().try_into().expect("a pid"));
    kill(jvm, Signal::SIGSTOP).expect("it runs");
    hold.signal(Signal::SIGKILL);
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
    kill(jvm, Signal::SIGCONT).expect("it is stopped");
    let _next = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

/// Waits until the JVM is writing.
fn await_dump(client: &mut Client) {
    assert!(client.receive(|message| matches!(message, Message::Block(_))));
}

fn end(pid: u32) {
    kill(Pid::from_raw(pid.try_into().expect("a pid")), Signal::SIGKILL).expect("it runs");
}

#[test]
fn a_jvm_that_is_killed_while_it_dumps_is_said_to_have_ended_and_its_file_is_gone() {
    let container = Container::shaped(&UNDER_INIT, LARGE);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    await_dump(&mut client);
    end(child_of(container.init()));
    let failure = client.answer_without_acks().failure();
    assert_eq!(failure.code, Code::TargetEnded, "{failure}");
    container.assert_only_sockets_left();
}

#[test]
fn a_jvm_that_is_killed_before_it_dumps_is_said_to_have_ended() {
    let container = Container::shaped(&UNDER_INIT, 1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    client.receive(|message| matches!(message, Message::Started(_)));
    end(child_of(container.init()));
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::TargetEnded, "{failure}");
    container.assert_only_sockets_left();
}

#[test]
fn a_dump_that_is_written_arrives_whole_without_its_jvm() {
    let container = Container::shaped(&UNDER_INIT, 40);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    let dump = client.answer_acknowledged_from(&mut |message| {
        let written = matches!(message, Message::Progress(Progress { phase: Phase::Sending, .. }));
        if written {
            end(child_of(container.init()));
        }
        written
    });
    assert!(dump.whole().len() > 40 << 20);
}

#[test]
fn what_is_left_of_a_dump_when_the_container_is_killed_an_injector_sweeps_that_comes_an_hour_later() {
    let mut container = Container::start(LARGE);
    let hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    await_dump(&mut client);
    end(container.init());
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "the session has died with the container");
    drop(hold);
    for name in container.left_behind() {
        // Both ways: nobody has the other end of a FIFO open.
        let file = File::options().read(true).write(true).open(container.tmp.path().join(name));
        // The socket that hold has left cannot be opened.
        let _ = file.and_then(|file| file.set_modified(SystemTime::now() - Duration::from_secs(7200)));
    }
    container.restart(1);
    let _hold = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

#[test]
fn what_a_jvm_writes_for_a_hold_that_is_killed_the_next_one_sweeps() {
    let mut container = Container::start(LARGE);
    let hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    await_dump(&mut client);
    hold.signal(Signal::SIGKILL);
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
    drop(hold);
    let _next = Hold::start(&container);
    // Served when the JVM has finished the dump that nobody wants any more.
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}
