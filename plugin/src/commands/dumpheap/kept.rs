//! What a dump leaves behind that did not come to its end, and the command line that goes on with it. Said also when the
//! command is interrupted, and its work just dropped: nothing that was paid for with a pause is thrown away.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::NAME;
use crate::commands::Context;
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
        let line = again(&context.options.flags, context.target.pod_name(), path);
        Kept { part: part.to_owned(), notes: &context.notes, line, armed: false, lost: false }
    }

    /// From now on FILE.part is this dump's.
    pub(super) fn arm(&mut self) {
        self.armed = true;
    }

    /// With the target everything goes that was not here yet.
    pub(super) fn ended(&mut self, failure: &Failure) {
        self.lost |= failure.exit == Exit::Target;
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

/// The command line that means the same dump of the same pod, in a shell's words.
fn again(flags: &[OsString], pod: &str, path: &Path) -> String {
    // What looks like a flag is none behind a directory.
    let path = if path.to_string_lossy().starts_with('-') { Path::new(".").join(path) } else { path.to_owned() };
    let flags = flags.iter().map(|flag| flag.to_string_lossy()).filter(|flag| flag != "--no-resume");
    let words = flags.map(|flag| quoted(&flag)).collect::<Vec<_>>();
    let words =
        [vec![format!("pod/{pod}"), "dumpheap".to_owned()], words, vec![quoted(&path.to_string_lossy())]].concat();
    format!("{NAME} {}", words.join(" "))
}

fn quoted(word: &str) -> String {
    // A flag's value needs quotes no more than the flag does: to shlex a `=` may begin an assignment.
    if let Some((flag, value)) = word.split_once('=')
        && flag.starts_with("--")
        && !value.is_empty()
    {
        return format!("{}={}", quoted(flag), quoted(value));
    }
    // Only a NUL cannot be quoted, and no argument has one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_goes_on_names_pod_and_file_and_keeps_the_flags() {
        let flags = ["--namespace=my shop", "--gzip", "--no-resume"].map(OsString::from);
        assert_eq!(
            again(&flags, "x", Path::new("it's.hprof")),
            r#"kubectl jattach pod/x dumpheap --namespace='my shop' --gzip "it's.hprof""#
        );
        assert_eq!(again(&[], "x", Path::new("-x")), "kubectl jattach pod/x dumpheap ./-x");
    }

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
