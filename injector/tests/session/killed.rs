//! What is left when somebody is killed while the JVM writes a dump.

use std::fs::{DirEntry, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jattach_protocol::{Code, Message};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;

use crate::Hold;
use crate::client::{Client, all_is_written, attach, dump_heap};
use crate::container::{Container, UNDER_INIT, child_of};
use crate::place::signal;

/// As much heap as a JVM writes for a while.
pub(crate) const LARGE: u32 = 300;

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

    /// Waits until a JVM has opened what it is to dump into: it is about to collect garbage, and to dump then. Fails where a
    /// minute goes by without a sign of that: a dump that was refused opens nothing.
    pub(crate) fn wait(&self, jvm: u32) -> PathBuf {
        loop {
            if let Some(fd) = opened(jvm) {
                return std::fs::read_link(fd).expect("it is about to collect garbage");
            }
            let mut there = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut there, PollTimeout::from(60_000_u16)).expect("poll");
            assert_eq!(ready, 1, "the JVM has opened nothing to dump into");
            self.0.read_events().expect("an event");
        }
    }
}

/// The process's descriptor of a FIFO or a file of ours.
fn opened(pid: u32) -> Option<PathBuf> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let ours = |fd: &PathBuf| std::fs::read_link(fd).is_ok_and(|link| link.to_string_lossy().contains("/.jattach-"));
    fds.map(|fd| fd.expect("an entry").path()).find(ours)
}

/// Stops a process, and waits until none of its threads does anything any more.
fn stop(pid: u32) {
    signal(pid, Signal::SIGSTOP);
    let runs = |task: std::io::Result<DirEntry>| {
        let stat = std::fs::read_to_string(task.expect("an entry").path().join("stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") T ")
    };
    while std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").any(runs) {
        std::thread::yield_now();
    }
}

/// Has a JVM with a [`LARGE`] heap begin with a dump, and stops it while it writes. What has come by then is in the client's
/// `streams`; given is the JVM's descriptor of what it writes to.
pub(crate) fn stop_while_it_writes(client: &mut Client, jvm: u32) -> PathBuf {
    for _ in 0..20 {
        client.request(dump_heap());
        client.fetch(&mut |message| match message {
            Message::Failure(failure) => panic!("{failure}"),
            // Heap, and no longer names alone.
            Message::Block(block) => block.offset >= 2 << 20,
            _ => false,
        });
        stop(jvm);
        // The length of a FIFO is 0. A file is not whole, and the length of its heap record not known, where it is shorter
        // than the heap.
        let unfinished = |fd: &PathBuf| std::fs::metadata(fd).expect("it is stopped").len() < u64::from(LARGE) << 20;
        if let Some(fd) = opened(jvm).filter(unfinished) {
            return fd;
        }
        // It was quicker than we are, and may be slower the next time.
        signal(jvm, Signal::SIGCONT);
        client.answer().whole();
    }
    panic!("no dump is slow enough to be seen");
}

#[test]
fn a_jvm_whose_injector_is_killed_before_it_has_opened_all_it_dumps_into_goes_on() {
    let mut container = Container::start(LARGE);
    let hold = Hold::start(&container);
    let opens = Opens::watch(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    opens.wait(container.init());
    signal(container.init(), Signal::SIGSTOP);
    hold.signal(Signal::SIGKILL);
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
    signal(container.init(), Signal::SIGCONT);
    let _next = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

fn end(pid: u32) {
    signal(pid, Signal::SIGKILL);
}

#[test]
fn a_jvm_that_is_killed_while_it_dumps_is_said_to_have_ended_and_its_file_is_gone() {
    let container = Container::shaped(&UNDER_INIT, LARGE);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let jvm = child_of(container.init());
    stop_while_it_writes(&mut client, jvm);
    end(jvm);
    let failure = client.answer().failure();
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
    let mut all_is_written = all_is_written();
    let dump = client.answer_acknowledged_from(&mut |message| {
        let written = all_is_written(message);
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
    stop_while_it_writes(&mut client, container.init());
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
    stop_while_it_writes(&mut client, container.init());
    hold.signal(Signal::SIGKILL);
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
    drop(hold);
    signal(container.init(), Signal::SIGCONT);
    let _next = Hold::start(&container);
    // Served when the JVM has finished the dump that nobody wants any more.
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}
