//! A dump that the JVM writes into a regular file. The file's name is gone as soon as the JVM has opened it: from then on
//! the bytes exist only for the JVM and us, count against nobody's quota, and vanish with the two processes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jattach_protocol::message::{Phase, Progress};
use jattach_protocol::{Code, Failure};
use nix::fcntl::OFlag;
use nix::unistd::{SysconfVar, sysconf};

use super::Source;
use super::place::Place;
use crate::hold::{Peer, ask};
use crate::jvm::command::Command;
use crate::jvm::hotspot::{self, Limits, Reply};
use crate::process::{Target, read_limited};
use crate::sys::describe;
use crate::sys::wait::{Wanted, wait};

/// How often the growing file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The longest that a JVM may take to write a dump. It cannot be called back; this only ends our own wait.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// The most text that any JVM says about a dump.
const MAX_TEXT: usize = 16 << 10;

/// What the JVM says of a dump that it has written whole; everything else is a failure, and comes with code 0 too.
const CREATED: &str = "Heap dump file created";

/// What is wanted, and who has to be told how it goes.
pub(crate) struct Order<'a> {
    pub(crate) target: &'a Target<'a>,
    pub(crate) live: bool,
    pub(crate) storage_limit: u64,
    pub(crate) peer: &'a Arc<Peer>,
    pub(crate) progress: &'a dyn Fn(Progress),
}

/// A dump that the JVM has finished.
pub(crate) struct FileDump {
    file: File,
    pub(crate) length: u64,
}

impl Source for FileDump {
    fn fill(&mut self, block: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < block.len() {
            match self.file.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Failure::new(Code::Transfer, "cannot read the dump back").evidence(error.to_string()));
                }
            }
        }
        Ok(filled)
    }
}

/// Has the JVM dump its heap into the first place that will do.
pub(crate) fn dump(order: &Order<'_>) -> Result<FileDump, Failure> {
    let expected = expected_size(order)?;
    let room = if copies_the_heap(order)? { expected.saturating_mul(2) } else { expected };
    let mut refusals = Vec::new();
    // A JVM in a PID namespace below ours knows our pid as another's: its own /tmp is the one place both mean.
    let reaches_us = order.target.status()?.namespace_pids.len() == 1;
    let own = reaches_us.then(Place::own);
    for place in own.into_iter().chain([Place::of(order.target)]) {
        let place = match place {
            Ok(place) => place,
            Err(errno) => {
                refusals.push(Failure::new(Code::NoSpace, "no place for the heap dump").evidence(describe(errno)));
                continue;
            }
        };
        match place.check(expected, room, order.storage_limit).and_then(|()| dump_at(&place, order, expected)) {
            Ok(Outcome::Created(dump)) => return Ok(dump),
            Ok(Outcome::OutOfReach(text)) => refusals.push(not_created(&text)),
            // A limit of the pod or a full disk is none the better in the target's own filesystem.
            Err(failure) if failure.code == Code::NoSpace && refusals.is_empty() => return Err(failure),
            Err(failure) if failure.code == Code::NoSpace => refusals.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(refusals.pop().unwrap_or_else(|| Failure::new(Code::NoSpace, "no place for the heap dump")))
}

enum Outcome {
    Created(FileDump),
    /// The JVM could not create the file: it may not look into our filesystem, or nobody may write there.
    OutOfReach(String),
}

/// The file while the JVM writes it. However this ends, nothing of it keeps a name.
struct Growing<'p> {
    place: &'p Place,
    name: String,
    file: Option<File>,
}

impl Growing<'_> {
    /// Takes hold of the file once the JVM has made it, and takes its name away; tells how much is written.
    fn look(&mut self) -> u64 {
        if self.file.is_none() {
            self.file = self.place.open(&self.name);
            if self.file.is_some() {
                self.place.unlink(&self.name);
            }
        }
        let main = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        main + self.place.size(&self.name)
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.place.remove(&self.name);
    }
}

fn dump_at(place: &Place, order: &Order<'_>, expected: u64) -> Result<Outcome, Failure> {
    let mut growing = Growing { place, name: Place::name()?, file: None };
    let flag = if order.live { "-live" } else { "-all" };
    let command = Command::from_words("dumpheap", &[&place.path(&growing.name), flag])?;
    let mut reply = hotspot::connect(order.target, Limits::default())?.request(&command)?;
    let text = read_reply(&mut reply, &mut || {
        let done = growing.look();
        (order.progress)(Progress { phase: Phase::Dumping, done, total: expected.max(done) });
    })?;
    if !says(&text, CREATED) {
        let unreachable = ["Permission denied", "No such file or directory", "Read-only file system"]
            .iter()
            .any(|why| says(&text, why));
        return if unreachable { Ok(Outcome::OutOfReach(text)) } else { Err(not_created(&text)) };
    }
    growing.look();
    match growing.file.take() {
        Some(file) => Ok(Outcome::Created(FileDump { length: file.metadata().map_or(0, |meta| meta.len()), file })),
        None => Err(not_created("it says the file was created, and there is none")),
    }
}

