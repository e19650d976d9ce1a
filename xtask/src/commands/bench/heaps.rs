//! Heap dumps, ours and what one would do instead, of the same pod in turn: transfer, pause, memory.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::cluster::{Application, Cluster, Pod, RANDOM, remove};
use super::line::{Line, Target};
use super::pulse::{Pulse, Window, created};
use super::sample::{median, timed};
use super::watch::{Peaks, Watch};

/// Where the application's container has a dump that the JVM has written to a file.
const FILE: &str = "/tmp/heap.hprof";
/// No dump of the bench takes longer.
const LIMIT: &str = "--timeout=5m";
const MIB: f64 = 1_048_576.0;

/// What is measured on a heap, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) transfer: bool,
    pub(super) pause: bool,
    pub(super) memory: bool,
    pub(super) runs: usize,
}

/// Times in seconds, a value for each run.
#[derive(Debug, Default)]
struct Times {
    /// From our command to the verified file.
    ours: Vec<f64>,
    /// The same of the one before all others, for which an injector was started.
    first: f64,
    our_pause: Vec<f64>,
    /// A dump to a file in the container, by the JVM's own clock.
    jvm: Vec<f64>,
    file_pause: Vec<f64>,
    /// From the command that has jattach make such a dump to the end of the one that fetches it.
    cat: Vec<f64>,
    cp: Vec<f64>,
    /// kubectl cp brings a wrong file now and then, and success.
    bad_copies: usize,
    peaks: Vec<Peaks>,
    bytes: u64,
}

/// A pod with this application is started, measured, and removed.
pub(super) fn measure(cluster: &Cluster, application: &Application<'_>, wanted: Wanted) -> Result<Vec<Line>> {
    let pod = cluster.start(application)?;
    let mut pulse = Pulse::follow(cluster, &pod.name)?;
    let here = Here { cluster, pod: &pod, landed: cluster.folder.join(format!("{}.hprof", pod.name)) };
    // The first one finds no injector, a cold page cache, and a JVM that has never dumped.
    let (first, _) = here.ours(&[])?;
    let mut times = Times { first, ..Times::default() };
    for run in 1..=wanted.runs {
        eprintln!("     {application}: run {run} of {}", wanted.runs);
        here.round(wanted, &mut pulse, &mut times)?;
    }
    let mut lines = times.lines(&application.to_string(), wanted);
    // What compresses well hardly has to wait.
    if wanted.memory && application.content == RANDOM {
        lines.push(here.spool(application)?);
    }
    Ok(lines)
}

/// A pod, and the file here that its dumps are brought to.
struct Here<'a> {
    cluster: &'a Cluster,
    pod: &'a Pod<'a>,
    landed: PathBuf,
}

