//! `cargo xtask e2e`: the end-to-end tests against any cluster, against one of kind, or against the lab.

use anyhow::Result;

use crate::arch::Arch;
use crate::cli::E2e;
use crate::cluster::Cluster;
use crate::dev_build::{self, ALL_FEATURES, Built, Extent};
use crate::images::jvm::JvmImages;
use crate::images::{hostile, injector, jvm};
use crate::kind::{Kind, Node};
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
    let node = arguments.kind.as_deref().map(Node::of).transpose()?;
    let jdk = super::install(workspace, &[], yes)?;
    let binary = static_build::build(workspace, Arch::host(), None, yes)?;
    injector::write(workspace, Arch::host(), &binary)?;
    let images = match arguments.jdk {
        Some(version) => jvm::write_of(workspace, &Java::of(workspace, version)?, &jdk, yes)?,
        None => jvm::write(workspace, &jdk, yes)?,
    };
    let built = dev_build::build(workspace, Extent::Tests(ALL_FEATURES))?;
    match node {
        Some(node) => in_kind(workspace, &built, &images, node, &arguments.filter, yes),
        None => in_lab(workspace, &built, &images, &arguments.filter, yes),
    }
}

/// Runs them in a cluster of kind, whose node is brought the images of target/images.
fn in_kind(
    workspace: &Workspace,
    built: &Built,
    images: &JvmImages,
    node: Node,
    filter: &[String],
    yes: bool,
) -> Result<()> {
    let hostile = hostile::write(workspace, built.program("hostile")?)?;
    let folder = workspace.images();
    let ours = ["injector.tar", "hostile.tar"].map(|name| folder.join(name));
    let jvms = [&images.plain, &images.shell, &images.user].map(|image| image.path.clone());
    let kind = Kind::start(workspace, node, &[&ours[..], &jvms].concat())?;
    let mut cluster = Cluster::of_kind(workspace, &kind, images);
    cluster.hostile_image = Some(hostile);
    let result = run_tests(workspace, built, &cluster, filter, yes);
    kind.after(result)
}

/// A lab that differs from the usual one.
struct Flavour {
    flags: &'static [&'static str],
    /// Whose tests run in it once more.
    modules: &'static [&'static str],
    /// Whether one of them may find that it is not meant.
    may_skip: bool,
}

const USUAL: Flavour = Flavour { flags: &[], modules: &[], may_skip: true };
const FLAVOURS: [Flavour; 2] = [
    // Its pods do not tell as whom they run, as those of Kubernetes before 1.33, nor why an image is not there, as those before
    // 1.32; and its kernel seems to lack the calls that seccomp denies. Nothing is skipped that this lab was started for.
    Flavour {
        flags: &["--no-status-user", "--bare-back-off", "--seccomp-enosys"],
        modules: &["identities::", "pulls::"],
        may_skip: false,
    },
    // Its runtime is older than openat2 and pidfds, and its admission makes the injector's root read-only.
    Flavour {
        flags: &["--no-status-user", "--seccomp-old", "--seal-ephemeral"],
        modules: &["identities::", "restricted::"],
        may_skip: false,
    },
];

/// Runs them in a lab of their own, whose images are in target/images; and some of them in others, too.
pub(crate) fn in_lab(
    workspace: &Workspace,
    built: &Built,
    images: &JvmImages,
    filter: &[String],
    yes: bool,
) -> Result<()> {
    in_one_lab(workspace, built, images, &USUAL, filter, yes)?;
    for flavour in FLAVOURS {
        if let Some(filter) = among(flavour.modules, filter) {
            in_one_lab(workspace, built, images, &flavour, &filter, yes)?;
        }
    }
    Ok(())
}

fn in_one_lab(
    workspace: &Workspace,
    built: &Built,
    images: &JvmImages,
    flavour: &Flavour,
    filter: &[String],
    yes: bool,
) -> Result<()> {
    let hostile = hostile::write(workspace, built.program("hostile")?)?;
    let lab = Lab::start(workspace, built.program("lab")?, flavour.flags)?;
    let mut cluster = Cluster::of_lab(workspace, &lab, images);
    cluster.may_skip = flavour.may_skip;
    cluster.hostile_image = Some(hostile);
    let result = run_tests(workspace, built, &cluster, filter, yes);
    lab.stop_after(result)
}

/// What is left of a filter where only the tests of these modules are meant.
fn among(modules: &[&str], filter: &[String]) -> Option<Vec<String>> {
    let (flags, names): (Vec<_>, Vec<_>) = filter.iter().cloned().partition(|word| word.starts_with('-'));
    let is_of = |name: &String| modules.iter().any(|module| name.starts_with(module));
    let names: Vec<_> = match names.is_empty() {
        true => modules.iter().map(|module| (*module).to_owned()).collect(),
        false => names.into_iter().filter(is_of).collect(),
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
    fn some_tests_run_in_other_labs_too_unless_others_are_asked_for() {
        let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let again = |line: &str| among(FLAVOURS[1].modules, &words(line)).map(|words| words.join(" "));
        assert_eq!(again("").as_deref(), Some("identities:: restricted::"));
        assert_eq!(again("--nocapture").as_deref(), Some("identities:: restricted:: --nocapture"));
        assert_eq!(again("--nocapture faults:: identities::a_root").as_deref(), Some("identities::a_root --nocapture"));
        assert_eq!(again("faults::"), None);
    }
}
