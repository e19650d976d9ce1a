//! A file that grows as HotSpot 8 lets it grow: heap records begin with a length of 0, and the writer seeks back to put it
//! in when a record is done (`DumpWriter` and `write_current_dump_record_length` of its heapDumper.cpp).

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use jattach_protocol::message::{self, Form, Redact, Started};
use tempfile::TempDir;

use super::*;
use crate::dump::artefact::{Client, Step};
use crate::hold::Peer;

const MIB: u64 = 1 << 20;

/// What lies on the disk of a file of which all is read: the page that is kept, and a block that is not full yet.
const LITTLE: u64 = 2 * MIB;

/// The JVM's side.
struct Writer {
    file: File,
    /// Where the record begins that is being written.
    begin: u64,
    /// What has to be in the end.
    written: Vec<u8>,
}

impl Writer {
    fn create(path: &Path) -> Writer {
        let file = File::options().read(true).write(true).create_new(true).open(path).expect("a new file");
        let mut writer = Writer { file, begin: 0, written: Vec::new() };
        writer.write(b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0");
        writer
    }

    fn write(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).expect("room on the disk");
        self.written.extend_from_slice(bytes);
    }

    fn begin(&mut self) {
        self.begin = self.written.len() as u64;
        self.write(&[0x1c, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// A byte[] with an identifier of 8 bytes, as one write.
    fn array(&mut self, length: u32, byte: u8) {
        let mut record = [&[0x23][..], &[0; 12], &length.to_be_bytes(), &[8]].concat();
        record.resize(record.len() + length as usize, byte);
        self.write(&record);
    }

    /// Puts in the length of the record, and comes back; gives where it begins, and that length.
    fn end(&mut self) -> (u64, u32) {
        let length = u32::try_from(self.written.len() as u64 - self.begin - LENGTH - 4).expect("a short one");
        self.put_in(length);
        (self.begin, length)
    }

    fn put_in(&mut self, length: u32) {
        let (at, length) = (self.begin + LENGTH, length.to_be_bytes());
        self.file.seek(SeekFrom::Start(at)).expect("a file");
        self.file.write_all(&length).expect("room on the disk");
        self.file.seek(SeekFrom::End(0)).expect("a file");
        let at = usize::try_from(at).expect("short");
        self.written[at..at + 4].copy_from_slice(&length);
    }

    fn finish(&mut self) {
        self.write(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// What it takes on the disk, in bytes.
    fn on_disk(&self) -> u64 {
        self.file.metadata().expect("a file").blocks() * 512
    }
}

/// A job whose client fetches whatever comes.
struct Job {
    artefact: Arc<Artefact>,
    place: Place,
    directory: TempDir,
    client: JoinHandle<Vec<u8>>,
}

impl Job {
    fn start() -> Job {
        let (ours, _theirs) = UnixStream::pair().expect("sockets");
        let client = Client::new(&Arc::new(Peer::new(ours).expect("a peer")), 1, Duration::from_secs(600));
        let started = Started { job: 1, pid: 1, start_time: 1 };
        let artefact = Arc::new(Artefact::new(started, &message::Limits::default(), client).expect("a bell"));
        let fetched = Arc::clone(&artefact);
        // Not in /tmp, which may be memory, and may know no holes.
        let directory = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let place = Place::at(directory.path());
        Job { artefact, place, directory, client: thread::spawn(move || fetch(&fetched)) }
    }

    fn writer(&self) -> Writer {
        Writer::create(&self.directory.path().join("x"))
    }

    fn tail(&self) -> Tail<'_> {
        let intake = Intake::new(&self.artefact, 0, Redactor::file(Redact::Nothing, Lengths::Pending));
        let (place, artefact) = (&self.place, &*self.artefact);
        Tail { place, name: "x".into(), artefact, intake, file: None, lacking: VecDeque::new(), failed: None }
    }

    /// What the client has at the end.
    fn fetched(self) -> (Vec<u8>, Vec<Patch>) {
        self.artefact.finish(Ok(()));
        let bytes = self.client.join().expect("no panic");
        (bytes, self.artefact.result().expect("whole").0)
    }
}

fn fetch(artefact: &Artefact) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match artefact.next() {
            Step::Send(client, block) => {
                bytes.extend_from_slice(&block.bytes);
                artefact.sent(block);
                artefact.acknowledge(&client.peer, 0, bytes.len() as u64);
            }
            Step::Over => return bytes,
            Step::Greet(_) | Step::Tell(..) => {}
        }
    }
}

fn follow_to_the_end(tail: &mut Tail<'_>) {
    while tail.follow().expect("a dump") {}
}

#[test]
fn what_is_read_of_a_growing_file_is_given_back_to_the_disk_and_its_name_goes() {
    let job = Job::start();
    let (mut writer, mut tail) = (job.writer(), job.tail());
    writer.begin();
    for _ in 0..4 {
        for _ in 0..8 {
            writer.array(1 << 20, 7);
        }
        assert!(writer.on_disk() >= 8 * MIB);
        follow_to_the_end(&mut tail);
        assert!(writer.on_disk() < LITTLE, "{}", writer.on_disk());
        assert_eq!(fs::read_dir(job.directory.path()).expect("a directory").count(), 0);
    }
    writer.end();
    writer.finish();
    follow_to_the_end(&mut tail);
    tail.finish().expect("whole");
    assert!(writer.on_disk() <= PAGE, "{}", writer.on_disk());
}

#[test]
fn a_dump_that_is_read_while_it_is_written_comes_out_as_it_was_written() {
    let job = Job::start();
    let (mut writer, mut tail) = (job.writer(), job.tail());
    let (sender, progress) = mpsc::channel();
    let jvm = thread::spawn(move || {
        let mut lengths = Vec::new();
        for record in 0..5_u8 {
            writer.begin();
            for array in 0..40_u32 {
                // Of all sizes, so that records and blocks begin and end anywhere.
                writer.array(array.pow(2) * 97 * u32::from(record), record);
                sender.send(()).expect("somebody reads");
            }
            lengths.push(writer.end());
        }
        writer.finish();
        (writer.written, lengths)
    });
    while let Ok(()) = progress.recv() {
        tail.follow().expect("a dump");
    }
    let (written, lengths) = jvm.join().expect("no panic");
    follow_to_the_end(&mut tail);
    tail.finish().expect("whole");
    drop(tail);
    let (mut bytes, patches) = job.fetched();
    // A record that is read after it was finished has its length already.
    let mut lengths = lengths.into_iter();
    assert!(patches.iter().all(|patch| lengths.any(|length| length == (patch.offset, patch.length))), "{patches:?}");
    for Patch { offset, length } in patches {
        let at = usize::try_from(offset + LENGTH).expect("short");
        bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    assert!(bytes == written);
}

/// A dump whose last record is written to its end and has no length yet, and of which all is read.
fn without_a_length(job: &Job) -> (Writer, Tail<'_>) {
    let (mut writer, mut tail) = (job.writer(), job.tail());
    writer.begin();
    writer.array(3 << 20, 7);
    writer.finish();
    follow_to_the_end(&mut tail);
    (writer, tail)
}

#[test]
fn a_record_that_never_gets_its_length_is_a_failure() {
    let job = Job::start();
    let (_writer, mut tail) = without_a_length(&job);
    let failure = tail.finish().expect_err("not whole");
    assert_eq!((failure.code, failure.evidence.as_ref()), (Code::JvmFailed, "the heap record at 31 has no length"));
}

#[test]
fn a_length_that_is_put_in_behind_what_was_read_is_sent_as_a_patch() {
    let job = Job::start();
    let (mut writer, mut tail) = without_a_length(&job);
    writer.put_in((3 << 20) + 18);
    tail.finish().expect("whole");
    drop(tail);
    let (bytes, patches) = job.fetched();
    assert_eq!(bytes[31..40], [0x1c, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(patches, [Patch { offset: 31, length: (3 << 20) + 18 }]);
}

#[test]
fn a_length_that_is_put_in_before_all_of_its_record_is_read_is_in_no_hole() {
    let job = Job::start();
    let (mut writer, mut tail) = (job.writer(), job.tail());
    writer.begin();
    writer.array(3 << 20, 7);
    follow_to_the_end(&mut tail);
    writer.array(3 << 20, 7);
    let put_in = writer.end();
    follow_to_the_end(&mut tail);
    writer.finish();
    follow_to_the_end(&mut tail);
    tail.finish().expect("whole");
    drop(tail);
    assert_eq!(job.fetched().1.iter().map(|patch| (patch.offset, patch.length)).collect::<Vec<_>>(), [put_in]);
}

#[test]
fn a_length_that_is_not_what_was_read_is_a_failure() {
    let job = Job::start();
    let (mut writer, mut tail) = without_a_length(&job);
    writer.put_in(5);
    assert!(tail.finish().expect_err("not whole").evidence.contains("it says 5"));
}

#[test]
fn a_file_that_is_cut_before_its_length_is_put_in_is_a_failure() {
    let job = Job::start();
    let (writer, mut tail) = without_a_length(&job);
    writer.file.set_len(0).expect("a file");
    assert_eq!(tail.follow(), Ok(false), "nothing more can be read");
    let failure = tail.finish().expect_err("not whole");
    assert_eq!(failure.code, Code::Other, "no cut connection, after which it were tried again: {failure}");
}

#[test]
fn a_file_that_is_said_to_be_there_and_is_not_is_a_failure() {
    let job = Job::start();
    assert_eq!(job.tail().finish().expect_err("there is none").code, Code::JvmFailed);
}

#[test]
fn records_without_end_that_get_no_length_are_not_remembered() {
    let job = Job::start();
    let (mut writer, mut tail) = (job.writer(), job.tail());
    for _ in 0..2 * MIB / 9 {
        writer.begin();
    }
    let failure = (0..3).find_map(|_| tail.follow().err()).expect("refused");
    assert!(failure.evidence.contains("a length into none of them"), "{failure}");
    assert!(tail.lacking.len() <= MAX_LACKING);
}

#[test]
fn what_is_written_after_a_stop_is_thrown_away_until_the_jvm_is_done() {
    let job = Job::start();
    let (mut writer, mut tail) = (job.writer(), job.tail());
    writer.begin();
    writer.array(4 << 20, 7);
    tail.look();
    assert_eq!(tail.failed, None);
    job.artefact.end(Failure::new(Code::Cancelled, "told to end"));
    let taken = tail.intake.length;
    for _ in 0..3 {
        writer.array(4 << 20, 7);
        tail.look();
        assert!(writer.on_disk() <= PAGE, "{}", writer.on_disk());
    }
    assert_eq!(tail.failed.as_ref().map(|failure| failure.code), Some(Code::Cancelled));
    assert_eq!(tail.intake.length, taken);
}

#[test]
fn a_file_that_the_jvm_makes_after_a_stop_has_no_name_either() {
    let job = Job::start();
    let mut tail = job.tail();
    job.artefact.end(Failure::new(Code::Cancelled, "told to end"));
    tail.look();
    assert!(tail.failed.is_some());
    let mut writer = job.writer();
    writer.begin();
    writer.array(4 << 20, 7);
    tail.look();
    assert_eq!(fs::read_dir(job.directory.path()).expect("a directory").count(), 0);
    assert!(writer.on_disk() <= PAGE, "{}", writer.on_disk());
}

#[test]
fn a_jvm_that_cannot_be_made_to_wait_is_not_asked_to_where_it_would_have_to() {
    // Our own /tmp takes no file here: the target's may.
    let survey = Survey { heap_used: 1, expected: 100 * MIB, form: Form::File, spool: 0, free: 0, size: 0 };
    let allowed = |spool| message::Limits { spool, ..message::Limits::default() };
    assert_eq!(require_room(&survey, &allowed(100 * MIB)), Ok(()));
    let failure = require_room(&survey, &allowed(100 * MIB - 1)).expect_err("it does not fit");
    assert_eq!(failure.code, Code::NoSpace);
    assert!(failure.evidence.contains("may become 100 MiB; the spool may hold 99 MiB"), "{failure}");
    let limits = message::Limits { max_pause: 1, ..allowed(u64::MAX) };
    let failure = require_room(&survey, &limits).expect_err("its pause cannot be ended");
    assert!(failure.evidence.contains("--max-pause"), "{failure}");
}
