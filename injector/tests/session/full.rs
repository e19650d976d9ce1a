//! Disks that run full while the JVM dumps.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use jattach_protocol::message::{DumpHeap, Limits, Operation};
use jattach_protocol::{Code, Message};
use nix::sys::signal::Signal;

use crate::client::{Client, attach, dump_heap};
use crate::container::{IN_MEMORY, PLAIN};
use crate::disk::spools;
use crate::place::{Apart, READ_ONLY, READ_ONLY_SHARED, signal};

/// A /tmp of 96 MiB that is no tmpfs by its looks: so a spool lies there.
const SMALL: &str = r#"mount -t tmpfs -o size=96m none "$0" && mkdir "$0/lower" "$0/upper" "$0/work" &&
    mount -t overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" none /tmp && chmod 1777 /tmp"#;

/// More than that holds.
const LARGE: u32 = 300;

/// Has a JVM begin with a dump, and takes the rest of the disk of its injector's /tmp before it goes on.
fn fill_in_mid_dump(pod: &Apart, client: &mut Client) {
    client.fetch(&mut |message| matches!(message, Message::Block(_)));
    // With room for 64 MiB more it is not looked at again.
    while spools(pod.hold()).iter().all(|spool| spool.metadata().expect("a file").len() == 0) {}
    let jvm = pod.container.init();
    signal(jvm, Signal::SIGSTOP);
    take_the_rest(pod);
    signal(jvm, Signal::SIGCONT);
}

/// Takes the rest of the disk of the injector's /tmp.
pub(crate) fn take_the_rest(pod: &Apart) {
    let mut filler = File::create(format!("/proc/{}/root/tmp/filler", pod.hold())).expect("a file");
    let error = loop {
        if let Err(error) = filler.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn a_spool_whose_disk_is_full_takes_no_more_and_who_takes_what_comes_gets_all_of_it() {
    let mut pod = Apart::start(&PLAIN, LARGE, SMALL);
    let mut client = pod.client();
    client.request(dump_heap());
    fill_in_mid_dump(&pod, &mut client);
    assert!(client.answer().whole().len() > 300 << 20);
    pod.container.assert_only_sockets_left();
    pod.container.assert_unharmed();
}

#[test]
fn a_spool_whose_disk_is_full_is_named_to_who_takes_nothing_and_the_jvm_goes_on() {
    let mut pod = Apart::start(&PLAIN, LARGE, SMALL);
    let mut client = pod.client();
    let limits = Limits { max_stall: 500, ..Limits::default() };
    client.request(Operation::DumpHeap(DumpHeap { live: true, limits, ..DumpHeap::default() }));
    fill_in_mid_dump(&pod, &mut client);
    let failure = client.answer_without_acks().failure();
    assert_eq!(failure.code, Code::TimedOut, "{failure}");
    assert!(failure.evidence.contains("No space left on device"), "{failure}");
    pod.client().ask(attach("properties", &[])).whole();
    pod.container.assert_unharmed();
}

/// Writes files until no more can be made, and gives their directory back as it was.
fn fill(directory: &Path, bytes: &[u8]) -> impl FnOnce() {
    let mut made = Vec::new();
    loop {
        let path = directory.join(format!("filler-{}", made.len()));
        let written = fs::write(&path, bytes);
        made.push(path);
        if let Err(error) = written {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            break;
        }
    }
    move || made.iter().for_each(|path| drop(fs::remove_file(path)))
}

#[test]
fn a_full_disk_of_the_target_is_no_obstacle_before_it_takes_not_even_a_fifo() {
    let mut pod = Apart::start(&IN_MEMORY, 20, READ_ONLY);
    // It listens from here on: for that it needs a little room.
    pod.client().ask(attach("properties", &[])).whole();
    let mut remount = pod.container.command("mount");
    assert!(remount.args(["-o", "remount,size=1m,nr_inodes=99", "/tmp"]).status().expect("mount").success());
    let tmp = Path::new("/proc").join(pod.container.init().to_string()).join("root/tmp");

    let empty = fill(&tmp, &[0; 64 << 10]);
    assert!(pod.client().ask(dump_heap()).whole().len() > 20 << 20);
    empty();

    let empty = fill(&tmp, &[]);
    let failure = pod.client().ask(dump_heap()).failure();
    assert_eq!(failure.code, Code::NoSpace, "{failure}");
    assert!(failure.evidence.contains("the target's /tmp: No space left on device"), "{failure}");
    empty();
    pod.client().ask(dump_heap()).whole();
    pod.container.assert_unharmed();
}

#[test]
fn full_shared_memory_is_no_obstacle_where_the_injector_may_write_nowhere_else() {
    let mut pod = Apart::start(&PLAIN, 20, READ_ONLY_SHARED);
    // Its session is found in there, and the JVM listens from here on.
    pod.client().ask(attach("properties", &[])).whole();
    let shm = Path::new("/proc").join(pod.container.init().to_string()).join("root/dev/shm");

    // Not a byte more: FIFOs take none.
    let empty = fill(&shm, &[0; 64 << 10]);
    assert!(pod.client().ask(dump_heap()).whole().len() > 20 << 20);
    empty();

    // Not a name more: the FIFOs are in the target's /tmp then.
    let mut remount = pod.container.command("mount");
    assert!(remount.args(["-o", "remount,nr_inodes=99", "/dev/shm"]).status().expect("mount").success());
    let empty = fill(&shm, &[]);
    assert!(pod.client().ask(dump_heap()).whole().len() > 20 << 20);
    empty();
    pod.container.assert_only_sockets_left();
    pod.container.assert_unharmed();
}
