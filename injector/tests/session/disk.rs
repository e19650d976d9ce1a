//! What a dump leaves on disks while it is under way: nothing in the target, and in the spool nothing that was to be redacted.

mod redacted;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jattach_protocol::Message;
use jattach_protocol::message::{DumpHeap, Form, Limits, Operation};
use nix::sys::statvfs::statvfs;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::collectors::survey;
use crate::container::{AS_USER, Container, OVERLAID};
use crate::place::{Apart, OWN_TMP};

/// Bytes that are taken on all filesystems that the process may write to, whether what lies there has a name or not.
fn taken(pid: u32) -> u64 {
    let root = Path::new("/proc").join(pid.to_string()).join("root");
    let mounts = fs::read_to_string(root.with_file_name("mountinfo")).expect("its mounts");
    let mut disks = BTreeMap::new();
    for mount in mounts.lines() {
        // proc(5): id, parent, device, root, mount point, options of the mount.
        let words: Vec<&str> = mount.split(' ').collect();
        let (device, point, options) = (words[2], words[4], words[5]);
        if options.split(',').any(|option| option == "rw") {
            let disk = statvfs(&root.join(point.trim_start_matches('/'))).expect("a mount");
            disks.insert(device, (disk.blocks() - disk.blocks_free()) * disk.fragment_size());
        }
    }
    disks.values().sum()
}

/// Whether that sees a page of a file without a name in that directory of the process's root.
fn sees(pid: u32, directory: &str) -> bool {
    let before = taken(pid);
    let directory = Path::new("/proc").join(pid.to_string()).join("root").join(directory);
    let mut file = tempfile::tempfile_in(directory).expect("a file");
    file.write_all(&[1]).expect("room");
    taken(pid) > before
}

/// Bytes of files that have a name in the /tmp of the process.
fn named(pid: u32) -> u64 {
    let names =
        fs::read_dir(format!("/proc/{pid}/root/tmp")).expect("/tmp").map(|entry| entry.expect("an entry").path());
    // Gone again meanwhile is gone.
    let files = names.filter_map(|path| fs::symlink_metadata(path).ok()).filter(fs::Metadata::is_file);
    files.map(|meta| meta.len()).sum()
}

#[test]
fn while_the_jvm_dumps_nothing_of_it_lies_in_the_target_nor_under_a_name_beside_it() {
    let mut pod = Apart::start(&OVERLAID, 60, OWN_TMP);
    let jvm = pod.container.init();
    for directory in ["var", "tmp", "dev/shm"] {
        assert!(sees(jvm, directory), "{directory}");
    }
    let mut client = pod.client();
    // The JVM listens from here on: a trigger file comes before that.
    client.ask(attach("properties", &[])).whole();
    // Without a spool the JVM is never far ahead of its client. One that cannot wait has a file, whose name is taken away soon.
    let is_file = survey(&mut client).form == Form::File;
    let spool = if is_file { u64::MAX } else { 0 };
    let limits = Limits { spool, max_stall: 60_000, ..Limits::default() };
    let before = taken(jvm);
    client.request(Operation::DumpHeap(DumpHeap { live: true, limits, ..DumpHeap::default() }));
    let mut looks = 0;
    client.fetch(&mut |message| {
        assert_eq!(taken(jvm), before);
        assert!(is_file || named(pod.hold()) == 0);
        looks += u32::from(matches!(message, Message::Block(_)));
        looks == 40
    });
    assert!(client.answer().whole().len() > 60 << 20);
    assert_eq!(taken(jvm), before);
    pod.container.assert_unharmed();
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

/// The files without a name that hold has open.
pub(crate) fn spools(hold: u32) -> Vec<PathBuf> {
    let fds = fs::read_dir(Path::new("/proc").join(hold.to_string()).join("fd")).expect("its descriptors");
    let fds = fds.map(|entry| entry.expect("an entry").path());
    fds.filter(|fd| fs::metadata(fd).is_ok_and(|meta| meta.is_file() && meta.nlink() == 0)).collect()
}
