//! Whether what arrives is a heap dump: every record of both streams is walked as it passes, to the JVM's own end mark.

use std::collections::BTreeMap;

use jattach_protocol::hprof::{Error, IdSize, Lengths, Reader, Record, Summary, Tag, Visitor};
use jattach_protocol::message::{Form, PART, Patch};

use super::super::counted::corrupt;
use crate::catalogue::Id;
use crate::error::Failure;

/// More heap records than any JVM writes without their lengths: one for each gigabyte.
const MOST: usize = 1 << 16;

/// The readers of a dump's streams.
pub(crate) struct Check {
    form: Form,
    main: Reader<Records>,
    /// One for each size of identifiers that is still possible: the header with it may come last of all.
    part: Vec<Reader>,
    patches: BTreeMap<u64, u32>,
}

impl Check {
    pub(crate) fn new(form: Form) -> Check {
        let main = match form {
            Form::File => Reader::with(Records::default(), Lengths::Pending),
            Form::Stream => Reader::with(Records::default(), Lengths::Final),
            Form::Pair => Reader::main(Records::default()),
        };
        let part = [IdSize::Eight, IdSize::Four].map(|ids| Reader::part(ids, ()));
        Check { form, main, part: part.into(), patches: BTreeMap::new() }
    }

    /// Whether there may be anything at all of the stream.
    ///
    /// # Errors
    /// 8 where the JVM has no second stream to give.
    pub(crate) fn admit(&self, stream: u32) -> Result<(), Failure> {
        if stream == PART && self.form != Form::Pair {
            return Err(corrupt("a second stream came of a JVM that writes one".to_owned()));
        }
        Ok(())
    }

