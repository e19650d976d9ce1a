//! Dumps that arrive in every way that there is, and end as one file.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::part::{JSON, P0};
use super::record::tests::{source, wanted};
use super::*;
use crate::catalogue::seen::assert_seen;
use crate::error::Exit;

const STARTED: Started = Started { job: 7, pid: 6, start_time: 4711 };

fn end(bytes: &[u8]) -> End {
    End { length: bytes.len() as u64, hash: xxh3_64(bytes) }
}

fn fresh(path: &Path, form: Form, format: Format) -> Dump<Files> {
    let file = DumpFile::open(path, false).unwrap_or_else(|failure| panic!("{failure}"));
    let record = Record::new(source(), wanted(format), "jattach-abcde".into(), form, 0);
    let files = Files::open(file, record).unwrap_or_else(|failure| panic!("{failure}"));
    let mut dump = Dump::new(form, files);
    dump.begin(&STARTED).expect("room");
    dump
}

/// As another run of the command finds it.
fn again(path: &Path) -> Result<Dump<Files>, Failure> {
    let file = DumpFile::open(path, false)?;
    let record = file.record().expect("a record");
    let form = record.form;
    Dump::resume(form, Files::open(file, record)?)
}

/// The dump as it is read from the file.
fn read(path: &Path, format: Format) -> Vec<u8> {
    let file = fs::File::open(path).expect("the dump");
    let length = file.metadata().expect("the dump").len();
    let mut bytes = Vec::new();
    format.reader(file, length).expect("memory").read_to_end(&mut bytes).expect("whole pieces");
    bytes
}

/// Blocks of both streams, each below its own offset, until both are there; then the ends.
fn feed<P: Place>(dump: &mut Dump<P>, streams: [&[u8]; 2], cuts: &[(bool, usize)]) {
    for (stream, length) in cuts {
        let stream = u32::from(*stream);
        let rest = &streams[stream as usize][usize::try_from(dump.length(stream)).expect("short")..];
        if !rest.is_empty() {
            dump.write(stream, &rest[..rest.len().min(*length)]).expect("room");
        }
    }
}

fn ended<P: Place>(mut dump: Dump<P>, [main, part]: [&[u8]; 2]) -> Result<Whole<P>, Failure> {
    feed(&mut dump, [main, part], &[(true, usize::MAX), (false, usize::MAX)]);
    if dump.form == Form::Pair {
        dump.end_part(&end(part))?;
    }
    dump.finish(&end(main))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const FORMATS: [Format; 3] = [Format::Raw, Format::Gzip, Format::Zstd];

/// Standard output that can be looked at.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unpacked(bytes: &[u8], format: Format) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("room");
    read(file.path(), format)
}

fn cuts() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((any::<bool>(), 1..40_usize), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_with_any_interruption_gives_the_same_file(
        cuts in cuts(), stop in 0..30_usize, name in 0..60_usize, segments in 1..6_usize, format in 0..3_usize
    ) {
        let (main, part) = samples::pair_of(name, segments);
        let (streams, format) = ([&main[..], &part[..]], FORMATS[format]);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let (before, after) = cuts.split_at(stop.min(cuts.len()));
        let mut dump = fresh(&path, Form::Pair, format);
        feed(&mut dump, streams, before);
        dump.settle().expect("a disk");
        drop(dump);
        // What was being written when it stopped.
        for beside in [".part", ".part.p0"] {
            let torn = fs::OpenOptions::new().append(true).open(directory.path().join(format!("x.hprof{beside}")));
            torn.expect("the file").write_all(b"torn").expect("room");
        }
        let mut dump = again(&path).expect("what was there");
        feed(&mut dump, streams, after);
        ended(dump, streams).expect("whole").name().expect("free");
        prop_assert_eq!(read(&path, format), samples::joined(&main, &part));
        prop_assert_eq!(names(directory.path()), ["x.hprof"]);
    }

    #[test]
    fn any_interleaving_gives_the_same_on_standard_output(
        cuts in cuts(), name in 0..60_usize, segments in 1..6_usize, format in 0..3_usize
    ) {
        let (main, part) = samples::pair_of(name, segments);
        let (streams, format) = ([&main[..], &part[..]], FORMATS[format]);
        let screen = Screen::default();
        let mut dump = Dump::new(Form::Pair, Pipe::new(screen.clone(), Form::Pair, format).expect("room"));
        feed(&mut dump, streams, &cuts);
        ended(dump, streams).expect("whole").name().expect("room");
        let written = screen.0.lock().expect("no panic").clone();
        prop_assert_eq!(unpacked(&written, format), samples::joined(&main, &part));
    }
}