/// All that the JVM says; `look` is called now and then while it works. The client may have gone meanwhile: the JVM goes
/// on writing all the same, and what it writes must not be left behind.
fn read_reply(reply: &mut Reply, look: &mut dyn FnMut()) -> Result<String, Failure> {
    reply.set_silence_limit(Duration::ZERO);
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    let (deadline, mut next_look) = (Instant::now() + LONGEST, Instant::now());
    while Instant::now() < deadline {
        if Instant::now() >= next_look {
            look();
            next_look = Instant::now() + LOOK;
        }
        match reply.read(&mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(_) if text.len() > MAX_TEXT => return Err(not_created("it says more than any JVM does")),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let _ = wait([Wanted::read(reply.as_fd())], Some(next_look));
            }
            Err(error) => return Err(hotspot::failure(&error)),
        }
    }
    Err(Failure::new(Code::TimedOut, "the JVM does not finish its heap dump"))
}

/// Whether `words` stand in `text`. std's search for them is a fast one, and 2 KB that every pod would pull.
fn says(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len()).any(|window| window == words.as_bytes())
}

fn not_created(text: &str) -> Failure {
    let said = match text.trim_ascii() {
        "" => "it closed the connection without a word",
        said => said,
    };
    Failure::new(Code::JvmFailed, "the JVM could not write the heap dump").evidence(said)
}

/// How much larger than the heap a dump may be: it writes references in 8 bytes that the heap has in 4, and 25 bytes for
/// the 12 of an object's head. Measured with lists, maps and arrays of references: 1.75 to 1.98.
const DUMP_OF_HEAP: u64 = 2;

/// Whether this JVM writes the heap beside the dump and copies it in at the end, as JDK 22 and newer do: those that offer
/// `-parallel`.
fn copies_the_heap(order: &Order<'_>) -> Result<bool, Failure> {
    let question = Command::from_words("jcmd", &["help GC.heap_dump"])?;
    let (_, text) = ask(order.peer, order.target, &question, MAX_TEXT)?;
    Ok(says(&String::from_utf8_lossy(&text), "-parallel"))
}

/// How large the dump may become: by what the JVM says its heap uses, else by all the memory it has.
fn expected_size(order: &Order<'_>) -> Result<u64, Failure> {
    let question = Command::from_words("jcmd", &["GC.heap_info"])?;
    let (_, text) = ask(order.peer, order.target, &question, MAX_TEXT)?;
    let used = match heap_used(&String::from_utf8_lossy(&text)) {
        // JDK 8's older updates do not know the question.
        0 => resident(order.target).map_err(|errno| order.target.ended(errno))?,
        used => used,
    };
    Ok(used.saturating_mul(DUMP_OF_HEAP))
}

/// The memory a process has, in bytes (the second number of statm, in pages).
fn resident(target: &Target<'_>) -> nix::Result<u64> {
    let statm = read_limited(target.open_entry(b"statm", OFlag::O_RDONLY)?, 256)?;
    let pages = std::str::from_utf8(&statm).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
    let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| u64::try_from(size).ok());
    Ok(pages.unwrap_or(0_u64).saturating_mul(page.unwrap_or(4096)))
}

/// The bytes in use in `GC.heap_info`, in the collectors' various words: "used 1234K", "used 12M" and Shenandoah's "100M used".
/// 0 where none of them is said. Metaspace is not in the heap.
fn heap_used(text: &str) -> u64 {
    let heap = text.lines().filter(|line| !says(line, "Metaspace") && !says(line, "class space"));
    let mut sum: u64 = 0;
    for line in heap {
        let mut before = "";
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if word == "used" {
                let used = words.next().and_then(size).or_else(|| size(before));
                sum = sum.saturating_add(used.unwrap_or(0));
            }
            before = word;
        }
    }
    sum
}

/// "1234K" in bytes.
fn size(word: &str) -> Option<u64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor: u64 = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()?.saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_in_use_is_read_from_every_collectors_words() {
        let g1 = " garbage-first heap   total 260096K, used 1025K [0x1, 0x2)\n  region size 1024K, 1 young\n";
        assert_eq!(heap_used(g1), 1025 << 10);
        let serial =
            " def new generation   total 9216K, used 10K [..)\n tenured generation total 10240K, used 5K [..)\n";
        assert_eq!(heap_used(serial), 15 << 10);
        assert_eq!(heap_used(" ZHeap           used 32M, capacity 128M, max capacity 512M\n"), 32 << 20);
        assert_eq!(heap_used("java.lang.IllegalArgumentException: Unknown diagnostic command\n"), 0);
        assert_eq!(heap_used("used 99999999999999999999999K"), 0);
        let shenandoah = "Shenandoah Heap\n 256M max, 256M soft max, 256M committed, 100M used\n 512 x 512K regions\n";
        assert_eq!(heap_used(shenandoah), 100 << 20);
        let epsilon = "Epsilon Heap\n Allocation space:\n  space 262144K,  33% used [0x0, 0x1)\n";
        assert_eq!(heap_used(epsilon), 0, "and the process's memory counts instead");
        assert_eq!(
            heap_used(" Metaspace       used 321K, committed 512K, reserved 1M\n  class space    used 10K\n"),
            0
        );
    }
}
