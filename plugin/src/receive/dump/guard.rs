//! The room here: for a dump of the size that is expected, and what is left to others by one that does not end.

use std::io;
use std::path::Path;

use jattach_protocol::message::Form;

use super::format::Format;
use crate::error::{Exit, Failure};

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

fn directory(file: &Path) -> &Path {
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
    pub(super) fn new(file: &Path, expected: u64) -> Guard {
        Guard { directory: directory(file).to_owned(), written: 0, look_at: expected.min(LOOK) }
    }

    /// For the directory of temporary files.
    pub(super) fn temporary(expected: u64) -> Guard {
        Guard { directory: std::env::temp_dir(), written: 0, look_at: expected.min(LOOK) }
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
        self.look_at = self.written + LOOK;
        let space =
            fs4::available_space(&self.directory).and_then(|free| Ok((free, fs4::total_space(&self.directory)?)));
        match space {
            Ok((free, total)) if free < LEFT.min(total / 20) + bytes as u64 => {
                Err(Failure::new(Exit::Other, "the heap dump would fill the disk")
                    .evidence(format!(
                        "{} MiB have come, and {} MiB of {} MiB are free",
                        self.written >> 20,
                        free >> 20,
                        total >> 20
                    ))
                    .remedy("give a FILE on a disk with more room; if it does not end there either, trust nothing in this container"))
            }
            _ => Ok(()),
        }
    }
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
    fn a_dump_without_end_ends_before_the_disk_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut guard = Guard::new(&directory.path().join("x"), 1 << 20);
        guard.pass(1 << 10).expect("far below what is expected");
        let trusting = Guard::new(&directory.path().join("x"), u64::MAX);
        assert!(trusting.look_at < 1 << 30, "whatever is expected");
        // No disk has so much.
        let failure = guard.pass(1 << 60).expect_err("too much");
        assert!(failure.cause.contains("fill the disk"), "{failure}");
    }
}