#[test]
fn a_dump_in_one_stream_gets_its_name_only_when_it_is_given_one() {
    for format in FORMATS {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let whole = ended(fresh(&path, Form::Stream, format), [&samples::whole(), b""]).expect("whole");
        assert!(!path.exists());
        assert_eq!(whole.name().expect("free").bytes, samples::whole().len() as u64);
        assert_eq!(read(&path, format), samples::whole());
        assert_eq!(names(directory.path()), ["x.hprof"]);
    }
}

#[test]
fn lengths_that_come_at_the_end_are_put_in_in_every_shape() {
    let (unpatched, patch) = samples::unpatched();
    for format in FORMATS {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let mut dump = fresh(&path, Form::File, format);
        dump.patch(patch).expect("the first");
        ended(dump, [&unpatched, b""]).expect("whole").name().expect("free");
        assert_eq!(read(&path, format), samples::whole());
        assert_eq!(names(directory.path()), ["x.hprof"], "{format:?}");

        let screen = Screen::default();
        let mut dump = Dump::new(Form::File, Pipe::new(screen.clone(), Form::File, format).expect("room"));
        dump.patch(patch).expect("the first");
        feed(&mut dump, [&unpatched, b""], &[(false, 30), (false, 30)]);
        assert!(screen.0.lock().expect("no panic").is_empty(), "what can still change must wait");
        ended(dump, [&unpatched, b""]).expect("whole").name().expect("room");
        let written = screen.0.lock().expect("no panic").clone();
        assert_eq!(unpacked(&written, format), samples::whole());
    }
}

#[test]
fn a_dump_without_its_end_or_with_another_hash_keeps_the_name_part() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.hprof");
    let whole = samples::whole();
    let cut = &whole[..whole.len() - 9];
    assert_eq!(ended(fresh(&path, Form::Stream, Format::Raw), [cut, b""]).err().expect("cut").exit(), Exit::Transfer);
    let mut dump = fresh(&path, Form::Stream, Format::Raw);
    feed(&mut dump, [&whole, b""], &[(false, 1000)]);
    assert!(dump.finish(&end(cut)).is_err());
    assert_eq!(names(directory.path()), ["x.hprof.part", "x.hprof.part.json"]);
}

#[test]
fn a_pair_whose_second_stream_has_not_ended_is_not_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let (main, part) = samples::pair();
    let mut dump = fresh(&directory.path().join("x.hprof"), Form::Pair, Format::Raw);
    feed(&mut dump, [&main, &part], &[(false, 1000), (true, 1000)]);
    let failure = dump.finish(&end(&main)).err().expect("no end of the part");
    assert!(failure.evidence.contains("second stream did not"), "{failure}");
}

/// A dump of which everything is there and found right, and that has no name yet.
pub(crate) fn sealed(directory: &Path, form: Form, format: Format) -> PathBuf {
    let path = directory.join("x.hprof");
    let mut dump = fresh(&path, form, format);
    let streams = match form {
        Form::File => {
            let (unpatched, patch) = samples::unpatched();
            dump.patch(patch).expect("the first");
            (unpatched, Vec::new())
        }
        Form::Stream => (samples::whole(), Vec::new()),
        Form::Pair => samples::pair(),
    };
    drop(ended(dump, [&streams.0, &streams.1]).expect("whole"));
    path
}

fn later(file: DumpFile, record: Record) -> Result<Summary, Failure> {
    Files::open(file, record)?.complete_later()
}

/// What another run does with a record that says "whole".
fn completed(path: &Path) {
    let file = DumpFile::open(path, false).expect("free");
    let record = file.record().expect("a record");
    assert!(record.whole.is_some());
    later(file, record).expect("all is there");
}

#[test]
fn what_is_whole_when_a_crash_comes_is_completed_by_the_next_run() {
    for format in FORMATS {
        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), Form::Pair, format);
        assert!(!path.exists());
        completed(&path);
        let (main, part) = samples::pair();
        assert_eq!(read(&path, format), samples::joined(&main, &part));
        assert_eq!(names(directory.path()), ["x.hprof"]);

        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), Form::File, format);
        fs::write(directory.path().join("x.hprof.part.packed"), "half").expect("room");
        completed(&path);
        assert_eq!(read(&path, format), samples::whole());
        assert_eq!(names(directory.path()), ["x.hprof"], "{format:?}");
    }
}

#[test]
fn a_record_whose_dump_has_its_name_already_names_nothing_else_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = sealed(directory.path(), Form::Pair, Format::Raw);
    let json = directory.path().join("x.hprof.part.json");
    let record = fs::read(&json).expect("the record");
    completed(&path);
    // As a crash between the dump's name and the record's end leaves it.
    fs::write(&json, record).expect("room");
    let file = DumpFile::open(&path, true).expect("--force");
    let record = Record::read(&json).expect("a record");
    assert!(file.record().is_none() && later(file, record).is_err());
    let (main, part) = samples::pair();
    assert_eq!(read(&path, Format::Raw), samples::joined(&main, &part));
}

