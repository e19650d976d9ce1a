//! JVMs whose dump is a file, and which cannot be made to wait. Others do not pass these tests:
//! `JATTACH_JDK_ROOT=target/jdks/8 cargo test … -- --include-ignored file::` (`cargo xtask image --jvm --jdk 8` fetches it).

use std::fs;
use std::path::Path;

use jattach_protocol::message::{DumpHeap, Limits, Operation};
use jattach_protocol::{Code, Failure, Message};
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::container::{Container, PLAIN, enter};
use crate::full::take_the_rest;
use crate::killed::{LARGE, Opens, stop_while_it_writes};
use crate::place::{Apart, signal};

/// Why a dump within these limits is refused; the JVM was not asked for it.
fn refused(limits: Limits) -> Failure {
    let mut container = Container::start(20);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(Operation::DumpHeap(DumpHeap { limits, ..DumpHeap::default() }));
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::NoSpace, "{failure}");
    assert!(failure.cause.contains("cannot be made to wait"), "{failure}");
    container.assert_only_sockets_left();
    container.assert_unharmed();
    failure
}

#[test]
#[ignore = "it wants JDK 8"]
fn what_the_spool_may_not_hold_is_refused_with_the_reason() {
    for spool in [0, 1 << 20] {
        let failure = refused(Limits { spool, ..Limits::default() });
        assert!(failure.evidence.contains("it writes a file"), "{failure}");
        assert!(failure.remedy.contains("--spool-limit"), "{failure}");
    }
    let failure = refused(Limits { storage: 8 << 20, ..Limits::default() });
    assert!(failure.evidence.contains("the spool may hold 2 MiB"), "{failure}");
}

#[test]
#[ignore = "it wants JDK 8"]
fn a_pause_that_could_not_be_ended_is_refused_with_the_reason() {
    let failure = refused(Limits { max_pause: 60_000, ..Limits::default() });
    assert!(failure.evidence.contains("--max-pause could not stop it"), "{failure}");
    assert!(failure.remedy.contains("--max-pause"), "{failure}");
}

#[test]
#[ignore = "it wants JDK 8"]
fn the_lengths_of_heap_records_come_behind_their_data() {
    let mut container = Container::start(LARGE);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    // The head of the record is here, and its end is not written.
    stop_while_it_writes(&mut client, container.init());
    signal(container.init(), Signal::SIGCONT);
    let dump = client.answer();
    assert!(dump.has_patches());
    assert!(dump.whole().len() > 300 << 20);
    container.assert_unharmed();
}

#[test]
#[ignore = "it wants JDK 8"]
fn hold_leaves_a_jvm_that_is_stopped_and_nothing_is_left_when_it_goes_on() {
    let mut container = Container::start(LARGE);
    let mut hold = Hold::start(&container);
    let opens = Opens::watch(&container);
    let mut client = Client::connect(&container);
    client.request(dump_heap());
    opens.wait(container.init());
    signal(container.init(), Signal::SIGSTOP);
    Client::connect(&container).ask(Operation::Shutdown).whole();
    let (_, last) = hold.farewell();
    signal(container.init(), Signal::SIGCONT);
    assert!(last.contains("the JVM is stopped"), "{last}");
    let _next = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

/// A /tmp that is no tmpfs by its looks, with room for a dump: so the JVM's file lies there.
const ROOMY: &str = r#"mount -t tmpfs -o size=8g none "$0" && mkdir "$0/lower" "$0/upper" "$0/work" &&
    mount -t overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" none /tmp && chmod 1777 /tmp"#;

/// Bytes that are taken on the disk of the injector's /tmp.
fn taken(pod: &Apart) -> u64 {
    let disk = statvfs(&Path::new("/proc").join(pod.hold().to_string()).join("root/tmp")).expect("its file system");
    (disk.blocks() - disk.blocks_free()) * disk.fragment_size()
}

/// Gives that disk another size, in bytes.
fn resize(pod: &Apart, size: u64) {
    let mut mount = enter(pod.hold());
    mount.args(["mount", "-o", &format!("remount,size={size}")]).arg(pod.own.path());
    assert!(mount.status().expect("mount").success());
}

#[test]
#[ignore = "it wants JDK 8"]
fn a_disk_that_is_full_in_mid_dump_is_named_and_the_jvm_goes_on() {
    let mut pod = Apart::start(&PLAIN, LARGE, ROOMY);
    let mut client = pod.client();
    client.ask(attach("properties", &[])).whole();
    let before = taken(&pod);
    let file = stop_while_it_writes(&mut client, pod.container.init());
    // What is written has left, but for less than a block, and is no more on the disk: what is free now stays so.
    let written = file.metadata().expect("it is open").len();
    client.fetch(&mut |message| match message {
        Message::Block(block) => block.offset + 2 * u64::from(block.raw_length) > written,
        _ => false,
    });
    resize(&pod, taken(&pod) + (16 << 20));
    take_the_rest(&pod);
    signal(pod.container.init(), Signal::SIGCONT);
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::JvmFailed, "{failure}");
    assert!(failure.evidence.contains("No space left on device"), "{failure}");

    fs::remove_file(format!("/proc/{}/root/tmp/filler", pod.hold())).expect("the filler");
    resize(&pod, 8 << 30);
    pod.client().ask(attach("properties", &[])).whole();
    assert_eq!(taken(&pod), before);
    assert!(pod.client().ask(dump_heap()).whole().len() > 300 << 20);
    pod.container.assert_only_sockets_left();
    pod.container.assert_unharmed();
}
