//! `cargo xtask soak`: heap dumps broken in every way, at as many moments as there is time for; or JVMs in every state, again
//! and again.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::test::jdks::{self, Bench};
use super::test::states;
use crate::arch::Arch;
use crate::cli::Soak;
use crate::cluster::Cluster;
use crate::dev_build::{self, ALL_FEATURES, Built, Extent};
use crate::images::{injector, jvm};
use crate::lab::Lab;
use crate::static_build;
use crate::tools::java::Java;
use crate::tools::jdk::Jdk;
use crate::workspace::Workspace;

/// For how many seconds a client is stopped that is stopped: longer than anything waits for it.
const STOPPED: &str = "90";

/// Runs it.
pub(crate) fn run(workspace: &Workspace, arguments: &Soak, yes: bool) -> Result<()> {
    if arguments.states {
        return in_states(workspace, arguments.seeds, yes);
    }
    if let Some(cluster) = Cluster::named(workspace, &arguments.cluster)? {
        let built = dev_build::build(workspace, Extent::Programs)?;
        return soak(workspace, &built, &cluster, arguments, yes);
    }
    let jdk = super::install(workspace, &[], yes)?;
    let jdk = arguments.java_home.as_deref().map_or(Ok(jdk), Jdk::at)?;
    let binary = static_build::build(workspace, Arch::host(), None, yes)?;
    injector::write(workspace, Arch::host(), &binary)?;
    let images = jvm::write(workspace, &jdk, yes)?;
    let built = dev_build::build(workspace, Extent::Programs)?;
    let lab = Lab::start(workspace, built.program("lab")?, &[])?;
    let cluster = Cluster::of_lab(workspace, &lab, &images);
    let soaked = soak(workspace, &built, &cluster, arguments, yes);
    lab.stop_after(soaked)
}

/// Attaches to every JVM that can be had, and to other programs, in every state.
fn in_states(workspace: &Workspace, rounds: u64, yes: bool) -> Result<()> {
    let compiler = super::install(workspace, &[], yes)?;
    let injector = static_build::build(workspace, Arch::host(), None, yes)?;
    let built = dev_build::build(workspace, Extent::Tests(ALL_FEATURES))?;
    let bench = Bench { workspace, built: &built, injector: &injector, compiler: &compiler, yes };
    let versions = jdks::beside(Some(compiler.version), &jdks::versions(false));
    states::forget(workspace);
    let run = |version: &u32| states::run(&bench, *version, Java::of(workspace, *version)?.variables()?, Some(rounds));
    let red: Vec<String> = versions
        .iter()
        .filter_map(|version| run(version).err().map(|error| format!("JDK {version}: {error:#}")))
        .collect();
    println!("{}", states::table(workspace, &versions));
    ensure!(red.is_empty(), "{}", red.join("; "));
    Ok(())
}

fn soak(workspace: &Workspace, built: &Built, cluster: &Cluster, arguments: &Soak, yes: bool) -> Result<()> {
    let mut command = Command::new(built.program("soak")?);
    command.envs(cluster.variables(workspace, built, yes)?).env("JATTACH_E2E_STOPPED", STOPPED);
    let numbers = [
        ("--seeds", Some(arguments.seeds)),
        ("--seed", arguments.seed),
        ("--minutes", arguments.minutes),
        ("--jobs", arguments.jobs),
    ];
    for (flag, number) in numbers {
        command.args(number.map(|number| format!("{flag}={number}")));
    }
    command.args(arguments.fault.iter().map(|name| format!("--fault={name}")));
    let status = command.status().context("failed to start the soak")?;
    ensure!(status.success(), "a fault has left what it may not: see above");
    Ok(())
}
