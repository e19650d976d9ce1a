//! `cargo xtask test`: everything that must be green before a change lands.

pub(crate) mod jdks;
pub(crate) mod states;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use super::{check, e2e};
use crate::arch::Arch;
use crate::cli::Test;
use crate::dev_build::{self, ALL_FEATURES, Built, Extent, TestProgram};
use crate::images::{injector, jvm};
use crate::static_build;
use crate::steps::Steps;
use crate::tools::emulator::QEMU_ARM64;
use crate::tools::jdk::Jdk;
use crate::tools::root::{self, AS_IT_IS};
use crate::tools::{Package, find, jdk, kubectl, slurp};
use crate::workspace::Workspace;

/// What the tests need beyond the lab: the reference implementation, a second builder of images, and a reader of man pages.
const PACKAGES: [Package; 3] = [("jattach", "jattach"), ("buildah", "buildah"), ("groff-base", "groff")];

const CONFORMANCE_STATIC: &str = "conformance with jattach, static injector";
const CONFORMANCE_DEBUG: &str = "conformance with jattach, debug injector";
const CONFORMANCE_ARM64: &str = "conformance with jattach, arm64 injector under qemu";
/// The tests of that step. It attaches to a JVM of this machine's processor; where it has to become another user, as across
/// namespaces, qemu does not give each thread the signal that the C library waits for.
const CONFORMANCE_TESTS: &str = "conformance";
const ONE_NAMESPACE: [&str; 2] = ["jattach::", "safe_order::"];
/// Packages of fuzz targets, which are no members of the workspace.
const FUZZED: [&str; 2] = ["injector/protocol/fuzz/Cargo.toml", "plugin/fuzz/Cargo.toml"];
const STATES: &str = "JVMs and other programs in every state";
const OPENJ9: &str = "a stand-in of OpenJ9, with every fault";
/// The test program of that step.
const OPENJ9_TESTS: &str = "openj9";
const OTHER_READER: &str = "heap dumps, read by hprof-slurp too";
const OTHER_READER_PAIRS: &str = "heap dumps in two files, read by hprof-slurp too";
/// The tests of that step: of the reader, and of what `inspect` makes of it.
const READERS: [&str; 2] = ["hprof_real", "inspect_real"];
const LAB: &str = "the lab's own tests";
const END_TO_END: &str = "end to end in the lab";

/// Runs the steps and prints their summary.
pub(crate) fn run(workspace: &Workspace, arguments: &Test, yes: bool) -> Result<()> {
    let mut steps = Steps::new(arguments.keep_going);
    if arguments.fast {
        fast(workspace, &mut steps)?;
        println!("{}", steps.finish()?);
        return Ok(());
    }
    let versions = jdks::versions(arguments.all_jdks);
    states::forget(workspace);
    full(workspace, &mut steps, &versions, arguments.all_jdks, yes)?;
    let own = jdk::installed().map(|jdk| jdk.version);
    let matrix = jdks::matrix(&steps, &versions, own);
    let in_states = states::table(workspace, &jdks::beside(own, &versions));
    println!("{}\n\n{matrix}\n\n{in_states}", steps.finish()?);
    Ok(())
}

