//! `FILE.part.json`: of which dump FILE.part is the beginning, how much of it is safe, and what is left to do. With it another
//! run of the command goes on where this one stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use jattach_protocol::message::{Form, Patch, Redact, STREAMS, Started};
use serde::{Deserialize, Serialize};

use super::format::Format;
use super::join::Plan;

/// The shape of the file. Another one is not read.
const VERSION: u32 = 1;

/// A record is a few hundred bytes, and a few more for each gigabyte of a JVM 8.
const LONGEST: u64 = 4 << 20;

/// What a dump is a dump of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) pod_uid: String,
    pub(crate) container: String,
    #[serde(rename = "containerID")]
    pub(crate) container_id: String,
}

/// How it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    pub(crate) live: bool,
    #[serde(with = "Redacted")]
    pub(crate) redact: Redact,
    pub(crate) format: Format,
    /// The pid that the user gave, or 0.
    pub(crate) pid: u32,
}

/// The names of the protocol's words in the file.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Redact", rename_all = "lowercase")]
enum Redacted {
    Nothing,
    Text,
    Arrays,
    All,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Form", rename_all = "lowercase")]
enum Formed {
    File,
    Stream,
    Pair,
}

/// The injector's job that gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) job: u64,
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
}

impl From<&Started> for Job {
    fn from(started: &Started) -> Job {
        Job { job: started.job, pid: started.pid, start_time: started.start_time }
    }
}

/// How much of a stream is safe: of its own bytes, and of the file that holds them in another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) raw: u64,
    pub(crate) stored: u64,
}

/// The end of the main stream, as far as it is seen: where in the file it begins, and how many bytes it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tail {
    pub(crate) at: u64,
    pub(crate) matched: usize,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    version: u32,
    pub(crate) source: Source,
    pub(crate) wanted: Wanted,
    /// The ephemeral container that has the job.
    pub(crate) injector: String,
    #[serde(with = "Formed")]
    pub(crate) form: Form,
    /// The dump may become so long.
    pub(crate) expected: u64,
    pub(crate) job: Option<Job>,
    pub(crate) streams: [Held; STREAMS],
    pub(crate) tail: Tail,
    /// Set once all of it is here and was found right: then no injector is needed any more.
    pub(crate) whole: Option<Plan>,
}

impl Record {
    /// Of a dump that has not begun.
    pub(crate) fn new(source: Source, wanted: Wanted, injector: String, form: Form, expected: u64) -> Record {
        let (streams, tail) = Default::default();
        Record { version: VERSION, source, wanted, injector, form, expected, job: None, streams, tail, whole: None }
    }

    /// Whether there is one in another shape: of another version of this program.
    pub(crate) fn is_foreign(path: &Path) -> bool {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let version = text(path).and_then(|text| serde_json::from_str(&text).ok());
        version.is_some_and(|Versioned { version }| version != VERSION)
    }

    /// Reads it; `None` where there is none that makes sense.
    pub(crate) fn read(path: &Path) -> Option<Record> {
        let record: Record = serde_json::from_str(&text(path)?).ok()?;
        (record.version == VERSION).then_some(record)
    }

    /// Puts it in the place of the one before. Whoever reads it finds one of the two, also after a power failure.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        super::part::private(options.write(true).create_new(true));
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_data()?;
        drop(file);
        fs::rename(fresh, path)?;
        // Else a power failure brings back the one before, and with it less than the injector was told is safe.
        sync_directory(path)
    }

    /// How much of each stream is safe.
    pub(crate) fn raw(&self) -> [u64; STREAMS] {
        self.streams.map(|held| held.raw)
    }

    /// Why it is of no use for a dump of `source` as it is `wanted`.
    pub(crate) fn mismatch(&self, source: &Source, wanted: &Wanted) -> Option<String> {
        let is = &self.source;
        if (&is.namespace, &is.pod) != (&source.namespace, &source.pod) {
            return Some(format!("it is of pod/{} in {}", is.pod, is.namespace));
        }
        if is.pod_uid != source.pod_uid {
            return Some(format!("pod/{} is another one by now", source.pod));
        }
        if is.container != source.container {
            return Some(format!("it is of container {}", is.container));
        }
        if is.container_id != source.container_id {
            return Some(format!("container {} was restarted", source.container));
        }
        (self.wanted != *wanted).then(|| "it was wanted with other flags".to_owned())
    }
}

