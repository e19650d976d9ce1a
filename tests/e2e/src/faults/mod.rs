//! What may break while a heap dump is on its way, each at a random moment that a seed gives, and what must be true then: the
//! result is a whole dump or a failure that explains itself, the JVM goes on, and nothing of ours is left where it runs.
//!
//! `cargo xtask test` tries every fault with a few seeds, `cargo xtask soak` with many.

mod client;
mod connection;
mod memory;
mod others;
mod pod;
pub mod seed;
pub mod stage;
pub mod transfer;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crate::cluster::{cluster, skip};
use seed::{Dice, seeds};
use stage::Stage;

/// So many seeds share a pod at the most: an injector that was ended stays listed in it.
pub const SHARE: u64 = 6;

/// A fault, and what tries it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    run: fn(&Stage, &mut Dice) -> Outcome,
    /// What is left of the pod is of no use to another seed.
    alone: bool,
    /// The pod's memory limit in MiB, where it has one.
    memory: Option<u32>,
    /// Most of its time is waiting: its seeds are tried at once, each with a pod of its own.
    idle: bool,
}

/// What came of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Whole,
    /// With that exit code.
    Failed(i32),
    /// It cannot be tried in this cluster.
    Skipped(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Whole => f.write_str("whole"),
            Outcome::Failed(code) => write!(f, "failed with {code}"),
            Outcome::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

const fn fault(name: &'static str, run: fn(&Stage, &mut Dice) -> Outcome) -> Fault {
    Fault { name, run, alone: false, memory: None, idle: false }
}

/// Every fault, the most likely in a user's life first.
pub const FAULTS: &[Fault] = &[
    fault("cut", connection::cut),
    Fault { idle: true, ..fault("cut-for-good", connection::cut_for_good) },
    fault("client-killed", client::killed),
    fault("client-killed-without-spool", client::killed_without_spool),
    Fault { idle: true, ..fault("client-stopped", client::stopped) },
    fault("client-stopped-without-spool", client::stopped_without_spool),
    fault("slow-without-spool", connection::slow_without_spool),
    fault("slow", connection::slow),
    Fault { idle: true, ..fault("stalled", connection::stalled) },
    fault("status-dropped", connection::status_dropped),
    fault("session-killed", pod::session_killed),
    fault("hold-killed", pod::hold_killed),
    fault("jvm-killed", pod::jvm_killed),
    fault("jvm-killed-after", pod::jvm_killed_after),
    Fault { alone: true, ..fault("container-ended", pod::container_ended) },
    Fault { alone: true, ..fault("pod-deleted", pod::pod_deleted) },
    fault("disk-full", client::disk_full),
    fault("spool-full", connection::spool_full),
    fault("two-dumps", others::two_dumps),
    fault("other-command", others::other_command),
    fault("slow-reader", client::slow_reader),
    fault("late-first-byte", pod::late_first_byte),
    Fault { memory: Some(memory::LIMIT), ..fault("memory-full", memory::full) },
];

/// The fault of that name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn named(name: &str) -> Fault {
    *FAULTS.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("there is no fault {name:?}"))
}

impl Fault {
    /// Tries it with each seed in turn; `told` hears of each, of a violation in its own words, and says whether to go on.
    pub fn each(&self, seeds: impl Iterator<Item = u64>, told: &mut dyn FnMut(u64, Result<Outcome, String>) -> bool) {
        let mut stage = None;
        for (count, seed) in seeds.enumerate() {
            if self.alone || (count as u64).is_multiple_of(SHARE) {
                stage = None;
            }
            let tried = caught(|| self.once(stage.get_or_insert_with(|| self.stage()), seed));
            if !told(seed, tried) {
                return;
            }
        }
    }

    fn once(&self, stage: &Stage, seed: u64) -> Outcome {
        (self.run)(stage, &mut Dice::new(seed, self.name))
    }

    fn stage(&self) -> Stage {
        let image = cluster().jvm_shell_image.as_deref().expect("an image with a shell");
        Stage::start(image, self.memory)
    }

    /// How to have the same again.
    #[must_use]
    pub fn again(&self, seed: u64) -> String {
        format!("cargo xtask soak --fault {} --seed {seed} --seeds 1", self.name)
    }

    fn hear(&self, seed: u64, tried: Result<Outcome, String>) -> bool {
        match tried {
            Ok(Outcome::Skipped(reason)) => skip(reason),
            Ok(outcome) => println!("{}, seed {seed}: {outcome}", self.name),
            Err(violation) => panic!("{violation}\nagain with: {}", self.again(seed)),
        }
        true
    }
}

/// Tries a fault with the seeds of this process, as a test.
///
/// # Panics
/// At the first violation.
pub fn try_seeds(name: &str) {
    if cluster().jvm_shell_image.is_none() {
        return skip("no image with a shell was given (--jvm-shell-image)");
    }
    let fault = named(name);
    if !fault.idle {
        return fault.each(seeds(), &mut |seed, tried| fault.hear(seed, tried));
    }
    let tries = seeds().map(|seed| thread::spawn(move || (seed, caught(|| fault.once(&fault.stage(), seed)))));
    for tried in tries.collect::<Vec<_>>() {
        let (seed, tried) = tried.join().expect("what panics in it is caught");
        fault.hear(seed, tried);
    }
}

/// What a panic says is what was violated.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "no words".to_owned(), |words| (*words).to_owned()),
    })
}
