//! `verify`: whether a heap dump file is whole, and if not, where it breaks.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::offline;
use crate::catalogue::Id;
use crate::census::Zeroed;
use crate::error::Failure;
use crate::hprof_file::{self, Broken, HprofFile, Pass};
use crate::options::{Input, Output};
use crate::render::document::document;
use crate::render::stdout::print;

/// What was found, as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) file: String,
    /// "gzip" or "zstd", if it is packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packing: Option<&'static str>,
    pub(super) whole: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Problem>,
    /// "text" or "arrays", as `--redact` has them, where all of those are zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redacted: Option<&'static str>,
    /// Of the dump, unpacked; of one that is not whole what follows counts up to where it breaks.
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) instances: u64,
    pub(super) arrays: u64,
    pub(super) classes: u64,
    /// Bytes of an identifier; 0 if not even the header is there.
    pub(super) id_size: u8,
    /// Whether HEAP_DUMP_END is there. HPROF 1.0.1 knows whole dumps without.
    pub(super) ended: bool,
}

/// Why a dump is not whole.
#[derive(Serialize)]
pub(super) struct Problem {
    /// The bytes before it are as they should be.
    offset: u64,
    message: String,
    /// Whether it is no dump at all.
    #[serde(skip)]
    is_no_dump: bool,
}

impl Problem {
    fn of(broken: &Broken) -> Problem {
        let is_no_dump = matches!(broken, Broken::NoDump { .. });
        Problem { offset: broken.offset(), message: broken.to_string(), is_no_dump }
    }
}

/// Reads the dump to its end, or to where it breaks, and prints what was found.
///
/// # Errors
/// 1 where the file cannot be read or is no dump, 8 where the dump is not whole.
pub(super) async fn run(dump: Input, output: Output) -> anyhow::Result<()> {
    let verdict = offline::work(output.quiet, move |teller| {
        let mut dump = HprofFile::open(&dump)?;
        teller.phase("verifying");
        let stored = dump.stored();
        let pass = hprof_file::read(&mut dump, Zeroed::default(), &|bytes| teller.bytes(bytes, stored))?;
        Ok(Verdict::of(&dump, &pass, &pass.visitor))
    });
    let verdict = verdict.await?;
    match output.format {
        Some(format) => print(&document(&verdict, format)?, &mut std::io::stdout())?,
        None if verdict.whole && !output.quiet => print(&(verdict.text() + "\n"), &mut std::io::stdout())?,
        None => {}
    }
    Ok(verdict.check("; `inspect` shows what there is")?)
}

impl Verdict {
    pub(super) fn of<V>(dump: &HprofFile, pass: &Pass<V>, zeroed: &Zeroed) -> Verdict {
        let Pass { summary, broken, .. } = pass;
        Verdict {
            file: dump.name().to_owned(),
            packing: dump.packing().name(),
            whole: broken.is_none(),
            problem: broken.as_ref().map(Problem::of),
            // Of a part of a dump the rest may be otherwise.
            redacted: if broken.is_none() { zeroed.what() } else { None },
            bytes: summary.bytes,
            records: summary.records,
            instances: summary.instances,
            arrays: summary.arrays,
            classes: summary.classes,
            id_size: summary.id_size,
            ended: summary.ended,
        }
    }

    /// Whether there is anything of a dump in it.
    pub(super) fn is_dump(&self) -> bool {
        self.problem.as_ref().is_none_or(|problem| !problem.is_no_dump)
    }

    fn text(&self) -> String {
        let mut text = format!("{}: whole: {}", self.file, self.counts(self.bytes));
        if let Some(what) = self.redacted {
            write!(text, "; redacted: {}", all_zero(what)).expect("a String takes everything");
        }
        if !self.ended {
            // A form that JDK 7 wrote.
            text.push_str("; it has no HEAP_DUMP_END, so that a cut between two records would not show");
        }
        text
    }