/// A patch in the file: offset and length.
pub(crate) fn patches(patches: &[Patch]) -> Vec<(u64, u32)> {
    patches.iter().map(|patch| (patch.offset, patch.length)).collect()
}

/// What stands in the file.
fn text(path: &Path) -> Option<String> {
    // Not what a link points at, and no FIFO.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Has the disk take the names in the directory of `path`. Not every filesystem knows that of a directory (CIFS, FUSE and exFAT
/// do not), and not every directory may be read: that is no reason not to write there.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let Ok(directory) = File::open(super::guard::directory(path)) else { return Ok(()) };
    match directory.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// A directory cannot be opened as a file here.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn source() -> Source {
        let word = |text: &str| text.to_owned();
        Source {
            namespace: word("shop"),
            pod: word("x"),
            pod_uid: word("11d2"),
            container: word("app"),
            container_id: word("containerd://ab"),
        }
    }

    pub(crate) fn wanted(format: Format) -> Wanted {
        Wanted { live: true, redact: Redact::Nothing, format, pid: 0 }
    }

    fn record() -> Record {
        let mut record = Record::new(source(), wanted(Format::Gzip), "jattach-abcde".into(), Form::Pair, 1 << 30);
        record.job = Some(Job { job: 7, pid: 6, start_time: 4711 });
        record.streams = [Held { raw: 1 << 20, stored: 999 }, Held { raw: 5 << 20, stored: 1234 }];
        record.tail = Tail { at: 990, matched: 9 };
        record.whole = Some(Plan { at: 990, part: 1234, patches: vec![(31, 9)] });
        record
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.part.json");
        assert_eq!(Record::read(&path), None);
        for record in [Record { whole: None, ..record() }, record()] {
            record.write(&path).expect("room");
            assert_eq!(Record::read(&path), Some(record));
        }
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("the record").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_record_of_this_version_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.part.json");
        for text in ["", "{}", "null", r#"{"version":1}"#] {
            fs::write(&path, text).expect("room");
            assert_eq!(Record::read(&path), None, "{text}");
        }
        Record { version: VERSION + 1, ..record() }.write(&path).expect("room");
        assert_eq!(Record::read(&path), None);
        assert_eq!(Record::read(directory.path()), None);
    }

    type Change = fn(&mut Source, &mut Wanted);

    #[test]
    fn a_dump_of_anything_else_or_wanted_otherwise_is_no_beginning_of_this_one() {
        let mismatch = |change: Change| {
            let (mut source, mut wanted) = (source(), wanted(Format::Gzip));
            change(&mut source, &mut wanted);
            record().mismatch(&source, &wanted)
        };
        assert_eq!(mismatch(|_, _| {}), None);
        let cases: [(Change, &str); 7] = [
            (|source, _| source.namespace = "other".into(), "pod/x in shop"),
            (|source, _| source.pod_uid = "22".into(), "another one by now"),
            (|source, _| source.container = "side".into(), "container app"),
            (|source, _| source.container_id = "containerd://cd".into(), "restarted"),
            (|_, wanted| wanted.live = false, "other flags"),
            (|_, wanted| wanted.redact = Redact::All, "other flags"),
            (|_, wanted| wanted.format = Format::Raw, "other flags"),
        ];
        for (change, why) in cases {
            assert!(mismatch(change).expect("a mismatch").contains(why), "{why}");
        }
    }
}