impl Here<'_> {
    fn round(&self, wanted: Wanted, pulse: &mut Pulse, times: &mut Times) -> Result<()> {
        let mut theirs = None;
        if wanted.transfer || wanted.pause {
            self.cluster.settle()?;
            let (window, (seconds, text)) =
                Window::of(|| timed(|| self.pod.exec(&["jattach", "1", "dumpheap", FILE])))?;
            let created = created(&text)?;
            times.jvm.push(created.seconds);
            times.bytes = created.bytes;
            if wanted.transfer {
                times.cat.push(seconds + self.cat(created.bytes)?);
                self.cluster.settle()?;
                match self.copy(created.bytes) {
                    Ok(copying) => times.cp.push(seconds + copying),
                    Err(error) => {
                        eprintln!("     {error:#}");
                        times.bad_copies += 1;
                        remove(&self.landed)?;
                    }
                }
            }
            self.pod.exec(&["rm", FILE])?;
            theirs = Some(window);
        }
        self.cluster.settle()?;
        let (window, (seconds, peaks)) = Window::of(|| self.ours(&[]))?;
        times.ours.push(seconds);
        times.peaks.push(peaks);
        times.our_pause.push(pulse.longest(window)?);
        if let Some(window) = theirs {
            times.file_pause.push(pulse.longest(window)?);
        }
        Ok(())
    }

    fn cat(&self, bytes: u64) -> Result<f64> {
        let words = ["exec", &self.pod.name, "--container=app", "--", "cat", FILE];
        let (seconds, ()) = timed(|| self.cluster.read_to(&words, &self.landed))?;
        self.landed(bytes).context("kubectl exec cat").map(|()| seconds)
    }

    fn copy(&self, bytes: u64) -> Result<f64> {
        let from = format!("{}:{FILE}", self.pod.name);
        let to = self.landed.to_string_lossy();
        let (seconds, _) = timed(|| self.cluster.read(&["cp", "--container=app", &from, &to]))?;
        self.landed(bytes).context("kubectl cp").map(|()| seconds)
    }

    /// Sees that all of a file has come, and removes it.
    fn landed(&self, bytes: u64) -> Result<()> {
        let length = self.landed.metadata().context("nothing came")?.len();
        ensure!(length == bytes, "{length} of {bytes} bytes came");
        remove(&self.landed)
    }

    /// A dump by the plugin: seconds until it is verified and has its name.
    fn ours(&self, flags: &[&str]) -> Result<(f64, Peaks)> {
        let path = self.landed.to_string_lossy();
        let words = [&["dumpheap", &path, "--quiet", "--yes", LIMIT], flags].concat();
        let mut command = self.pod.jattach(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (seconds, peaks) = timed(|| {
            let child = command.spawn().context("failed to start kubectl")?;
            let watch = Watch::start(child.id(), &self.pod.uid);
            let output = child.wait_with_output().context("failed to wait for kubectl");
            let peaks = watch.finish();
            let output = output?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "the dump failed ({}): {}", output.status, complaint.trim());
            Ok(peaks)
        })?;
        ensure!(self.landed.is_file(), "the plugin ended with success and without {}", self.landed.display());
        remove(&self.landed)?;
        Ok((seconds, peaks))
    }

    /// The most that lies in the spool while there may be little in it.
    fn spool(&self, application: &Application<'_>) -> Result<Line> {
        let name = format!("spool, {application}");
        let limit = application.megabytes / 8;
        let (_, peaks) = self.ours(&[&format!("--spool-limit={limit}Mi"), "--max-stall=0"])?;
        let Some(spool) = peaks.spool else {
            return Ok(Line::skipped(name, "only root may look into an injector's files"));
        };
        if spool == 0 {
            return Ok(Line::skipped(name, "nothing had to wait in it"));
        }
        Ok(Line::judged(name, mib(spool), "MiB", Target::AtMost(mib(limit << 20))))
    }
}

impl Times {
    fn lines(&self, name: &str, wanted: Wanted) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        if wanted.transfer {
            lines.extend(self.transfer(name).into_iter().flatten());
        }
        if wanted.pause {
            lines.extend(self.pause(name));
        }
        if wanted.memory {
            lines.extend(self.memory(name));
        }
        lines
    }

    fn transfer(&self, name: &str) -> Option<[Line; 2]> {
        let (ours, jvm, cat) = (median(&self.ours)?, median(&self.jvm)?, median(&self.cat)?);
        let cp = median(&self.cp);
        let copied = match (cp, self.bad_copies) {
            (None, _) => "kubectl cp brought no good file".to_owned(),
            (Some(cp), 0) => format!("kubectl cp {cp:.2} s"),
            (Some(cp), bad) => format!("kubectl cp {cp:.2} s, and {bad} bad"),
        };
        let (first, size) = (self.first, mib(self.bytes));
        let detail =
            format!("{ours:.2} s (first {first:.2} s); exec cat {cat:.2} s, {copied}; a dump of {size:.0} MiB");
        let best = cp.map_or(cat, |cp| cp.min(cat));
        let beside = format!("transfer beside the JVM alone, {name}");
        Some([
            Line::ratio(format!("transfer, {name}"), ours, best, 0.4).note(detail),
            Line::ratio(beside, ours, jvm, 1.5).note(format!("{ours:.2} s; {jvm:.2} s to a file in the container")),
        ])
    }

    fn pause(&self, name: &str) -> Option<Line> {
        let (ours, file) = (median(&self.our_pause)?, median(&self.file_pause)?);
        let detail = format!("{ours:.3} s; {file:.3} s to a file");
        Some(Line::ratio(format!("pause, {name}"), ours, file, 1.3).note(detail))
    }

    fn memory(&self, name: &str) -> [Line; 2] {
        let line = |program: &str, limit, which: fn(&Peaks) -> u64| {
            let name = format!("memory of the {program}, {name}");
            match self.peaks.iter().map(which).max() {
                None | Some(0) => Line::failed(name, "it was not seen running"),
                Some(most) => Line::judged(name, mib(most), "MiB", Target::AtMost(limit)),
            }
        };
        [line("plugin", 64.0, |peaks| peaks.plugin), line("injector", 16.0, |peaks| peaks.injector)]
    }
}

/// Sizes are told in MiB, and not exactly.
#[expect(clippy::cast_precision_loss, reason = "of 2^53 bytes and more")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