fn full(workspace: &Workspace, steps: &mut Steps, versions: &[u32], all: bool, yes: bool) -> Result<()> {
    let jdk = steps.step("install what is missing", || install(workspace, yes))?;
    lints(workspace, steps)?;
    check::dependencies(workspace, steps)?;
    // First: the plugin carries it.
    let static_injector = steps.step("build the static injector", || {
        let binary = static_build::build(workspace, Arch::host(), None, yes)?;
        injector::write(workspace, Arch::host(), &binary)?;
        Ok(binary)
    })?;
    let built = steps.step("build", || dev_build::build(workspace, Extent::Tests(ALL_FEATURES)))?;
    // Where there is none, the first step has said so.
    let runner = root::runner(&workspace.shell()?).ok();
    units(workspace, steps, built.as_ref(), runner)?;
    let images = match &jdk {
        Some(jdk) => steps.step("build the JVM images", || jvm::write(workspace, jdk, yes))?,
        None => None,
    };
    let (Some(runner), Some(jdk), Some(built), Some(injector), Some(images)) =
        (runner, jdk, built, static_injector, images)
    else {
        let names = [
            CONFORMANCE_STATIC,
            CONFORMANCE_DEBUG,
            CONFORMANCE_ARM64,
            OPENJ9,
            STATES,
            OTHER_READER,
            OTHER_READER_PAIRS,
            LAB,
            END_TO_END,
        ];
        for name in names {
            steps.skip(name, "an earlier step failed");
        }
        jdks::skip(steps, versions, "an earlier step failed");
        return Ok(());
    };
    let own_steps = [states::PROGRAM, OPENJ9_TESTS];
    let of_injector =
        built.tests(|test| is(test, "jattach-injector", "test") && !own_steps.contains(&test.name.as_str()))?;
    steps
        .step(CONFORMANCE_STATIC, || conformance(runner, &of_injector, &jdk, &injector, &complete(workspace, yes)?))?;
    steps.step(CONFORMANCE_DEBUG, || {
        conformance(runner, &of_injector, &jdk, built.program("injector")?, &complete(workspace, yes)?)
    })?;
    match Arch::host() {
        Arch::X86_64 => {
            steps.step(CONFORMANCE_ARM64, || emulated_conformance(workspace, runner, &of_injector, &jdk, yes))?;
        }
        Arch::Aarch64 => steps.skip(CONFORMANCE_ARM64, "it is this machine's own, and tried by the steps before"),
    }
    steps.step(OPENJ9, || {
        let tests = built.tests(|test| is(test, "jattach-injector", "test") && test.name == OPENJ9_TESTS)?;
        dev_build::run_tests(runner, &tests, &[("JATTACH_INJECTOR", OsString::from(&injector))], &[])
    })?;
    let bench = jdks::Bench { workspace, built: &built, injector: &injector, compiler: &jdk, yes };
    steps.step(STATES, || states::run(&bench, jdk.version, jdk.variables()?, None))?;
    let readers = built.tests(|test| READERS.contains(&test.name.as_str()))?;
    steps.step(OTHER_READER, || other_reader(workspace, &readers, &jdk))?;
    match jdk::with_pairs() {
        Some(newer) => drop(steps.step(OTHER_READER_PAIRS, || other_reader(workspace, &readers, &newer))?),
        None => steps.skip(OTHER_READER_PAIRS, "no JDK 22 or newer under /usr/lib/jvm"),
    }
    steps.step(LAB, || {
        let variables = [
            ("JATTACH_KUBECTL", OsString::from(kubectl::ensure(workspace, yes)?)),
            ("JATTACH_PLUGIN", OsString::from(built.program("kubectl-jattach")?)),
        ];
        dev_build::run_tests(runner, &built.tests(|test| is(test, "jattach-lab", "test"))?, &variables, &[])
    })?;
    steps.step(END_TO_END, || e2e::in_lab(workspace, &built, &images, &[], yes))?;
    jdks::run(&bench, steps, versions, all)
}

/// What needs neither root nor an installation.
fn fast(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    lints(workspace, steps)?;
    let jdk = jdk::installed();
    let with_jvm: &[&str] = if jdk.is_some() { &["jattach-injector/real-jvm"] } else { &[] };
    let built = steps.step("build", || dev_build::build(workspace, Extent::Tests(with_jvm)))?;
    units(workspace, steps, built.as_ref(), None)?;
    match (jdk, find("jattach"), built) {
        (Some(jdk), Some(_), Some(built)) => {
            let tests = built.tests(|test| is(test, "jattach-injector", "test"))?;
            steps.step(CONFORMANCE_DEBUG, || conformance(AS_IT_IS, &tests, &jdk, built.program("injector")?, &[]))?;
        }
        (None, _, _) => steps.skip(CONFORMANCE_DEBUG, "no JDK under /usr/lib/jvm"),
        (_, None, _) => steps.skip(CONFORMANCE_DEBUG, "jattach is not installed"),
        (_, _, None) => steps.skip(CONFORMANCE_DEBUG, "an earlier step failed"),
    }
    steps.skip(CONFORMANCE_STATIC, "it may install its tools: `cargo xtask test`");
    steps.skip(CONFORMANCE_ARM64, "it may install its tools: `cargo xtask test`");
    steps.skip(OPENJ9, "namespaces need root: `cargo xtask test`");
    steps.skip(STATES, "namespaces need root: `cargo xtask test`");
    steps.skip(OTHER_READER, "it installs hprof-slurp: `cargo xtask test`");
    steps.skip(LAB, "containers need root: `cargo xtask test`");
    steps.skip(END_TO_END, "containers need root: `cargo xtask test`");
    Ok(())
}

fn install(workspace: &Workspace, yes: bool) -> Result<Jdk> {
    let jdk = super::install(workspace, &PACKAGES, yes)?;
    kubectl::ensure(workspace, yes)?;
    Ok(jdk)
}

