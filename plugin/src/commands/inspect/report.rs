//! What `inspect` says of a dump, as `-o json` shows it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jattach_protocol::hprof::{Frame, Version};
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
#[derive(Serialize)]
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
        let mut classes = census.objects();
        let (class_count, shallow_bytes) = (classes.len(), classes.iter().map(|class| class.bytes).sum());
        // By the name last: a class that several loaders loaded stands several times.
        classes.sort_by(|a, b| (b.count, b.bytes, a.class).cmp(&(a.count, a.bytes, b.class)));
        let classes_by_count = classes.iter().take(top).map(Objects::of).collect();
        classes.sort_by(|a, b| (b.bytes, b.count, a.class).cmp(&(a.bytes, a.count, b.class)));
        let classes_by_bytes = classes.iter().take(top).map(Objects::of).collect();
        let threads = census.threads();
        let thread_count = threads.list.len();
        let groups = Group::all(threads.list);
        let mut stacks =
            Stacks { census, frames: &threads.frames, names, room: MOST_TEXT, left_out: census.left_out() };
        let shown = groups.iter().take(top).map(|group| stacks.shown(group)).collect();
        Report {
            verdict,
            format,
            time: millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            shallow_bytes,
            class_count,
            classes_by_bytes,
            classes_by_count,
            largest_arrays: census.largest_arrays().into_iter().map(Array::of).collect(),
            thread_count,
            stack_count: groups.len(),
            stacks: shown,
            left_out: stacks.left_out,
        }
    }
}

impl Objects {
    fn of(objects: &census::Objects<'_>) -> Objects {
        let census::Objects { class, count, bytes } = *objects;
        Objects { class: class.to_string(), count, bytes }
    }
}

impl Array {
    fn of(array: census::Array<'_>) -> Array {
        let census::Array { class, id, length, bytes } = array;
        Array { class: class.to_string(), id: format!("{id:#x}"), length, bytes }
    }
}

/// Threads with the same stack.
struct Group {
    depth: u32,
    frames: Vec<usize>,
    threads: Vec<(u32, Option<u64>)>,
}

impl Group {
    /// The stack of most threads comes first, of equals the one first in the dump; that without frames is the last.
    fn all(threads: Vec<census::Thread>) -> Vec<Group> {
        let mut places: HashMap<(u32, Vec<usize>), usize> = HashMap::new();
        let mut members: Vec<Vec<(u32, Option<u64>)>> = Vec::new();
        for census::Thread { serial, id, frames, depth } in threads {
            let place = *places.entry((depth, frames)).or_insert(members.len());
            if place == members.len() {
                members.push(Vec::new());
            }
            members[place].push((serial, id));
        }
        let mut stacks: Vec<_> = places.into_iter().collect();
        stacks.sort_unstable_by_key(|(_, place)| *place);
        let groups = stacks.into_iter().zip(members);
        let mut groups: Vec<Group> =
            groups.map(|(((depth, frames), _), threads)| Group { depth, frames, threads }).collect();
        groups.sort_by_key(|group| (group.frames.is_empty(), Reverse(group.threads.len())));
        groups
    }
}

/// Bytes of frames that are shown at most: each may stand in any number of stacks.
const MOST_TEXT: usize = 32 << 20;

/// Makes groups of threads into what is shown of them.
struct Stacks<'c> {
    census: &'c Census,
    frames: &'c [Option<&'c Frame>],
    names: BTreeMap<u32, String>,
    /// How many bytes of frames there may still be.
    room: usize,
    left_out: Vec<String>,
}

impl Stacks<'_> {
    fn shown(&mut self, group: &Group) -> Stack {
        let mut frames = Vec::new();
        for number in &group.frames {
            let frame = self.census.frame(self.frames[*number]);
            let Some(room) = self.room.checked_sub(frame.len()) else {
                if self.room > 0 {
                    self.left_out.push("the frames are too long: those that came last are missing".to_owned());
                }
                self.room = 0;
                break;
            };
            self.room = room;
            frames.push(frame);
        }
        let thread = |(serial, id): &(u32, Option<u64>)| Thread {
            serial: *serial,
            id: id.map(|id| format!("{id:#x}")),
            name: self.names.remove(serial),
        };
        Stack { threads: group.threads.iter().map(thread).collect(), depth: group.depth, frames }
    }
}
