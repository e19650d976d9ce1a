//! `cargo xtask e2e`: the end-to-end tests against any cluster; without one, against the lab.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::cli::E2e;
use crate::dev_build::{self, ALL_FEATURES, Built, Extent};
use crate::images::jvm::JvmImages;
use crate::images::{injector, jvm};
use crate::lab::Lab;
use crate::static_build;
use crate::tools::root::AS_IT_IS;
use crate::tools::{kubectl, slurp};
use crate::workspace::Workspace;

/// Runs them.
pub(crate) fn run(workspace: &Workspace, arguments: &E2e, yes: bool) -> Result<()> {
    if let Some(kubeconfig) = &arguments.kubeconfig {
        let cluster = Cluster::of(workspace, kubeconfig, arguments)?;
        let built = dev_build::build(workspace, Extent::Tests(ALL_FEATURES))?;
        return run_tests(workspace, &built, &cluster, &arguments.filter, yes);
    }
    let jdk = super::install(workspace, &[], yes)?;
    let binary = static_build::build(workspace, Arch::host(), None, yes)?;
    injector::write(workspace, Arch::host(), &binary)?;
    let images = jvm::write(workspace, &jdk, yes)?;
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
    let cluster = Cluster {
        kubeconfig: lab.kubeconfig().to_path_buf(),
        context: None,
        injector_image: workspace.injector_image(),
        jvm_image: images.plain.reference.clone(),
        jvm_shell_image: Some(images.shell.reference.clone()),
        jvm_user_image: Some(images.user.reference.clone()),
        pull_policy: "IfNotPresent".to_owned(),
        // Nothing is skipped that this lab was started for.
        may_skip: flags.is_empty(),
    };
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

/// Where the tests run, and with which images.
struct Cluster {
    kubeconfig: PathBuf,
    context: Option<String>,
    injector_image: String,
    jvm_image: String,
    jvm_shell_image: Option<String>,
    jvm_user_image: Option<String>,
    pull_policy: String,
    may_skip: bool,
}

impl Cluster {
    fn of(workspace: &Workspace, kubeconfig: &Path, arguments: &E2e) -> Result<Cluster> {
        let kubeconfig =
            kubeconfig.canonicalize().with_context(|| format!("no kubeconfig at {}", kubeconfig.display()))?;
        let jvm_image = arguments.jvm_image.clone().with_context(|| {
            let folder = workspace.images();
            format!(
                "no --jvm-image: `cargo xtask image --jvm` writes the JVM images to {}; load them into your nodes or \
                 your registry, and name them with --jvm-image and --jvm-shell-image",
                folder.display()
            )
        })?;
        Ok(Cluster {
            kubeconfig,
            context: arguments.context.clone(),
            injector_image: arguments.injector_image.clone().unwrap_or_else(|| workspace.injector_image()),
            jvm_image,
            jvm_shell_image: arguments.jvm_shell_image.clone(),
            jvm_user_image: arguments.jvm_user_image.clone(),
            pull_policy: arguments.pull_policy.clone(),
            may_skip: true,
        })
    }
}

fn run_tests(workspace: &Workspace, built: &Built, cluster: &Cluster, filter: &[String], yes: bool) -> Result<()> {
    let tests = built.tests(|test| test.package == "jattach-e2e" && test.kind == "test")?;
    let mut variables = vec![
        ("JATTACH_E2E_KUBECONFIG", OsString::from(&cluster.kubeconfig)),
        ("JATTACH_E2E_INJECTOR_IMAGE", OsString::from(&cluster.injector_image)),
        ("JATTACH_E2E_JVM_IMAGE", OsString::from(&cluster.jvm_image)),
        ("JATTACH_E2E_PULL_POLICY", OsString::from(&cluster.pull_policy)),
        ("JATTACH_PLUGIN", OsString::from(built.program("kubectl-jattach")?)),
        ("JATTACH_KUBECTL", OsString::from(kubectl::ensure(workspace, yes)?)),
    ];
    let optional = [
        ("JATTACH_E2E_CONTEXT", &cluster.context),
        ("JATTACH_E2E_JVM_SHELL_IMAGE", &cluster.jvm_shell_image),
        ("JATTACH_E2E_JVM_USER_IMAGE", &cluster.jvm_user_image),
    ];
    variables.extend(optional.into_iter().filter_map(|(name, value)| Some((name, OsString::from(value.as_ref()?)))));
    if !cluster.may_skip {
        variables.push(("JATTACH_E2E_NO_SKIPS", "1".into()));
    }
    variables.extend(slurp::installed(workspace).map(|program| ("HPROF_SLURP", program.into_os_string())));
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
