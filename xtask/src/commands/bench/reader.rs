//! Reading a heap dump file: verify and inspect on one core and beside hprof-slurp, and redaction.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cluster::{COMPRESSIBLE, output};
use super::jvm::Jvm;
use super::line::{Line, Target};
use super::pulse::created;
use super::sample::{median, timed};
use crate::tools::find;
use crate::tools::jdk::Jdk;

/// Runs a program on the first processor alone.
const ON_ONE_CORE: [&str; 3] = ["taskset", "--cpu-list", "0"];

/// The programs.
pub(super) struct Programs<'a> {
    pub(super) plugin: &'a Path,
    /// The example `hprof-redact` of the protocol.
    pub(super) redact: &'a Path,
    pub(super) slurp: &'a Path,
}

/// A dump on this machine, of the size that was asked for.
pub(super) struct Dump {
    path: PathBuf,
    megabytes: f64,
}

impl Dump {
    /// Has a JVM make one, of the many small objects that take a reader's time.
    pub(super) fn make(jdk: &Jdk, classes: &Path, folder: &Path, megabytes: u64) -> Result<Dump> {
        let jvm = Jvm::start(jdk, classes, &["Pulse", &megabytes.to_string(), COMPRESSIBLE])?;
        let path = folder.join("reader.hprof");
        let jattach = find("jattach").context("there is no jattach")?;
        let text = output(Command::new(jattach).args([&jvm.pid(), "dumpheap"]).arg(&path))?;
        let bytes =
            u32::try_from(created(&text)?.bytes).context("the dump is larger than a bench of the reader needs")?;
        Ok(Dump { path, megabytes: f64::from(bytes) / 1e6 })
    }
}

/// All of it.
pub(super) fn measure(programs: &Programs<'_>, dump: &Dump, runs: usize) -> Result<Vec<Line>> {
    let (plugin, file) = (programs.plugin, dump.path.as_path());
    let seconds = |make: &dyn Fn() -> Command| -> Result<f64> {
        // The first one reads the file from the disk.
        output(&mut make())?;
        let times = (0..runs).map(|_| timed(|| output(&mut make())).map(|(seconds, _)| seconds));
        median(&times.collect::<Result<Vec<_>>>()?).context("no run")
    };
    let ours = |command: &'static str| move || with(Command::new(plugin), &[command, "--quiet"], file);
    let alone = seconds(&|| with(on_one_core(plugin), &["verify", "--quiet"], file))?;
    let (verify, inspect) = (seconds(&ours("verify"))?, seconds(&ours("inspect"))?);
    let slurp = seconds(&|| with(Command::new(programs.slurp), &[], file))?;
    let mut lines = vec![
        Line::judged("verify, on one core", dump.megabytes / alone, "MB/s", Target::AtLeast(1000.0))
            .note(format!("{alone:.2} s for {:.0} MB", dump.megabytes)),
        Line::ratio("verify, beside hprof-slurp", verify, slurp, 1.0).note(format!("{verify:.2} s; {slurp:.2} s")),
        Line::ratio("inspect, beside hprof-slurp", inspect, slurp, 1.0).note(format!("{inspect:.2} s; {slurp:.2} s")),
    ];
    for what in ["text", "arrays", "all"] {
        let rates = (0..runs).map(|_| {
            let mut command = on_one_core(programs.redact);
            rate(&output(command.arg(file).arg(what))?)
        });
        let rate = median(&rates.collect::<Result<Vec<_>>>()?).context("no run")?;
        lines.push(Line::judged(format!("redact {what}, on one core"), rate, "MB/s", Target::AtLeast(400.0)));
    }
    Ok(lines)
}

fn on_one_core(program: &Path) -> Command {
    let mut command = Command::new(ON_ONE_CORE[0]);
    command.args(&ON_ONE_CORE[1..]).arg(program);
    command
}

fn with(mut command: Command, words: &[&str], file: &Path) -> Command {
    command.args(words).arg(file);
    command
}

/// The rate at the end of "250 MB in 0.125 s: 2000 MB/s".
fn rate(text: &str) -> Result<f64> {
    let rate = text.trim().strip_suffix(" MB/s").and_then(|text| text.rsplit(' ').next()?.parse().ok());
    rate.with_context(|| format!("no rate in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_redaction_is_the_last_number() {
        assert_eq!(rate("250 MB in 0.125 s: 2000 MB/s\n").expect("a rate").to_bits(), 2000.0_f64.to_bits());
        assert!(rate("usage: hprof-redact").is_err());
    }
}
