//! `cargo xtask bench`: what the project promises in numbers, measured in one run on one machine beside what one would do
//! instead. A target that is missed is told, and is no error; a measurement that fails is one.

mod attach;
mod cluster;
mod heaps;
mod jvm;
mod line;
mod pulse;
mod reader;
mod room;
mod sample;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::process;

use anyhow::{Context, Result, ensure};

use self::attach::Runs;
use self::cluster::{Application, COMPRESSIBLE, Cluster, RANDOM};
use self::heaps::Wanted;
use self::line::Line;
use crate::arch::Arch;
use crate::cli::{self, Format, Subject};
use crate::dev_build::{self, Built, Extent};
use crate::images::jvm::{TOOL_PACKAGES, Written};
use crate::images::{injector, jvm as jvm_images};
use crate::lab::Lab;
use crate::static_build;
use crate::tools::jdk::Jdk;
use crate::tools::{kubectl, slurp};
use crate::workspace::Workspace;

/// In MiB, as the heaps are filled.
const HEAPS: [u64; 3] = [64, 512, 2048];
const QUICK_HEAPS: [u64; 1] = [64];
/// Of the pod with limits. In a small one the JVM itself would not find room in a quarter of its heap.
const LIMITED_HEAP: u64 = 512;
const QUICK_LIMITED_HEAP: u64 = 256;

/// Runs it, and prints what was measured.
pub(crate) fn run(workspace: &Workspace, arguments: &cli::Bench, yes: bool) -> Result<()> {
    let bench = Bench::prepare(workspace, arguments, yes)?;
    let load = room::load()?;
    eprintln!("==> measuring, on a machine whose load is {load}");
    let mut lines = bench.without_a_cluster();
    if arguments.wants(&[Subject::Transfer, Subject::Pause, Subject::Memory, Subject::Attach]) {
        lines.extend(bench.in_a_lab()?);
    }
    match arguments.output {
        Some(Format::Json) => println!("{}", line::json(&lines)?),
        None => print!("{}", line::table(&lines)),
    }
    let failed = lines.iter().filter(|line| line.has_failed()).count();
    ensure!(failed == 0, "{failed} measurements failed");
    Ok(())
}

/// Everything that is measured and measured with.
struct Bench<'a> {
    workspace: &'a Workspace,
    arguments: &'a cli::Bench,
    jdk: Jdk,
    kubectl: PathBuf,
    slurp: PathBuf,
    built: Built,
    injector: PathBuf,
    image: Written,
    folder: Folder,
}