    fn counts(&self, bytes: u64) -> String {
        let mut counts = format!("{bytes} bytes");
        if let Some(packing) = self.packing {
            write!(counts, " in {packing}").expect("a String takes everything");
        }
        let Verdict { records, instances, arrays, classes, id_size, .. } = self;
        write!(
            counts,
            ", {records} records, {instances} instances, {arrays} arrays, {classes} classes, ids of {id_size} bytes"
        )
        .expect("a String takes everything");
        counts
    }

    /// Fails where the dump is not whole; `hint` ends the remedy.
    ///
    /// # Errors
    /// 8 then, or 1 where it is something else.
    pub(super) fn check(&self, hint: &str) -> Result<(), Failure> {
        let Some(Problem { offset, message, is_no_dump }) = &self.problem else { return Ok(()) };
        if *is_no_dump {
            return Err(no_dump(&self.file, message));
        }
        let remedy = if is_part(&self.file) {
            "`dumpheap` with the same FILE goes on where the injector has the rest, and completes what is all here"
        } else {
            "copy it again, or dump again"
        };
        Err(Failure::new(Id::Transfer, format!("{} is not whole", self.file))
            .evidence(format!("{message}\nsound so far: {}", self.counts(*offset)))
            .remedy(format!("{remedy}{hint}")))
    }
}

/// What is seen of a redacted dump.
pub(super) fn all_zero(redacted: &str) -> &'static str {
    if redacted == "text" {
        "every byte[] and char[] is zero"
    } else {
        "every array of bytes, characters or numbers is zero"
    }
}

/// Whether the receiver calls what it has not finished so: `FILE.part`, `FILE.part.p0`. What its directory is called says nothing.
fn is_part(file: &str) -> bool {
    let name = Path::new(file).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.ends_with(".part") || name.contains(".part.")
}

fn no_dump(file: &str, message: &str) -> Failure {
    let remedy = if is_part(file) {
        "it belongs to a dump that has not come to its end: `dumpheap` with the same FILE puts it together"
    } else {
        "name a file that dumpheap, jmap or the JVM itself has written (.hprof, also packed by gzip or zstd), or - for stdin"
    };
    Failure::new(Id::NoHeapDump, format!("{file} is no heap dump")).evidence(message).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::seen::assert_seen;

    /// What is said of a file of that name with these bytes.
    fn said(name: &str, bytes: &[u8]) -> Failure {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x");
        std::fs::write(&path, bytes).expect("room");
        let mut dump = HprofFile::open(&Input::File(path)).expect("it can be read");
        let pass = hprof_file::read(&mut dump, (), &|_| ()).expect("it can be read");
        let verdict = Verdict { file: name.to_owned(), ..Verdict::of(&dump, &pass, &Zeroed::default()) };
        verdict.check("").expect_err("no whole dump")
    }

    #[test]
    fn a_text_file_is_said_to_be_no_heap_dump() {
        assert_seen("a-text", &said("notes.txt", b"Full thread dump OpenJDK"));
    }

    #[test]
    fn an_empty_file_is_a_dump_that_was_cut_off_before_its_first_byte() {
        for (name, remedy) in [("x.hprof", "copy it again"), ("x.hprof.part", "`dumpheap` with the same FILE goes on")]
        {
            let failure = said(name, b"");
            assert_eq!(failure.id, Id::Transfer, "{failure}");
            assert!(
                failure.evidence.starts_with("cut off at byte 0") && failure.remedy.starts_with(remedy),
                "{failure}"
            );
        }
    }

    #[test]
    fn what_the_receiver_has_not_finished_is_known_by_its_own_name_and_not_by_its_directorys() {
        for bytes in [b"JAVA PROFILE 1.0.2".as_slice(), b"something else"] {
            for (name, is_part) in [
                ("a/x.hprof.part", true),
                ("x.hprof.part.p0", true),
                ("a.part.d/x.hprof", false),
                ("a.part/x.hprof", false),
                ("x.partial", false),
            ] {
                let failure = said(name, bytes);
                assert_eq!(failure.remedy.contains("`dumpheap` with the same FILE"), is_part, "{name}: {failure}");
            }
        }
    }
}
