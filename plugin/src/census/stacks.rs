//! Frames, stack traces, and the threads that they belong to.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use jattach_protocol::hprof::{self, Root, Trace};

const MOST_FRAMES: usize = 1 << 20;
/// Frames of all traces together, and of one: a stack that overflowed has ten thousand, of which the first tell why.
const MOST_ENTRIES: usize = 4 << 20;
const DEEPEST: u32 = 1024;
const MOST_THREADS: usize = 1 << 16;

/// A thread, and its stack as far as it was kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Thread {
    /// The identifier of its Thread object, if a root names it.
    pub(super) object: Option<u64>,
    /// How deep its stack was.
    pub(super) depth: u32,
    /// The identifiers of its first frames: from where to where in the list of all.
    frames: (usize, usize),
}

#[derive(Default)]
pub(super) struct Stacks {
    frames: HashMap<u64, hprof::Frame, RandomState>,
    entries: Vec<u64>,
    /// By serial number.
    threads: BTreeMap<u32, Thread>,
    /// The thread whose trace is coming, and how many more of its frames there is room for.
    open: Option<(u32, u32)>,
    /// The beginning of an identifier that was cut.
    held: u64,
    held_bytes: u64,
    pub(super) left_out: bool,
}

impl Stacks {
    pub(super) fn frame(&mut self, frame: &hprof::Frame) {
        if self.frames.len() < MOST_FRAMES {
            self.frames.insert(frame.id, *frame);
        } else {
            self.left_out = true;
        }
    }

    /// Begins a trace, whose body comes next.
    pub(super) fn trace(&mut self, trace: &Trace) {
        (self.open, self.held, self.held_bytes) = (None, 0, 0);
        // 0 is no thread: a trace that stands for "no trace", or that of an allocation.
        if trace.thread == 0 {
            return;
        }
        let begin = self.entries.len();
        if let Some(thread) = self.thread(trace.thread) {
            (thread.depth, thread.frames) = (trace.frames, (begin, begin));
            self.open = Some((trace.thread, trace.frames.min(DEEPEST)));
        }
    }

    fn thread(&mut self, serial: u32) -> Option<&mut Thread> {
        if self.threads.len() >= MOST_THREADS && !self.threads.contains_key(&serial) {
            self.left_out = true;
            return None;
        }
        Some(self.threads.entry(serial).or_default())
    }

    /// The next bytes of the trace's body: identifiers of frames.
    pub(super) fn body(&mut self, bytes: &[u8], id_bytes: u64) {
        let Some((serial, mut room)) = self.open else { return };
        for byte in bytes {
            if room == 0 || self.entries.len() >= MOST_ENTRIES {
                break;
            }
            self.held = self.held << 8 | u64::from(*byte);
            self.held_bytes += 1;
            if self.held_bytes == id_bytes {
                self.entries.push(self.held);
                (self.held, self.held_bytes) = (0, 0);
                room -= 1;
            }
        }
        self.open = Some((serial, room));
        if let Some(thread) = self.threads.get_mut(&serial) {
            thread.frames.1 = self.entries.len();
        }
    }

    pub(super) fn thread_object(&mut self, root: &Root) {
        if let Some(serial) = root.thread
            && let Some(thread) = self.thread(serial)
        {
            thread.object = Some(root.object);
        }
    }

    /// The threads by their serial numbers.
    pub(super) fn threads(&self) -> impl Iterator<Item = (u32, &Thread)> {
        self.threads.iter().map(|(serial, thread)| (*serial, thread))
    }

    /// The frames of a thread that were kept, the innermost first; None for one that no record describes.
    pub(super) fn frames(&self, thread: &Thread) -> impl Iterator<Item = Option<&hprof::Frame>> {
        let (begin, end) = thread.frames;
        self.entries[begin..end].iter().map(|id| self.frames.get(id))
    }
}

/// The frames of all stacks, each place in a method once: a JVM writes one for each thread that is there.
#[derive(Default)]
pub(super) struct Distinct<'s> {
    numbers: HashMap<Option<Place>, usize, RandomState>,
    pub(super) frames: Vec<Option<&'s hprof::Frame>>,
}

/// The serial number of a class, the identifiers of a method and of a source file, and a line.
type Place = (u32, u64, u64, i32);

impl<'s> Distinct<'s> {
    /// The number of a frame in the list.
    pub(super) fn number(&mut self, frame: Option<&'s hprof::Frame>) -> usize {
        let place = frame.map(|frame| (frame.class_serial, frame.method, frame.source, frame.line));
        *self.numbers.entry(place).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_the_same_wherever_its_identifiers_are_cut() {
        let body: Vec<u8> = (0..24).collect();
        for portion in 1..=24 {
            let mut stacks = Stacks::default();
            stacks.trace(&Trace { serial: 2, thread: 1, frames: 3 });
            body.chunks(portion).for_each(|bytes| stacks.body(bytes, 8));
            assert_eq!(stacks.entries, [0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f, 0x1011_1213_1415_1617]);
            let (_, thread) = stacks.threads().next().expect("a thread");
            assert_eq!((thread.depth, stacks.frames(thread).count()), (3, 3));
        }
    }

    #[test]
    fn threads_without_end_do_not_fill_the_memory() {
        let mut stacks = Stacks::default();
        for thread in 1..=u32::try_from(MOST_THREADS).expect("few") + 5 {
            stacks.trace(&Trace { serial: 1, thread, frames: 1 });
            stacks.body(&[0; 8], 8);
        }
        assert_eq!((stacks.threads.len(), stacks.entries.len(), stacks.left_out), (MOST_THREADS, MOST_THREADS, true));
    }
}