#[test]
fn a_whole_dump_that_has_lost_something_since_never_gets_its_name() {
    type Loss = fn(&Path);
    fn cut(path: &Path, by: usize) {
        let bytes = fs::read(path).expect("the file");
        fs::write(path, &bytes[..bytes.len() - by]).expect("room");
    }
    fn forget(path: &Path) {
        let length = fs::read(path).expect("the file").len();
        fs::write(path, vec![0; length]).expect("room");
    }
    let losses: [(Form, &str, Loss); 5] = [
        (Form::Pair, "x.hprof.part.p0", |path| fs::remove_file(path).expect("the file")),
        (Form::Pair, "x.hprof.part.p0", |path| cut(path, 1)),
        (Form::Pair, "x.hprof.part.p0", forget),
        (Form::Stream, "x.hprof.part", |path| cut(path, 9)),
        (Form::Stream, "x.hprof.part", forget),
    ];
    for (loss, format) in losses.iter().flat_map(|loss| FORMATS.map(|format| (loss, format))) {
        let (form, name, lose) = loss;
        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), *form, format);
        lose(&directory.path().join(name));
        let before = names(directory.path());
        let file = DumpFile::open(&path, false).expect("free");
        let record = file.record().expect("a record");
        let failure = later(file, record).expect_err("lost");
        assert_eq!(failure.exit(), Exit::Transfer, "{failure}");
        assert!(failure.remedy.contains("--no-resume"), "{failure}");
        assert_eq!(names(directory.path()), before, "{failure}");
    }
}

#[cfg(unix)]
#[test]
fn a_dump_that_a_crash_left_with_both_names_is_not_touched_by_the_next_one() {
    for form in [Form::Stream, Form::Pair] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = sealed(directory.path(), form, Format::Raw);
        let json = directory.path().join("x.hprof.part.json");
        let record = fs::read(&json).expect("the record");
        completed(&path);
        let whole = fs::read(&path).expect("the dump");
        // As a crash between the one name and the end of the other leaves it.
        fs::hard_link(&path, directory.path().join("x.hprof.part")).expect("a link");
        fs::write(&json, &record).expect("room");
        assert_eq!(DumpFile::open(&path, false).err().expect("it is there").exit(), Exit::Usage);
        assert_eq!(names(directory.path()), ["x.hprof"]);
        // And between the name and the end of the record, where that was a rename.
        fs::write(&json, &record).expect("room");
        let file = DumpFile::open(&path, true).expect("--force");
        assert_eq!(file.record(), None);
        file.clear().expect("a part of its own");
        assert_eq!(fs::read(&path).expect("the dump"), whole, "until another one is whole");
    }
}

#[test]
fn a_part_that_is_not_what_its_record_says_is_not_gone_on_with() {
    let (main, part) = samples::pair();
    for format in FORMATS {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let mut dump = fresh(&path, Form::Pair, format);
        feed(&mut dump, [&main, &part], &[(false, 35), (true, 18)]);
        dump.settle().expect("a disk");
        drop(dump);
        for suffix in ["", P0] {
            let file = directory.path().join(format!("x.hprof.part{suffix}"));
            let stored = fs::read(&file).expect("the part");
            fs::write(&file, &stored[..stored.len() - 1]).expect("room");
            assert!(again(&path).is_err(), "{format:?} {suffix:?} is shorter");
            fs::write(&file, &stored).expect("room");
        }
        assert!(again(&path).is_ok(), "{format:?}");
    }
}

#[test]
fn another_job_begins_afresh_in_files_and_ends_a_pipe() {
    let (main, part) = samples::pair();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.hprof");
    let mut dump = fresh(&path, Form::Pair, Format::Raw);
    feed(&mut dump, [&samples::whole(), b"\xffother"], &[(false, 40), (true, 0)]);
    let other = Started { job: 8, ..STARTED };
    dump.begin(&other).expect("room");
    assert_eq!(DumpFile::open(&path, false).err().map(|failure| failure.exit()), Some(Exit::Busy));
    assert_eq!(
        Record::read(&directory.path().join(format!("x.hprof.part{JSON}")))
            .and_then(|record| record.job)
            .map(|job| job.job),
        Some(8)
    );
    ended(dump, [&main, &part]).expect("whole").name().expect("free");
    assert_eq!(read(&path, Format::Raw), samples::joined(&main, &part));

    let mut dump = Dump::new(Form::Pair, Pipe::new(Screen::default(), Form::Pair, Format::Raw).expect("room"));
    dump.begin(&STARTED).expect("nothing has been written");
    feed(&mut dump, [&main, &part], &[(true, 5)]);
    assert_seen("through-a-pipe", &dump.begin(&other).expect_err("too late"));
}