fn lints(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let sh = workspace.shell()?;
    let cargo = workspace.cargo();
    steps.step("rustfmt", || {
        cmd!(sh, "{cargo} fmt --all -- --check").run().context("not formatted: `cargo fmt --all`")
    })?;
    steps.step("clippy", || {
        cmd!(sh, "{cargo} clippy --locked --workspace --all-targets --all-features -- -D warnings")
            .run()
            .context("clippy is not content")
    })?;
    steps.step("clippy of the fuzz targets", || {
        // Checked, not linked: libFuzzer itself, which a C++ compiler would have to build, is not needed for that.
        for manifest in FUZZED {
            cmd!(sh, "{cargo} clippy --locked --manifest-path {manifest} -- -D warnings")
                .env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a")
                .env("CARGO_TARGET_DIR", workspace.target().join("fuzz"))
                .run()
                .with_context(|| format!("the targets of {manifest} do not build"))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// What has a test fail that cannot do its work.
fn no_skips() -> (&'static str, OsString) {
    ("JATTACH_NO_SKIPS", "1".into())
}

/// The same, and what the tests of the injector want beside a JVM.
fn complete(workspace: &Workspace, yes: bool) -> Result<Vec<(&'static str, OsString)>> {
    let kubectl = kubectl::ensure(workspace, yes)?;
    Ok(vec![no_skips(), ("JATTACH_KUBECTL", kubectl.into()), ("HPROF_SLURP", slurp::ensure(workspace)?.into())])
}

/// Unit and property tests: of everything, and what the protocol, the plugin and xtask have besides. The injector's, of which
/// some make namespaces and devices, are run `as_root` where there is who can; elsewhere those are skipped.
fn units(workspace: &Workspace, steps: &mut Steps, built: Option<&Built>, as_root: Option<&str>) -> Result<()> {
    if let Some(built) = built {
        steps.step("unit and property tests", || {
            let needs_more = |test: &TestProgram| {
                let packages = ["jattach-injector", "jattach-lab", "jattach-e2e"];
                READERS.contains(&test.name.as_str()) || packages.iter().any(|package| is(test, package, "test"))
            };
            let of_injector = |test: &TestProgram| test.package == "jattach-injector";
            dev_build::run_tests(AS_IT_IS, &built.tests(|test| !needs_more(test) && !of_injector(test))?, &[], &[])?;
            let tests = built.tests(|test| !needs_more(test) && of_injector(test))?;
            match as_root {
                Some(runner) => dev_build::run_tests(runner, &tests, &[no_skips()], &[]),
                None => dev_build::run_tests(AS_IT_IS, &tests, &[], &[]),
            }
        })?;
    }
    let sh = workspace.shell()?;
    let cargo = workspace.cargo();
    steps.step("tests of xtask", || cmd!(sh, "{cargo} test --locked --package xtask").run().context("red"))?;
    Ok(())
}

/// The injector against real JVMs and beside the reference implementation, with `more` variables.
fn conformance(
    runner: &str,
    tests: &[&TestProgram],
    jdk: &Jdk,
    injector: &Path,
    more: &[(&'static str, OsString)],
) -> Result<()> {
    let own = [("JATTACH_INJECTOR", OsString::from(injector)), ("JAVA_HOME", OsString::from(&jdk.home))];
    dev_build::run_tests(runner, tests, &[&own, more].concat(), &[])
}

/// What needs no other user, with the injector for arm64.
fn emulated_conformance(
    workspace: &Workspace,
    runner: &str,
    tests: &[&TestProgram],
    jdk: &Jdk,
    yes: bool,
) -> Result<()> {
    QEMU_ARM64.ensure(&workspace.shell()?, yes)?;
    let program = static_build::program(workspace, Arch::Aarch64, None, yes)?;
    let script = workspace.target().join("injector-under-qemu");
    fs::write(&script, format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", QEMU_ARM64.program, program.display()))
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("failed to write {}", script.display()))?;
    let tests: Vec<_> = tests.iter().copied().filter(|test| test.name == CONFORMANCE_TESTS).collect();
    ensure!(!tests.is_empty(), "there are no tests called {CONFORMANCE_TESTS}");
    let variables = [("JATTACH_INJECTOR", OsString::from(script)), ("JAVA_HOME", OsString::from(&jdk.home))];
    dev_build::run_tests(runner, &tests, &variables, &ONE_NAMESPACE.map(String::from))
}

/// Dumps of that JDK, read and redacted, and compared with what hprof-slurp makes of them.
fn other_reader(workspace: &Workspace, tests: &[&TestProgram], jdk: &Jdk) -> Result<()> {
    let variables = [("HPROF_SLURP", slurp::ensure(workspace)?.into()), ("JAVA_HOME", OsString::from(&jdk.home))];
    dev_build::run_tests(AS_IT_IS, tests, &variables, &[])
}

fn is(test: &TestProgram, package: &str, kind: &str) -> bool {
    test.package == package && test.kind == kind
}
