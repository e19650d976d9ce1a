//! Tries every fault of a heap dump with many seeds, in the cluster that the environment names: `cargo xtask soak` runs it.
//! Prints a table of faults and outcomes, and ends with a failure at the first violation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use jattach_e2e::faults::{FAULTS, Fault, Outcome, SHARE, seed};

/// Breaks heap dumps at random moments, again and again.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds each fault is tried with
    #[arg(long, value_name = "N", default_value_t = 100)]
    seeds: u64,
    /// The first of them (default: any)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this fault; may be given again
    #[arg(long, value_name = "NAME")]
    fault: Vec<String>,
    /// Begins nothing more after so many minutes
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,
    /// How many are tried at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

/// What is to be tried, and what came of it so far.
struct Soak {
    faults: Vec<Fault>,
    seeds: Range<u64>,
    deadline: Option<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many lots were given away: some seeds of each fault in turn.
    lots: u64,
    outcomes: BTreeMap<&'static str, Vec<(Outcome, u64)>>,
    violations: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let faults: Result<Vec<Fault>, &String> = match &arguments.fault[..] {
        [] => Ok(FAULTS.to_vec()),
        names => names.iter().map(|name| FAULTS.iter().find(|fault| fault.name == name).copied().ok_or(name)).collect(),
    };
    let faults = match faults {
        Ok(faults) => faults,
        Err(name) => {
            let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
            eprintln!("error: there is no fault {name}; there are {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let first = arguments.seed.unwrap_or_else(seed::any);
    let seeds = first..first + arguments.seeds;
    let deadline = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    println!("seeds {first} to {}", seeds.end - 1);
    let soak = Soak { faults, seeds, deadline, state: Mutex::default() };
    thread::scope(|scope| (0..arguments.jobs.max(1)).for_each(|_| drop(scope.spawn(|| soak.work()))));
    soak.report()
}

impl Soak {
    fn work(&self) {
        while let Some((fault, seeds)) = self.lot() {
            fault.each(seeds, &mut |seed, tried| self.hear(fault, seed, tried));
        }
    }

    /// The next lot, while there is one and nothing was violated.
    fn lot(&self) -> Option<(&Fault, Range<u64>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.violations.is_empty() || self.is_late() {
            return None;
        }
        let (round, fault) = (state.lots / self.faults.len() as u64, state.lots % self.faults.len() as u64);
        let begin = self.seeds.start + round * SHARE;
        state.lots += 1;
        let fault = self.faults.get(usize::try_from(fault).ok()?)?;
        (begin < self.seeds.end).then(|| (fault, begin..self.seeds.end.min(begin + SHARE)))
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether to go on.
    fn hear(&self, fault: &Fault, seed: u64, tried: Result<Outcome, String>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match tried {
            Ok(outcome) => {
                eprintln!("{}, seed {seed}: {outcome}", fault.name);
                let outcomes = state.outcomes.entry(fault.name).or_default();
                match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                    Some((_, count)) => *count += 1,
                    None => outcomes.push((outcome, 1)),
                }
            }
            Err(violation) => {
                let again = fault.again(seed);
                state.violations.push(format!("{}, seed {seed}: {violation}\nagain with: {again}", fault.name));
            }
        }
        state.violations.is_empty() && !self.is_late()
    }

    fn report(self) -> ExitCode {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        println!("\n{:28} {:>6} {:>14}  in detail", "fault", "whole", "clear failure");
        let mut tried = 0;
        for fault in &self.faults {
            let outcomes = state.outcomes.get(fault.name).map_or(&[][..], Vec::as_slice);
            let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|(o, _)| is(o)).map(|(_, n)| n).sum::<u64>();
            let (whole, failed) = (count(|o| *o == Outcome::Whole), count(|o| matches!(o, Outcome::Failed(_))));
            tried += whole + failed;
            println!("{:28} {whole:>6} {failed:>14}  {}", fault.name, detail(outcomes));
        }
        println!("{tried} tried, {} violated", state.violations.len());
        state.violations.iter().for_each(|violation| println!("\nVIOLATED: {violation}"));
        // A run that has tried nothing has proved nothing.
        if state.violations.is_empty() && tried > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What is neither whole nor nothing.
fn detail(outcomes: &[(Outcome, u64)]) -> String {
    let mut text = String::new();
    for (outcome, count) in outcomes.iter().filter(|(outcome, _)| *outcome != Outcome::Whole) {
        let _ = write!(text, "{}{count} {outcome}", if text.is_empty() { "" } else { ", " });
    }
    text
}