    /// Reads the next bytes of a stream.
    ///
    /// # Errors
    /// 8 where they go wrong.
    pub(crate) fn push(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Failure> {
        if stream == PART {
            return self.push_part(bytes).map_err(|error| not_whole(&error));
        }
        self.main.push(bytes).map_err(|error| not_whole(&error))?;
        if self.main.visitor().ended.len() > MOST {
            return Err(not_whole(&format!("more than {MOST} heap records have no length")));
        }
        Ok(())
    }

    fn push_part(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut broken = None;
        let header = self.main.summary().id_size;
        self.part.retain_mut(|part| {
            if header != 0 && part.summary().id_size != header {
                return false;
            }
            match part.push(bytes) {
                Ok(()) => true,
                Err(error) => {
                    // The first of them is by far the likelier one.
                    broken.get_or_insert(error);
                    false
                }
            }
        });
        match broken {
            Some(error) if self.part.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the length of a heap record that came without. It may come twice, where its first coming was not heard of.
    ///
    /// # Errors
    /// 8 for one that makes no sense.
    pub(crate) fn patch(&mut self, patch: Patch) -> Result<(), Failure> {
        let known = *self.patches.entry(patch.offset).or_insert(patch.length);
        if self.form != Form::File || known != patch.length || self.patches.len() > MOST {
            return Err(corrupt(format!("a length for byte {} that nobody waits for", patch.offset)));
        }
        Ok(())
    }

    /// All has come: what the whole dump holds, and the lengths that are to be put in.
    ///
    /// # Errors
    /// 8 where it is not whole.
    pub(crate) fn finish(self) -> Result<(Summary, Vec<Patch>), Failure> {
        let mut summary = self.main.finish().map_err(|error| not_whole(&error))?;
        if !summary.ended {
            // A form that JDK 7 wrote; every JVM that can be attached to here closes a dump with its end record.
            return Err(not_whole(&"it has no HEAP_DUMP_END record"));
        }
        let missing = || not_whole(&"the length of a heap record is missing, or is another than the record has");
        let Records { ended, .. } = self.main.into_visitor();
        if !ended.into_iter().eq(self.patches.iter().map(|(offset, length)| (*offset, *length))) {
            return Err(missing());
        }
        if self.form == Form::Pair {
            let fitting = self.part.iter().find(|part| part.summary().id_size == summary.id_size);
            let part = fitting.or(self.part.first()).ok_or_else(missing)?;
            let part = part.finish().map_err(|error| not_whole(&error))?;
            summary = summary.joined(&part).map_err(|error| not_whole(&error))?;
        }
        let patches = self.patches.into_iter().map(|(offset, length)| Patch { offset, length });
        Ok((summary, patches.collect()))
    }
}

/// The heap records that had no length when they came: where they begin, and the length that they turned out to have, as it
/// is written (its low 32 bits).
#[derive(Debug, Default)]
struct Records {
    open: bool,
    ended: Vec<(u64, u32)>,
}

impl Visitor for Records {
    fn record(&mut self, record: &Record) {
        self.open = record.length == 0 && record.tag == Tag::HeapDumpSegment;
    }

    #[expect(clippy::cast_possible_truncation, reason = "HotSpot writes so much of it, and no more")]
    fn heap_record_end(&mut self, offset: u64, length: u64) {
        if self.open && self.ended.len() <= MOST {
            self.ended.push((offset, length as u32));
        }
    }
}

fn not_whole(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Id::Transfer, "the heap dump that the JVM wrote is not whole")
        .evidence(error.to_string())
        .remedy("dump again; if it breaks at the same place, the JVM writes it so")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::error::Exit;

    fn pushed(form: Form, streams: &[(u32, &[u8])], patches: &[Patch]) -> Result<(Summary, Vec<Patch>), String> {
        let mut check = Check::new(form);
        let result = (|| {
            for (stream, bytes) in streams {
                check.admit(*stream)?;
                check.push(*stream, bytes)?;
            }
            patches.iter().try_for_each(|patch| check.patch(*patch))?;
            check.finish()
        })();
        result.map_err(|failure| {
            assert_eq!(failure.exit(), Exit::Transfer);
            failure.evidence
        })
    }

    #[test]
    fn a_dump_in_one_stream_is_whole_with_its_end_alone() {
        let whole = samples::whole();
        assert_eq!(pushed(Form::Stream, &[(0, &whole)], &[]).expect("whole").0.bytes, whole.len() as u64);
        let cut = &whole[..whole.len() - samples::END.len()];
        assert!(pushed(Form::Stream, &[(0, cut)], &[]).unwrap_err().contains("HEAP_DUMP_END"));
    }

    #[test]
    fn two_streams_are_whole_in_any_order() {
        let (main, part) = samples::pair();
        for streams in [[(0, &main[..]), (1, &part)], [(1, &part), (0, &main)]] {
            let (summary, _) = pushed(Form::Pair, &streams, &[]).expect("whole");
            assert_eq!(summary.bytes, (main.len() + part.len()) as u64);
        }
        assert!(pushed(Form::Pair, &[(0, &main)], &[]).is_err(), "no heap in either");
        assert!(pushed(Form::Pair, &[(0, &main), (1, &part[..part.len() - 1])], &[]).unwrap_err().contains("cut off"));
    }

    #[test]
    fn a_part_whose_identifiers_are_not_the_headers_is_not_whole() {
        let (main, part) = samples::pair();
        let mut narrow = main.clone();
        narrow[22] = 4;
        assert!(pushed(Form::Pair, &[(0, &narrow), (1, &part)], &[]).is_err());
        assert!(pushed(Form::Pair, &[(1, &part), (0, &narrow)], &[]).is_err());
    }

    #[test]
    fn a_second_stream_of_a_jvm_that_has_none_is_refused() {
        let (main, part) = samples::pair();
        for form in [Form::File, Form::Stream] {
            assert!(pushed(form, &[(0, &main[..40]), (1, &part)], &[]).unwrap_err().contains("second stream"));
        }
    }

    #[test]
    fn each_record_without_a_length_wants_the_patch_that_fits_and_no_other() {
        let (unpatched, patch) = samples::unpatched();
        let tried = |patches: &[Patch]| pushed(Form::File, &[(0, &unpatched)], patches);
        assert_eq!(tried(&[patch]).expect("whole").1, [patch]);
        assert_eq!(tried(&[patch, patch]).expect("heard twice").1, [patch]);
        let wrong = Patch { length: patch.length + 1, ..patch };
        let elsewhere = Patch { offset: patch.offset + 1, ..patch };
        for patches in [&[][..], &[wrong], &[elsewhere], &[patch, elsewhere]] {
            assert!(tried(patches).unwrap_err().contains("length of a heap record"), "{patches:?}");
        }
        assert!(tried(&[patch, wrong]).unwrap_err().contains("nobody waits for"));
        assert!(pushed(Form::Stream, &[(0, &samples::whole())], &[patch]).unwrap_err().contains("nobody waits for"));
    }
}
