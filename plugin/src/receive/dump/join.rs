//! What is left to do with a dump of which everything is here: lengths put in, the second stream moved before the first one's
//! end. Each step can be done again after a crash, and nothing has the dump's name until all of them are done.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

/// How much is moved at a time: so much room the two files take beyond what the dump takes, on a filesystem that knows holes.
const STEP: u64 = 256 << 20;

/// What is left to do with FILE.part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Where in the file of the main stream its last record begins.
    pub(crate) at: u64,
    /// How long the file of the second stream is before anything was moved.
    pub(crate) part: u64,
    /// The lengths of heap records: where each begins, and its length.
    pub(crate) patches: Vec<(u64, u32)>,
}

/// Puts the lengths in.
///
/// # Errors
/// Those of writing.
pub(crate) fn patch(mut file: &File, patches: &[(u64, u32)]) -> io::Result<()> {
    for (offset, length) in patches {
        // Behind the record's tag and time.
        file.seek(SeekFrom::Start(offset + 5))?;
        file.write_all(&length.to_be_bytes())?;
    }
    Ok(())
}

/// Moves `part` into `main` before its last record, which is `end` in the file's shape; `step` bytes at a time, the last ones
/// first. So the part is cut from its end as its bytes become safe where they belong, no byte is ever in no file, and how
/// long the part still is tells how far it has come.
///
/// # Errors
/// Those of reading and writing.
pub(crate) fn join(main: &File, part: &File, plan: &Plan, end: &[u8], step: u64) -> io::Result<()> {
    let length = plan.at + plan.part + end.len() as u64;
    let mut to = main;
    to.seek(SeekFrom::Start(plan.at + plan.part))?;
    to.write_all(end)?;
    let mut left = part.metadata()?.len().min(plan.part);
    while left > 0 {
        let begin = left.saturating_sub(step);
        let mut from = part;
        from.seek(SeekFrom::Start(begin))?;
        to.seek(SeekFrom::Start(plan.at + begin))?;
        // In the kernel, where both are on one filesystem of Linux.
        let moved = io::copy(&mut from.take(left - begin), &mut to)?;
        if moved != left - begin {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        main.sync_data()?;
        part.set_len(begin)?;
        left = begin;
    }
    // Where the part is shorter than the end was in its own shape.
    main.set_len(length)
}

/// The same in steps that suit a disk.
///
/// # Errors
/// Those of reading and writing.
pub(crate) fn join_all(main: &File, part: &File, plan: &Plan, end: &[u8]) -> io::Result<()> {
    join(main, part, plan, end, STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &[u8] = b"END";

    /// Two files, as they are when all has come: the main one with its end, in whatever shape.
    fn files(directory: &tempfile::TempDir, main: &[u8], part: &[u8]) -> [File; 2] {
        [("main", main), ("part", part)].map(|(name, bytes)| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).expect("room");
            File::options().read(true).write(true).open(path).expect("the file")
        })
    }

    fn read(mut file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.rewind().expect("a file");
        file.read_to_end(&mut bytes).expect("a file");
        bytes
    }

    #[test]
    fn the_part_comes_before_the_end_whatever_the_steps_and_the_lengths() {
        let directory = tempfile::tempdir().expect("a directory");
        for (part, step) in [(&b"heap of some length"[..], 1), (b"heap of some length", 5), (b"heap", 100), (b"", 7)] {
            // The end is longer in its own shape than all of the part.
            for old_end in [END, b"an end that was stored in pieces"] {
                let [main, parted] = files(&directory, &[b"names", old_end].concat(), part);
                let plan = Plan { at: 5, part: part.len() as u64, patches: Vec::new() };
                join(&main, &parted, &plan, END, step).expect("room");
                assert_eq!(read(&main), [b"names", part, END].concat());
                assert_eq!(parted.metadata().expect("the part").len(), 0);
            }
        }
    }

    #[test]
    fn a_join_that_was_cut_at_any_step_is_done_to_its_end_by_the_next() {
        let part = b"heap of some length";
        let plan = Plan { at: 5, part: part.len() as u64, patches: Vec::new() };
        for left in 0..=part.len() {
            let directory = tempfile::tempdir().expect("a directory");
            let [main, parted] = files(&directory, b"namesEND", part);
            // What is there when the crash comes after a copy, and before the part was cut.
            for crashed_at in [left, left.saturating_sub(3)] {
                let mut to = &main;
                to.seek(SeekFrom::Start(5 + crashed_at as u64)).expect("a file");
                to.write_all(&part[crashed_at..]).expect("room");
                to.write_all(END).expect("room");
            }
            parted.set_len(left as u64).expect("the part");
            join(&main, &parted, &plan, END, 4).expect("room");
            assert_eq!(read(&main), [b"names", &part[..], END].concat(), "cut at {left}");
        }
    }

    #[test]
    fn a_length_stands_behind_the_tag_and_the_time_of_its_record() {
        let directory = tempfile::tempdir().expect("a directory");
        let [main, _] = files(&directory, &[0xff; 20], b"");
        for _ in 0..2 {
            patch(&main, &[(3, 0x0102_0304)]).expect("room");
            let expected = [&[0xff; 8][..], &[1, 2, 3, 4], &[0xff; 8]].concat();
            assert_eq!(read(&main), expected);
        }
    }
}
