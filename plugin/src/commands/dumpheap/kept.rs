//! What a dump leaves behind that did not come to its end, and the command line that goes on with it. Said also when the
//! command is interrupted, and its work just dropped: nothing that was paid for with a pause is thrown away.

use std::path::{Path, PathBuf};

use crate::commands::{Context, line};
use crate::error::{Exit, Failure};
use crate::receive::dump;
use crate::render::Notes;
use crate::render::progress::size;

pub(super) struct Kept<'c> {
    part: PathBuf,
    notes: &'c Notes,
    /// The command line that goes on.
    line: String,
    /// Whether anything has been changed.
    armed: bool,
    /// Whether there is anything to go on with.
    lost: bool,
}

impl<'c> Kept<'c> {
    pub(super) fn new(part: &Path, path: &Path, context: &'c Context) -> Kept<'c> {
        let line = line::dump(&context.options.flags, context.target.pod_name(), path);
        // In the target's own container nothing stays to go on with.
        let lost = context.options.injector.via.is_some();
        Kept { part: part.to_owned(), notes: &context.notes, line, armed: false, lost }
    }

    /// From now on FILE.part is this dump's.
    pub(super) fn arm(&mut self) {
        self.armed = true;
    }

    /// With the target everything goes that was not here yet, and with an injector that somebody has ended.
    pub(super) fn ended(&mut self, failure: &Failure) {
        self.lost |= matches!(failure.exit(), Exit::Target | Exit::Interrupted);
    }

    /// The injector has given the job up.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// What came is not what it should be: it may be looked at, and no run goes on with it.
    pub(super) fn give_up(&mut self) {
        self.lost = true;
        dump::forget(&self.part);
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let begun = !self.lost && dump::is_begun(&self.part);
        let held = dump::held(&self.part);
        if held > 0 {
            self.notes.say(&format!("{} arrived and are in {}", size(held), self.part.display()));
        } else if !begun {
            dump::remove_empty(&self.part);
        }
        if begun {
            self.notes.say(&format!("Go on with: {}", self.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_that_is_given_up_stays_to_be_looked_at_and_is_no_beginning_of_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let part = directory.path().join("x.hprof.part");
        for (path, bytes) in [(&part, "JAVA"), (&directory.path().join("x.hprof.part.json"), "{}")] {
            std::fs::write(path, bytes).expect("room");
        }
        let notes = Notes::recording();
        let mut kept = Kept { part: part.clone(), notes: &notes, line: String::new(), armed: true, lost: false };
        kept.give_up();
        drop(kept);
        let names: Vec<_> = std::fs::read_dir(&directory).expect("the directory").collect();
        assert!(part.exists() && names.len() == 1, "{names:?}");
        assert!(!notes.recorded().contains("Go on with"), "{}", notes.recorded());
    }

    #[test]
    fn work_that_is_dropped_leaves_no_empty_part_and_no_other_part_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::recording();
        let left = |armed, bytes: &[u8]| {
            let part = directory.path().join("x.hprof.part");
            std::fs::write(&part, bytes).expect("a part");
            drop(Kept { part: part.clone(), notes: &notes, line: String::new(), armed, lost: false });
            part.exists()
        };
        assert!(!left(true, b""));
        assert!(left(true, b"JAVA PROFILE"));
        assert!(notes.recorded().starts_with("12 B arrived"), "{}", notes.recorded());
        assert!(left(false, b""), "by now it may be somebody else's");
    }
}
