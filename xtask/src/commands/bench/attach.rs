//! Attaching, and starting, which is all that a short command consists of.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cluster::{Application, Cluster, output};
use super::jvm::Jvm;
use super::line::Line;
use super::sample::{median, timed};
use crate::tools::find;
use crate::tools::jdk::Jdk;

/// What a JVM answers at once: what is measured is the way to it.
const QUESTION: [&str; 2] = ["jcmd", "VM.version"];

/// How often. Each takes milliseconds, so that often costs little.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    pub(super) first: usize,
    pub(super) repeated: usize,
    pub(super) through_the_cluster: usize,
}

/// The injector in jattach's place, on this machine: to JVMs that nobody has attached to before, and to one again and again.
pub(super) fn local(jdk: &Jdk, classes: &Path, injector: &Path, runs: Runs) -> Result<[Line; 2]> {
    let jattach = find("jattach").context("there is no jattach")?;
    let tools = [injector, &jattach];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs.first {
        for (tool, times) in tools.iter().zip(&mut times) {
            let jvm = Jvm::start(jdk, classes, &["Fixture"])?;
            times.push(ask(tool, &jvm)?);
        }
    }
    let first = compare("first attach, beside jattach", &times, 0.2)?;
    let jvm = Jvm::start(jdk, classes, &["Fixture"])?;
    ask(&jattach, &jvm)?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs.repeated {
        for (tool, times) in tools.iter().zip(&mut times) {
            times.push(ask(tool, &jvm)?);
        }
    }
    Ok([first, compare("repeated attach, beside jattach", &times, 1.0)?])
}

fn ask(tool: &Path, jvm: &Jvm) -> Result<f64> {
    let (seconds, answer) = timed(|| output(Command::new(tool).arg(jvm.pid()).args(QUESTION)))?;
    ensure!(answer.contains("JVM response code = 0"), "{} got {answer:?}", tool.display());
    Ok(seconds)
}

/// A thread dump through the cluster, where an injector runs already: by kubectl, whose start comes before the plugin's, and
/// by the plugin alone.
pub(super) fn warm(cluster: &Cluster, application: &Application<'_>, runs: Runs) -> Result<[Line; 2]> {
    const WORDS: [&str; 2] = ["threaddump", "--quiet"];
    let pod = cluster.start(application)?;
    let ours = || timed(|| output(&mut pod.jattach(&WORDS)));
    let alone = || timed(|| output(&mut pod.plugin(&WORDS)));
    let theirs = || timed(|| pod.exec(&["jattach", "1", "threaddump"]));
    let is_whole = |text: &str| text.contains("Full thread dump") && text.contains("\"main\"");
    ours()?;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs.through_the_cluster {
        for (round, times) in [ours(), alone(), theirs()].into_iter().zip(&mut times) {
            let (seconds, text) = round?;
            ensure!(is_whole(&text), "this is no thread dump: {text:?}");
            times.push(seconds);
        }
    }
    let [ours, alone, theirs] = times;
    let name = "warm threaddump, beside kubectl exec jattach";
    let through_kubectl = compare(name, &[ours, theirs.clone()], 1.0)?;
    Ok([through_kubectl, compare(&format!("{name}, without kubectl's start"), &[alone, theirs], 1.0)?])
}

/// The plugin's start, beside that of kubectl.
pub(super) fn start(kubectl: &Path, plugin: &Path, runs: Runs) -> Result<Line> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs.repeated {
        times[0].push(timed(|| output(Command::new(plugin).arg("--version")))?.0);
        times[1].push(timed(|| output(Command::new(kubectl).args(["version", "--client"])))?.0);
    }
    compare("start of the plugin, beside kubectl version --client", &times, 1.0)
}

fn compare(name: &str, times: &[Vec<f64>; 2], limit: f64) -> Result<Line> {
    let [ours, theirs] = times;
    let (ours, theirs) = (median(ours).context("no run")?, median(theirs).context("no run")?);
    let detail = format!("{:.1} ms; {:.1} ms", ours * 1000.0, theirs * 1000.0);
    Ok(Line::ratio(name, ours, theirs, limit).note(detail))
}
