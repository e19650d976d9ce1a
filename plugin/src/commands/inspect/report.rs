//! What `inspect` says of a dump, as `-o json` shows it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jattach_protocol::hprof::Version;
use jiff::Timestamp;
use serde::Serialize;

use crate::census::{self, Census};
use crate::commands::verify::Verdict;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    /// "JAVA PROFILE 1.0.2".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<&'static str>,
    /// When the JVM began to write it, by its own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<Timestamp>,
    /// Shallow bytes of all objects.
    pub(super) shallow_bytes: u64,
    /// How many classes, array types among them, there are objects of.
    pub(super) class_count: usize,
    pub(super) classes_by_bytes: Vec<Objects>,
    pub(super) classes_by_count: Vec<Objects>,
    pub(super) largest_arrays: Vec<Array>,
    pub(super) thread_count: usize,
    pub(super) stack_count: usize,
    /// The threads by their stacks: the stack of most threads first.
    pub(super) stacks: Vec<Stack>,
    /// What is missing above because there was too much of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<String>,
}

/// The objects of a class.
#[derive(Clone, Serialize)]
pub(super) struct Objects {
    pub(super) class: String,
    pub(super) count: u64,
    /// Shallow.
    pub(super) bytes: u64,
}

/// One array.
#[derive(Serialize)]
pub(super) struct Array {
    pub(super) class: String,
    /// The identifier by which other tools know it.
    pub(super) id: String,
    /// Elements.
    pub(super) length: u32,
    /// Shallow.
    pub(super) bytes: u64,
}

/// Threads with the same stack.
#[derive(Serialize)]
pub(super) struct Stack {
    pub(super) threads: Vec<Thread>,
    /// Frames, some of which may be left out below.
    pub(super) depth: u32,
    /// Innermost first.
    pub(super) frames: Vec<String>,
}

/// One thread.
#[derive(Serialize)]
pub(super) struct Thread {
    pub(super) serial: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

impl Report {
    /// `names` are those of the threads by their serial numbers.
    pub(super) fn of(verdict: Verdict, census: &Census, names: BTreeMap<u32, String>, top: usize) -> Report {
        let format = census.header().map(|header| match header.version {
            Version::V1_0_1 => "JAVA PROFILE 1.0.1",
            Version::V1_0_2 => "JAVA PROFILE 1.0.2",
        });
        let millis = census.header().and_then(|header| i64::try_from(header.millis).ok());
        let mut classes: Vec<Objects> = census.objects().into_iter().map(Objects::of).collect();
        let (class_count, shallow_bytes) = (classes.len(), classes.iter().map(|class| class.bytes).sum());
        // By the name last: a class that several loaders loaded stands several times.
        classes.sort_by(|a, b| (b.count, b.bytes, &a.class).cmp(&(a.count, a.bytes, &b.class)));
        let classes_by_count = classes.iter().take(top).cloned().collect();
        classes.sort_by(|a, b| (b.bytes, b.count, &a.class).cmp(&(a.bytes, a.count, &b.class)));
        classes.truncate(top);
        let threads = census.threads();
        let thread_count = threads.len();
        let mut stacks = stacks(threads, names);
        let stack_count = stacks.len();
        stacks.truncate(top);
        Report {
            verdict,
            format,
            time: millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            shallow_bytes,
            class_count,
            classes_by_bytes: classes,
            classes_by_count,
            largest_arrays: census.largest_arrays().into_iter().map(Array::of).collect(),
            thread_count,
            stack_count,
            stacks,
            left_out: census.left_out(),
        }
    }
}

impl Objects {
    fn of(objects: census::Objects) -> Objects {
        let census::Objects { class, count, bytes } = objects;
        Objects { class, count, bytes }
    }
}

impl Array {
    fn of(array: census::Array) -> Array {
        let census::Array { class, id, length, bytes } = array;
        Array { class, id: format!("{id:#x}"), length, bytes }
    }
}

/// Puts threads with the same frames together. The stack of most threads comes first, of equals the one first in the dump;
/// that without frames is the last.
fn stacks(threads: Vec<census::Thread>, mut names: BTreeMap<u32, String>) -> Vec<Stack> {
    let mut places: HashMap<(u32, Vec<String>), usize> = HashMap::new();
    let mut stacks: Vec<Stack> = Vec::new();
    for census::Thread { serial, id, frames, depth } in threads {
        let thread = Thread { serial, id: id.map(|id| format!("{id:#x}")), name: names.remove(&serial) };
        let place = *places.entry((depth, frames)).or_insert_with_key(|(depth, frames)| {
            stacks.push(Stack { threads: Vec::new(), depth: *depth, frames: frames.clone() });
            stacks.len() - 1
        });
        stacks[place].threads.push(thread);
    }
    stacks.sort_by_key(|stack| (stack.frames.is_empty(), Reverse(stack.threads.len())));
    stacks
}