impl<'a> Bench<'a> {
    fn prepare(workspace: &'a Workspace, arguments: &'a cli::Bench, yes: bool) -> Result<Bench<'a>> {
        let jdk = super::install(workspace, &TOOL_PACKAGES, yes)?;
        let (kubectl, slurp) = (kubectl::ensure(workspace, yes)?, slurp::ensure(workspace)?);
        let built = dev_build::build(workspace, Extent::Released)?;
        let injector = static_build::build(workspace, Arch::host(), None, yes)?;
        injector::write(workspace, Arch::host(), &injector)?;
        let image = jvm_images::write_with_tools(workspace, &jdk, yes)?;
        let folder = Folder::make(workspace.target().join(format!("bench-{}", process::id())))?;
        Ok(Bench { workspace, arguments, jdk, kubectl, slurp, built, injector, image, folder })
    }

    fn without_a_cluster(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.arguments.wants(&[Subject::Start]) {
            lines.extend(self.measured("start", || {
                Ok(vec![attach::start(&self.kubectl, self.built.program("kubectl-jattach")?, self.runs())?])
            }));
        }
        if self.arguments.wants(&[Subject::Attach]) {
            let classes = jvm_images::classes(self.workspace, &self.jdk);
            lines.extend(
                self.measured("attach", || {
                    Ok(attach::local(&self.jdk, &classes, &self.injector, self.runs())?.to_vec())
                }),
            );
        }
        if self.arguments.wants(&[Subject::Reader]) {
            lines.extend(self.measured("reader", || self.reader()));
        }
        lines
    }

    fn reader(&self) -> Result<Vec<Line>> {
        let classes = jvm_images::classes(self.workspace, &self.jdk);
        let programs = reader::Programs {
            plugin: self.built.program("kubectl-jattach")?,
            redact: self.built.program("hprof-redact")?,
            slurp: &self.slurp,
        };
        let megabytes = if self.arguments.quick { 128 } else { 512 };
        let dump = reader::Dump::make(&self.jdk, &classes, &self.folder.0, megabytes)?;
        reader::measure(&programs, &dump, self.arguments.runs())
    }

    fn in_a_lab(&self) -> Result<Vec<Line>> {
        let lab = Lab::start(self.workspace, self.built.program("lab")?, &[])?;
        let plugin = self.built.program("kubectl-jattach")?;
        let cluster = Cluster::new(&self.folder.0, &self.kubectl, plugin, lab.kubeconfig());
        let lines = cluster.map(|cluster| self.in_cluster(&cluster));
        lab.stop_after(lines)
    }

    fn in_cluster(&self, cluster: &Cluster) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut number = 0;
        let mut application = |megabytes, content, limited| {
            number += 1;
            Application { number, image: &self.image.reference, megabytes, content, limited }
        };
        if self.arguments.wants(&[Subject::Attach]) {
            let application = application(8, COMPRESSIBLE, false);
            lines.extend(
                self.measured("warm threaddump", || Ok(attach::warm(cluster, &application, self.runs())?.to_vec())),
            );
        }
        let wanted = self.arguments.of_heaps();
        for megabytes in self.arguments.heaps() {
            for content in [COMPRESSIBLE, RANDOM] {
                lines.extend(self.heap(cluster, &application(*megabytes, content, false), wanted));
            }
        }
        if wanted.pause
            && let Some(megabytes) = self.arguments.limited_heap()
        {
            let wanted = Wanted { transfer: false, memory: false, ..wanted };
            for content in [COMPRESSIBLE, RANDOM] {
                lines.extend(self.heap(cluster, &application(megabytes, content, true), wanted));
            }
        }
        lines
    }

    fn heap(&self, cluster: &Cluster, application: &Application<'_>, wanted: Wanted) -> Vec<Line> {
        if !(wanted.transfer || wanted.pause || wanted.memory) {
            return Vec::new();
        }
        let name = application.to_string();
        self.measured(&name, || {
            let sh = self.workspace.shell()?;
            Ok(match room::lacking(&sh, &self.folder.0, application.megabytes)? {
                Some(what) => vec![Line::skipped(&name, what)],
                None => heaps::measure(cluster, application, wanted)?,
            })
        })
    }

    /// What the work measures; where it fails a line that says so, because the rest is worth having.
    fn measured(&self, name: &str, work: impl FnOnce() -> Result<Vec<Line>>) -> Vec<Line> {
        eprintln!("==> {name}");
        work().unwrap_or_else(|error| {
            eprintln!("error: {name}: {error:#}");
            vec![Line::failed(name, format!("{error:#}"))]
        })
    }

    fn runs(&self) -> Runs {
        match self.arguments.quick {
            true => Runs { first: 1, repeated: 1, through_the_cluster: 1 },
            false => Runs { first: 7, repeated: 31, through_the_cluster: 11 },
        }
    }
}

impl cli::Bench {
    /// Whether any of these is to be measured: all are, unless some are named.
    fn wants(&self, subjects: &[Subject]) -> bool {
        self.only.is_empty() || subjects.iter().any(|subject| self.only.contains(subject))
    }

    fn of_heaps(&self) -> Wanted {
        Wanted {
            transfer: self.wants(&[Subject::Transfer]),
            pause: self.wants(&[Subject::Pause]),
            memory: self.wants(&[Subject::Memory]),
            runs: self.runs(),
        }
    }

    fn heaps(&self) -> &[u64] {
        match (self.heap.as_slice(), self.quick) {
            ([], true) => &QUICK_HEAPS,
            ([], false) => &HEAPS,
            (named, _) => named,
        }
    }

    /// Of the pod with limits.
    fn limited_heap(&self) -> Option<u64> {
        let megabytes = if self.quick { QUICK_LIMITED_HEAP } else { LIMITED_HEAP };
        (self.heap.is_empty() || self.heap.contains(&megabytes)).then_some(megabytes)
    }

    fn runs(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

/// A folder that goes with this value, and all that is in it: dumps are large.
struct Folder(PathBuf);

impl Folder {
    fn make(path: PathBuf) -> Result<Folder> {
        fs::create_dir_all(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} is left: {error}", self.0.display());
        }
    }
}
