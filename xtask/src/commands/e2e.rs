//! `cargo xtask e2e`: the end-to-end tests against any cluster; without one, against the lab.

use anyhow::Result;

use crate::arch::Arch;
use crate::cli::E2e;
use crate::cluster::Cluster;
use crate::dev_build::{self, ALL_FEATURES, Built, Extent};
use crate::images::jvm::JvmImages;
use crate::images::{injector, jvm};
use crate::lab::Lab;
use crate::static_build;
use crate::tools::java::Java;
use crate::tools::root::AS_IT_IS;
use crate::workspace::Workspace;

/// Runs them.
pub(crate) fn run(workspace: &Workspace, arguments: &E2e, yes: bool) -> Result<()> {
    if let Some(cluster) = Cluster::named(workspace, &arguments.cluster)? {
        let built = dev_build::build(workspace, Extent::Tests(ALL_FEATURES))?;
        return run_tests(workspace, &built, &cluster, &arguments.filter, yes);
    }
    let jdk = super::install(workspace, &[], yes)?;
    let binary = static_build::build(workspace, Arch::host(), None, yes)?;
    injector::write(workspace, Arch::host(), &binary)?;
    let images = match arguments.jdk {
        Some(version) => jvm::write_of(workspace, &Java::of(workspace, version)?, &jdk, yes)?,
        None => jvm::write(workspace, &jdk, yes)?,
    };
    let built = dev_build::build(workspace, Extent::Tests(ALL_FEATURES))?;
    in_lab(workspace, &built, &images, &arguments.filter, yes)
}

/// Runs them in a lab of their own, whose images are in target/images; and those of identities once more in one whose pods
/// do not tell as whom they run, as those of Kubernetes before 1.33, and whose kernel seems to lack the calls that seccomp
/// denies.
pub(crate) fn in_lab(
    workspace: &Workspace,
    built: &Built,
    images: &JvmImages,
    filter: &[String],
    yes: bool,
) -> Result<()> {
    in_one_lab(workspace, built, images, &[], filter, yes)?;
    match of_identities(filter) {
        Some(filter) => in_one_lab(workspace, built, images, &["--no-status-user", "--seccomp-enosys"], &filter, yes),
        None => Ok(()),
    }
}

fn in_one_lab(
    workspace: &Workspace,
    built: &Built,
    images: &JvmImages,
    flags: &[&str],
    filter: &[String],
    yes: bool,
) -> Result<()> {
    let lab = Lab::start(workspace, built.program("lab")?, flags)?;
    let mut cluster = Cluster::of_lab(workspace, &lab, images);
    // Nothing is skipped that this lab was started for.
    cluster.may_skip = flags.is_empty();
    let result = run_tests(workspace, built, &cluster, filter, yes);
    lab.stop_after(result)
}

/// What is left of a filter where only the tests of identities are meant.
fn of_identities(filter: &[String]) -> Option<Vec<String>> {
    const IDENTITIES: &str = "identities::";
    let (flags, names): (Vec<_>, Vec<_>) = filter.iter().cloned().partition(|word| word.starts_with('-'));
    let names: Vec<_> = match names.is_empty() {
        true => vec![IDENTITIES.to_owned()],
        false => names.into_iter().filter(|name| name.starts_with(IDENTITIES)).collect(),
    };
    (!names.is_empty()).then(|| [names, flags].concat())
}

fn run_tests(workspace: &Workspace, built: &Built, cluster: &Cluster, filter: &[String], yes: bool) -> Result<()> {
    let tests = built.tests(|test| test.package == "jattach-e2e" && test.kind == "test")?;
    let variables = cluster.variables(workspace, built, yes)?;
    dev_build::run_tests(AS_IT_IS, &tests, &variables, filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_identities_run_twice_unless_others_are_asked_for() {
        let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let again = |line: &str| of_identities(&words(line)).map(|words| words.join(" "));
        assert_eq!(again("").as_deref(), Some("identities::"));
        assert_eq!(again("--nocapture").as_deref(), Some("identities:: --nocapture"));
        assert_eq!(again("--nocapture faults:: identities::a_root").as_deref(), Some("identities::a_root --nocapture"));
        assert_eq!(again("faults::"), None);
    }
}
