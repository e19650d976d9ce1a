//! The room here: for a dump of the size that is expected, and what is left to others by one that does not end.

use std::io;
use std::path::Path;

use jattach_protocol::message::Form;

use super::format::Format;
use crate::catalogue::Id;
use crate::error::Failure;

/// How often it is looked, in bytes of the dump.
const LOOK: u64 = 256 << 20;

/// What a dump leaves free: a twentieth of the disk, and at most so much.
const LEFT: u64 = 1 << 30;

/// How much room there is, and how much is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) needed: u64,
}

impl Room {
    /// In the directory of `file`, which takes a dump of `expected` bytes at the most, of which `held` are there.
    ///
    /// # Errors
    /// When the filesystem does not tell.
    pub(crate) fn beside(file: &Path, form: Form, format: Format, expected: u64, held: u64) -> io::Result<Room> {
        let free = fs4::available_space(directory(file))?;
        // Compressed it is smaller, and nobody knows by how much. JDK 8 puts its lengths in at the end, when what came
        // compressed could not be changed any more: both shapes lie there for a moment.
        let twice = form == Form::File && format != Format::Raw;
        let needed = expected.saturating_mul(if twice { 2 } else { 1 }).saturating_sub(held);
        Ok(Room { free, needed })
    }

    /// In the directory for temporary files, where a dump to standard output waits as far as it must.
    ///
    /// # Errors
    /// When the filesystem does not tell.
    pub(crate) fn temporary(form: Form, expected: u64) -> io::Result<Room> {
        let needed = if form == Form::Stream { 0 } else { expected };
        Ok(Room { free: fs4::available_space(std::env::temp_dir())?, needed })
    }

    /// Whether the dump fits.
    pub(crate) fn is_enough(&self) -> bool {
        self.free >= self.needed
    }
}

/// Where a file lies.
pub(super) fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Ends a dump that does not end by itself. How long one may be nobody here can say for sure: a heap grows while it is being
/// asked for, and what is expected the injector says, whom nobody has to believe. So what counts is what is left of the disk.
pub(super) struct Guard {
    directory: std::path::PathBuf,
    written: u64,
    look_at: u64,
}

impl Guard {
    pub(super) fn new(file: &Path) -> Guard {
        Guard { directory: directory(file).to_owned(), written: 0, look_at: 0 }
    }

    /// For the directory of temporary files.
    pub(super) fn temporary() -> Guard {
        Guard { directory: std::env::temp_dir(), written: 0, look_at: 0 }
    }

    /// What is there now, of whatever was counted before.
    pub(super) fn is_at(&mut self, written: u64) {
        self.written = written;
    }

    /// So much more is to be written.
    ///
    /// # Errors
    /// 1 where it would leave too little.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<(), Failure> {
        self.written += bytes as u64;
        if self.written < self.look_at {
            return Ok(());
        }
        let space =
            fs4::available_space(&self.directory).and_then(|free| Ok((free, fs4::total_space(&self.directory)?)));
        // One that does not tell says so itself when it is full.
        let Ok((free, total)) = space else {
            self.look_at = self.written + LOOK;
            return Ok(());
        };
        let room = room(free, total, bytes as u64).ok_or_else(|| self.full(free, total))?;
        self.look_at = self.written + room;
        Ok(())
    }

    fn full(&self, free: u64, total: u64) -> Failure {
        Failure::new(Id::NoRoomHere, "the heap dump would fill the disk")
            .evidence(format!(
                "{} MiB have come, and {} MiB of {} MiB are free",
                self.written >> 20,
                free >> 20,
                total >> 20
            ))
            .remedy("give a FILE on a disk with more room; if it does not end there either, trust nothing in this container")
    }
}

/// How much more may be written after these bytes before it is looked again: never past what is to be left, also where that is
/// near. None where they are too many already.
fn room(free: u64, total: u64, bytes: u64) -> Option<u64> {
    free.checked_sub(LEFT.min(total / 20) + bytes).map(|room| room.min(LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_needs_what_is_expected_and_is_not_there_yet() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("x");
        let needed = |form, format, expected, held| {
            Room::beside(&file, form, format, expected, held).expect("a filesystem").needed
        };
        assert_eq!(needed(Form::Pair, Format::Raw, 100, 30), 70);
        assert_eq!(needed(Form::Stream, Format::Gzip, 100, 0), 100);
        assert_eq!(needed(Form::File, Format::Raw, 100, 0), 100);
        assert_eq!(needed(Form::File, Format::Zstd, 100, 0), 200);
        assert_eq!(needed(Form::Pair, Format::Raw, 100, 130), 0);
        assert!(!Room::beside(&file, Form::Pair, Format::Raw, u64::MAX, 0).expect("a filesystem").is_enough());
        assert_eq!(Room::temporary(Form::Stream, 100).expect("a filesystem").needed, 0);
        assert_eq!(directory_of("x.hprof"), ".");
    }

    fn directory_of(file: &str) -> String {
        directory(Path::new(file)).display().to_string()
    }

    #[test]
    fn it_is_looked_again_before_what_is_to_be_left_can_be_reached() {
        const MIB: u64 = 1 << 20;
        assert_eq!(room(100 << 30, 1 << 40, MIB), Some(LOOK));
        assert_eq!(room(1024 * MIB + 10 * MIB, 1 << 40, MIB), Some(9 * MIB), "a gibibyte is left of a large disk");
        assert_eq!(room(10 * MIB, 100 * MIB, MIB), Some(4 * MIB), "a twentieth of a small one");
        assert_eq!(room(5 * MIB, 100 * MIB, MIB), None);
    }

    #[test]
    fn a_dump_without_end_ends_before_the_disk_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut guard = Guard::new(&directory.path().join("x"));
        guard.pass(1 << 10).expect("there is room");
        // No disk has so much.
        let failure = guard.pass(1 << 60).expect_err("too much");
        assert!(failure.cause.contains("fill the disk"), "{failure}");
    }
}
