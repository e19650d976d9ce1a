//! The Dockerfile and `cargo xtask image` make the same image: tests that compare them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jattach_image::ContainerConfig;
use tempfile::TempDir;
use xshell::{Shell, cmd};

use super::injector;
use crate::arch::Arch;
use crate::tools::{find, root};
use crate::workspace::Workspace;

/// The instructions of one stage, as (word, rest).
type Stage = Vec<(String, String)>;

/// The stages of a Dockerfile: name, base, instructions. Comments and continued lines are resolved.
fn stages(text: &str) -> Vec<(String, String, Stage)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages: Vec<(String, String, Stage)> = Vec::new();
    for (word, rest) in joined.lines().filter_map(|line| line.trim().split_once(' ')) {
        if word == "FROM" {
            let (base, name) = rest.split_once(" AS ").unwrap_or((rest, ""));
            stages.push((name.to_owned(), base.to_owned(), Stage::new()));
        } else if let Some((_, _, instructions)) = stages.last_mut() {
            instructions.push((word.to_owned(), rest.trim().to_owned()));
        }
    }
    stages
}

/// What the stages up to the last one of that name say of how the image runs.
fn configured(text: &str, name: &str) -> ContainerConfig {
    let stages = stages(text);
    let (_, base, instructions) =
        stages.iter().find(|(stage, _, _)| stage == name).unwrap_or_else(|| panic!("no stage named {name:?}"));
    let mut config = if base == "scratch" { ContainerConfig::default() } else { configured(text, base) };
    let mut arguments = BTreeMap::new();
    for (word, rest) in instructions {
        match word.as_str() {
            "ARG" => arguments.extend(rest.split_once('=').map(|(name, value)| (format!("${{{name}}}"), value))),
            "ENV" => config.env.push(rest.clone()),
            "USER" => config.user.clone_from(rest),
            "ENTRYPOINT" => config.entrypoint = serde_json::from_str(rest).expect("ENTRYPOINT in its exec form"),
            "CMD" => config.cmd = serde_json::from_str(rest).expect("CMD in its exec form"),
            "LABEL" => config.labels.extend(labels(rest, &arguments)),
            "COPY" => {}
            other => panic!("the comparison does not know what {other} does to an image"),
        }
    }
    config
}

/// The pairs of a LABEL instruction, all quoted, with the ARGs put in.
fn labels(rest: &str, arguments: &BTreeMap<String, &str>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for pair in rest.split_terminator('"').collect::<Vec<_>>().chunks(2) {
        let [name, value] = pair else { panic!("a label without a quoted value: {pair:?}") };
        let value = arguments.iter().fold((*value).to_owned(), |value, (name, with)| value.replace(name, with));
        pairs.push((name.trim().trim_end_matches('=').to_owned(), value));
    }
    pairs
}

fn dockerfile(workspace: &Workspace) -> String {
    fs::read_to_string(workspace.root().join("Dockerfile")).expect("the workspace has a Dockerfile")
}

#[test]
fn every_way_through_the_dockerfile_configures_what_xtask_image_does() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    for stage in ["prebuilt", ""] {
        assert_eq!(configured(&dockerfile(&workspace), stage), jattach_image::config(), "stage {stage:?}");
    }
}

#[test]
fn the_stage_that_builds_uses_the_pinned_toolchain() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let pinned = fs::read_to_string(workspace.root().join("rust-toolchain.toml")).expect("a pinned toolchain");
    let stages = stages(&dockerfile(&workspace));
    let (_, base, _) = stages.iter().find(|(name, _, _)| name == "build").expect("a stage that builds");
    let version = base.split(':').nth(1).and_then(|tag| tag.split('-').next()).expect("a tag with a version");
    assert!(pinned.contains(&format!("channel = \"{version}\"")), "{base} is not what rust-toolchain.toml pins");
}

/// Needs buildah and root; `cargo xtask test` installs it.
#[test]
fn buildah_makes_the_same_image_of_the_dockerfile() {
    let sh = Shell::new().expect("a shell");
    if find("buildah").is_none() || !root::is_root(&sh) {
        eprintln!("skipped: buildah is not installed, or this is not root");
        return;
    }
    let workspace = Workspace::find().expect("tests run in the workspace");
    let scratch = TempDir::new().expect("a temporary folder");
    let context = scratch.path().join("context");
    let rootfs = context.join("target/rootfs").join(Arch::host().oci());
    injector::write_rootfs(&rootfs, b"binary").expect("a writable folder");
    fs::write(context.join("Dockerfile"), dockerfile(&workspace)).expect("a writable folder");
    let archive = build(&sh, scratch.path(), &context);

    let inspected: ContainerConfig = {
        let mut config = archive["config"].clone();
        // buildah signs its work; docker does not.
        config["Labels"].as_object_mut().expect("labels").remove("io.buildah.version");
        serde_json::from_value(config).expect("an OCI configuration")
    };
    assert_eq!(inspected, jattach_image::config());
    let mounted = scratch.path().join("content");
    let modes = ["injector", "tmp"].map(|path| {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(mounted.join(path)).unwrap_or_else(|error| panic!("no /{path}: {error}"));
        (found.mode() & 0o7777, found.uid(), found.gid())
    });
    assert_eq!(modes, [(0o755, 0, 0), (0o1777, 0, 0)]);
}

/// Builds the stage `prebuilt`, leaves its root filesystem in `scratch`/content, and returns its configuration.
fn build(sh: &Shell, scratch: &Path, context: &Path) -> serde_json::Value {
    let (root, run) = (scratch.join("root"), scratch.join("run"));
    let content = scratch.join("content");
    let words = ["--storage-driver", "vfs", "--root"].map(std::ffi::OsString::from);
    let buildah: &Vec<_> = &words.into_iter().chain([root.into(), "--runroot".into(), run.into()]).collect();
    let image = "localhost/jattach-test/dockerfile";
    cmd!(sh, "buildah {buildah...} bud --quiet --isolation chroot --target prebuilt --tag {image} {context}")
        .ignore_stdout()
        .run()
        .expect("the Dockerfile builds");
    let container = cmd!(sh, "buildah {buildah...} from {image}").read().expect("a container of the image");
    let mount = cmd!(sh, "buildah {buildah...} mount {container}").read().expect("a mounted container");
    cmd!(sh, "cp -a {mount} {content}").run().expect("a readable root filesystem");
    let inspected = cmd!(sh, "buildah {buildah...} inspect --type image {image}").read().expect("an image");
    cmd!(sh, "buildah {buildah...} rm {container}").ignore_stdout().run().expect("a container to remove");
    let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    inspected["OCIv1"].clone()
}
