//! One build of the whole workspace, and what came out of it: programs and test programs.
//!
//! One call of cargo for everything: selecting single packages would give their dependencies other features, and build
//! kube once for each selection.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::workspace::Workspace;

/// What to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The programs alone.
    Programs,
    /// The programs as they are released, and the examples.
    Released,
    /// The programs and all tests, with these features (`package/feature`).
    Tests(&'static [&'static str]),
}

/// Every test there is: with a JVM, with root, with a cluster.
pub(crate) const ALL_FEATURES: &[&str] = &[
    "jattach-injector/root",
    "jattach-protocol/real-jvm",
    "kubectl-jattach/real-jvm",
    "jattach-lab/root",
    "jattach-e2e/cluster",
];

/// What cargo built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    programs: Vec<(String, PathBuf)>,
    tests: Vec<TestProgram>,
}

/// One test program.
#[derive(Debug)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    /// `protocol` of `protocol/tests/frames.rs` is "test"; unit tests are "lib" or "bin".
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where cargo would run it.
    pub(crate) folder: PathBuf,
}

/// A line of `cargo build --message-format=json`, as far as it is used here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

impl Built {
    /// The program of that name.
    pub(crate) fn program(&self, name: &str) -> Result<&Path> {
        let found = self.programs.iter().find(|(program, _)| program == name);
        found.map(|(_, path)| path.as_path()).with_context(|| format!("cargo built no program named {name}"))
    }

    /// The test programs that `which` selects; at least one, because a step that runs nothing proves nothing.
    pub(crate) fn tests(&self, which: impl Fn(&TestProgram) -> bool) -> Result<Vec<&TestProgram>> {
        let chosen: Vec<&TestProgram> = self.tests.iter().filter(|test| which(test)).collect();
        ensure!(!chosen.is_empty(), "there are no such tests");
        Ok(chosen)
    }

    fn add(&mut self, message: Message) -> Result<()> {
        let (Some(target), Some(profile), Some(path)) = (message.target, message.profile, message.executable) else {
            return Ok(());
        };
        let folder = message.manifest_path.parent().context("a manifest lies in a folder")?.to_path_buf();
        let kind = target.kind.first().cloned().unwrap_or_default();
        if profile.test && ["lib", "bin", "test"].contains(&kind.as_str()) {
            let package = package_name(&message.manifest_path)?;
            self.tests.push(TestProgram { package, kind, name: target.name, path, folder });
        } else if ["bin", "example"].contains(&kind.as_str()) && !profile.test {
            self.programs.push((target.name, path));
        }
        Ok(())
    }
}

/// Builds the workspace but for xtask, which is running.
pub(crate) fn build(workspace: &Workspace, extent: Extent) -> Result<Built> {
    let mut cargo = Command::new(workspace.cargo());
    cargo.current_dir(workspace.root()).stdin(Stdio::null()).stdout(Stdio::piped());
    cargo.args(["build", "--locked", "--workspace", "--exclude", "xtask"]);
    cargo.arg("--message-format=json-render-diagnostics");
    match extent {
        Extent::Programs => cargo.arg("--bins"),
        Extent::Released => cargo.args(["--release", "--bins", "--examples"]),
        Extent::Tests(features) => cargo.arg("--all-targets").arg("--features").arg(features.join(",")),
    };
    let mut child = cargo.spawn().context("failed to start cargo")?;
    let stdout = child.stdout.take().context("cargo has a stdout")?;
    let mut built = Built::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("failed to read from cargo")?;
        let message: Message = serde_json::from_str(&line).with_context(|| format!("cargo said {line}"))?;
        if message.reason == "compiler-artifact" {
            built.add(message)?;
        }
    }
    let status = child.wait().context("failed to wait for cargo")?;
    ensure!(status.success(), "the workspace does not build");
    Ok(built)
}

/// How long one test program may take, in seconds: several times what the longest does on two cores. What hangs is to be
/// told of, beside all else.
const LIMIT: &str = "2400";
/// What timeout(1) ends with then: once it has asked for the end, and once that was not heard.
const TIMED_OUT: [i32; 2] = [124, 137];

/// Runs test programs through `runner` (see [`crate::tools::root`]) with these variables and words, each in its
/// package's folder. All are run, then those that failed are named.
pub(crate) fn run_tests(
    runner: &str,
    tests: &[&TestProgram],
    variables: &[(&str, OsString)],
    words: &[String],
) -> Result<()> {
    let mut failed = Vec::new();
    for test in tests {
        eprintln!("     Running {} {} ({})", test.package, test.kind, test.name);
        // As under cargo: some tests look for their package's files.
        let cargo =
            [("CARGO_MANIFEST_DIR", OsString::from(&test.folder)), ("CARGO", env::var_os("CARGO").unwrap_or_default())];
        let mut command = Command::new(runner);
        command.current_dir(&test.folder).stdin(Stdio::null());
        command.args(cargo.iter().chain(variables).map(|(name, value)| assignment(name, value)));
        // In the foreground: Ctrl-C reaches the tests as well.
        command.args(["timeout", "--foreground", "--kill-after=30", LIMIT]).arg(&test.path).args(words);
        let status = command.status().with_context(|| format!("failed to start {}", test.path.display()))?;
        if !status.success() {
            let is_late = status.code().is_some_and(|code| TIMED_OUT.contains(&code));
            let why = if is_late { format!(" (ended after {LIMIT} s)") } else { String::new() };
            failed.push(format!("{} {}{why}", test.package, test.name));
        }
    }
    if !failed.is_empty() {
        bail!("red: {}", failed.join(", "));
    }
    Ok(())
}

/// A word that sets a variable for the command after it.
fn assignment(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(name);
    word.push("=");
    word.push(value);
    word
}

fn package_name(manifest: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Package,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
    }
    let text = std::fs::read_to_string(manifest).with_context(|| format!("failed to read {}", manifest.display()))?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("failed to parse {}", manifest.display()))?;
    Ok(manifest.package.name)
}
