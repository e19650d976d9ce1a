//! What a dump leaves on disks while it is under way: nothing in the target, and in the spool nothing that was to be redacted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jattach_protocol::Message;
use jattach_protocol::message::{DumpHeap, Operation, Phase, Progress, Redact};
use nix::sys::statvfs::statvfs;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::container::{AS_USER, Container};

/// What the fixture's text arrays hold, and its program does not: the end of the text, and its beginning again.
const TEXT: &[u8] = b"what nobody reads.\nThe first thing";

/// Bytes that lie under a name in the container's /tmp, and that its /dev/shm takes in all.
fn lies_in(container: &Container) -> u64 {
    let names = fs::read_dir(&container.tmp).expect("/tmp").map(|entry| entry.expect("an entry").path());
    // Gone again meanwhile is gone.
    let files = names.filter_map(|path| fs::symlink_metadata(path).ok()).filter(fs::Metadata::is_file);
    let shm = statvfs(&PathBuf::from(format!("/proc/{}/root/dev/shm", container.init()))).expect("/dev/shm");
    files.map(|meta| meta.len()).sum::<u64>() + (shm.blocks() - shm.blocks_free()) * shm.fragment_size()
}

#[test]
fn while_the_jvm_dumps_nothing_of_it_lies_in_the_target() {
    let mut container = Container::start(60);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    // The JVM listens from here on: a trigger file comes before that.
    client.ask(attach("properties", &[])).whole();
    let before = lies_in(&container);
    client.request(dump_heap());
    let mut looks = 0;
    let dump = client.answer_acknowledged_from(&mut |_| {
        assert_eq!(lies_in(&container), before);
        looks += 1;
        looks > 5
    });
    assert!(dump.whole().len() > 60 << 20);
    container.assert_unharmed();
}

/// Sysctls are the whole machine's: put back however the test ends.
struct ProtectedFifos(String);

impl ProtectedFifos {
    const PATH: &str = "/proc/sys/fs/protected_fifos";

    fn set(value: &str) -> ProtectedFifos {
        let before = fs::read_to_string(Self::PATH).expect("the sysctl");
        fs::write(Self::PATH, value).expect("root may");
        ProtectedFifos(before)
    }
}

impl Drop for ProtectedFifos {
    fn drop(&mut self) {
        fs::write(Self::PATH, &self.0).expect("as it was");
    }
}

#[test]
fn a_jvm_of_another_user_dumps_where_the_kernel_protects_fifos() {
    let _sysctl = ProtectedFifos::set("1");
    let mut container = Container::shaped(&AS_USER, 20);
    let _hold = Hold::start(&container);
    let dump = Client::connect(&container).ask(dump_heap()).whole();
    assert!(dump.len() > 20 << 20);
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The files without a name that hold has open.
pub(crate) fn spools(hold: u32) -> Vec<PathBuf> {
    let fds = fs::read_dir(Path::new("/proc").join(hold.to_string()).join("fd")).expect("its descriptors");
    let fds = fds.map(|entry| entry.expect("an entry").path());
    fds.filter(|fd| fs::metadata(fd).is_ok_and(|meta| meta.is_file() && meta.nlink() == 0)).collect()
}

#[test]
fn what_is_redacted_is_neither_in_the_dump_nor_in_the_spool_nor_on_the_wire() {
    let mut container = Container::start(30);
    let hold = Hold::start(&container);
    for redact in [Redact::Nothing, Redact::Arrays, Redact::All] {
        let mut client = Client::connect(&container);
        client.wire = Some(Vec::new());
        client.request(Operation::DumpHeap(DumpHeap { live: true, redact, ..DumpHeap::default() }));
        let mut spooled = Vec::new();
        let dump = client.answer_acknowledged_from(&mut |message| {
            let written = matches!(message, Message::Progress(Progress { phase: Phase::Sending, .. }));
            if written {
                spooled = spools(hold.pid()).iter().flat_map(|path| fs::read(path).expect("the spool")).collect();
            }
            written
        });
        let dump = dump.whole();
        assert!(dump.len() > 30 << 20);
        let plain = redact == Redact::Nothing;
        assert!(!plain || !spooled.is_empty(), "there was more than memory holds");
        assert_eq!((holds(&dump, TEXT), holds(&spooled, TEXT)), (plain, plain), "{redact:?}");
        // What is compressed on the way holds no text to be found; what leaves while the JVM dumps is not.
        let wire = client.wire.take().expect("it was kept");
        assert!(!wire.is_empty() && (plain || !holds(&wire, TEXT)), "{redact:?}");
    }
    container.assert_unharmed();
}
