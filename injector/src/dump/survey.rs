//! What a heap dump would take, as the JVM tells it: how much heap is in use, and in which form its dump would come.

use std::sync::Arc;

use jattach_protocol::Failure;
use jattach_protocol::message::{Form, Limits, Survey};
use nix::fcntl::OFlag;
use nix::unistd::{SysconfVar, sysconf};

use super::place::{Place, Space};
use super::{says, spool};
use crate::hold::{Peer, ask};
use crate::jvm::command::Command;
use crate::jvm::refuse_heap_dump;
use crate::process::{Target, read_limited};

/// More text than any JVM says about itself here.
const MAX_TEXT: usize = 16 << 10;

/// How much larger than the heap a dump may be: it writes references in 8 bytes that the heap has in 4, and 25 bytes for
/// the 12 of an object's head. Measured with lists, maps and arrays of references: 1.75 to 1.98.
const DUMP_OF_HEAP: u64 = 2;

/// Asks the JVM, if it is one whose dumps come in these forms.
pub(crate) fn survey(peer: &Arc<Peer>, target: &Target<'_>, limits: &Limits) -> Result<Survey, Failure> {
    refuse_heap_dump(target)?;
    let told = |words: &str| {
        let question = Command::from_words("jcmd", &[words])?;
        let (_, text) = ask(peer, target, &question, MAX_TEXT)?;
        Ok::<_, Failure>(String::from_utf8_lossy(&text).into_owned())
    };
    let heap_used = heap_used(&told("GC.heap_info")?);
    let used = match heap_used {
        // JDK 8's older updates do not know the question.
        0 => resident(target).map_err(|errno| target.ended(errno))?,
        used => used,
    };
    let form = form(&told("help GC.heap_dump")?);
    let ((spool, space), expected) = (waiting_room(limits), used.saturating_mul(DUMP_OF_HEAP));
    Ok(Survey { heap_used, expected, form, spool, free: space.free, size: space.size })
}

/// The most that may wait in the pod, and what there is on that disk.
pub(crate) fn waiting_room(limits: &Limits) -> (u64, Space) {
    let place = Place::disk().filter(|place| !place.is_in_memory() && place.create_nameless().is_some());
    let space = place.and_then(|place| place.space()).unwrap_or_default();
    (spool::limit(limits).min(space.usable()), space)
}

/// By the options of `GC.heap_dump`, and not by the version: they were added in updates. A JVM that does not overwrite takes
/// no FIFO; one that can write in parallel writes the heap into a second file (22 and newer).
fn form(help: &str) -> Form {
    match (says(help, "-overwrite"), says(help, "-parallel")) {
        (false, _) => Form::File,
        (true, false) => Form::Stream,
        (true, true) => Form::Pair,
    }
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
    fn the_form_follows_from_the_options_that_are_offered() {
        assert_eq!(form("\t-all : [optional] Dump all objects"), Form::File);
        assert_eq!(form("-all\n-gz\n-overwrite\n"), Form::Stream);
        assert_eq!(form("-all\n-gz\n-overwrite\n-parallel\n"), Form::Pair);
    }

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
