//! Whatever the bytes, `inspect` finds the same in them wherever they are cut, finds no more objects than the reader counted,
//! and ends.
#![no_main]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;

use jattach_protocol::hprof::{Header, Lengths, Reader};
use libfuzzer_sys::fuzz_target;

// The plugin is a program: nobody can link to a module of it.
#[path = "../../src/census/mod.rs"]
mod census;

use census::{Again, Census, Thread, Threads};

/// All that a census tells.
#[derive(Debug, PartialEq)]
struct Found {
    header: Option<Header>,
    objects: Vec<(String, u64, u64)>,
    arrays: Vec<(String, u64, u32, u64)>,
    threads: Vec<Thread>,
    frames: Vec<String>,
    names: BTreeMap<u32, String>,
    left_out: Vec<String>,
    redacted: Option<&'static str>,
}

struct Memory<'b>(&'b [u8]);

impl Again for Memory<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn part(&mut self, place: Range<u64>) -> io::Result<impl Read> {
        let [start, end] = [place.start, place.end].map(|at| usize::try_from(at).expect("in memory"));
        Ok(&self.0[start..end])
    }
}

fn find(dump: &[u8], portion: usize) -> Found {
    let mut reader = Reader::with(Census::new(3), Lengths::Final);
    for portion in dump.chunks(portion) {
        if reader.push(portion).is_err() {
            break;
        }
    }
    let summary = *reader.summary();
    let sound = reader.finish().map_or_else(|error| error.offset(), |summary| summary.bytes);
    let mut census = reader.into_visitor();
    census.end(sound);
    let mut objects: Vec<_> = census
        .objects()
        .into_iter()
        .map(|objects| (objects.class.to_string(), objects.count, objects.bytes))
        .collect();
    objects.sort();
    let counted: u64 = objects.iter().map(|(_, count, _)| count).sum();
    assert_eq!(counted, summary.instances + summary.arrays);
    let arrays = census.largest_arrays().into_iter();
    let arrays = arrays.map(|array| (array.class.to_string(), array.id, array.length, array.bytes)).collect();
    let Threads { list: threads, frames } = census.threads();
    Found {
        header: census.header().copied(),
        objects,
        arrays,
        threads,
        frames: frames.into_iter().map(|frame| census.frame(frame)).collect(),
        names: census::find_thread_names(&census, &mut Memory(dump)).expect("memory"),
        left_out: census.left_out(),
        redacted: census.zeroed().what(),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([how, portion], rest)) = input.split_first_chunk() else { return };
    // Most of the search should not go into finding the header.
    let ids = if how & 1 == 0 { 4 } else { 8 };
    let version = if how & 2 == 0 { b'1' } else { b'2' };
    let mut dump = b"JAVA PROFILE 1.0.".to_vec();
    dump.extend_from_slice(&[version, 0, 0, 0, 0, ids, 0, 0, 0, 0, 0, 0, 0, 0]);
    dump.extend_from_slice(rest);
    assert_eq!(find(&dump, dump.len()), find(&dump, usize::from(*portion).max(1)));
});
