//! A cluster of kind as a guard: nodes that are containers of docker, with a real API server, kubelet and containerd.
//!
//! kind and docker are taken as given: unlike what else the tests need they come by neither apt nor PyPI. What is tested here
//! is therefore the command lines; the workflow `e2e.yml` is what runs them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fs, process};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::tools::find;
use crate::workspace::Workspace;

/// The release of kind that the node images below are of: "always include the digest", and no other release's images.
pub(crate) const VERSION: &str = "0.33.0";

/// The three newest Kubernetes versions that it has node images for, newest first.
///
/// Source: the notes of kind's release v0.33.0.
pub(crate) const NODES: [Node; 3] = [
    Node {
        minor: "1.37",
        image: "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5",
    },
    Node {
        minor: "1.36",
        image: "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
    },
    Node {
        minor: "1.35",
        image: "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
    },
];

/// How long the control plane may take until its node is ready.
const PATIENCE: &str = "5m";

/// A Kubernetes version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// As one names it: `1.37`.
    pub(crate) minor: &'static str,
    image: &'static str,
}

impl Node {
    /// The one of that minor version.
    pub(crate) fn of(minor: &str) -> Result<Node> {
        let known = || NODES.map(|node| node.minor).join(", ");
        NODES
            .into_iter()
            .find(|node| node.minor == minor)
            .with_context(|| format!("kind {VERSION} is asked for {}, not for {minor}", known()))
    }
}

/// What kind is told of one cluster.
#[derive(Debug)]
struct Names {
    cluster: String,
    kubeconfig: PathBuf,
    logs: PathBuf,
}

impl Names {
    /// Of this process alone: two runs may stand side by side.
    fn new(workspace: &Workspace, id: u32) -> Names {
        let folder = workspace.target().join("kind");
        let cluster = format!("jattach-e2e-{id}");
        Names { kubeconfig: folder.join(&cluster).with_extension("kubeconfig"), logs: folder.join("logs"), cluster }
    }

    fn create(&self, node: Node) -> Vec<OsString> {
        let kubeconfig = self.kubeconfig.as_os_str();
        line(&["create", "cluster", "--name", &self.cluster, "--image", node.image, "--wait", PATIENCE], kubeconfig)
    }

    fn delete(&self) -> Vec<OsString> {
        line(&["delete", "cluster", "--name", &self.cluster], self.kubeconfig.as_os_str())
    }

    fn load(&self, archive: &Path) -> Vec<OsString> {
        let words = ["load", "image-archive", "--name", &self.cluster];
        words.iter().map(OsString::from).chain([archive.into()]).collect()
    }

    fn export(&self) -> Vec<OsString> {
        let words = ["export", "logs", "--name", &self.cluster];
        words.iter().map(OsString::from).chain([self.logs.as_os_str().into()]).collect()
    }
}

/// Never the user's own kubeconfig.
fn line(words: &[&str], kubeconfig: &OsStr) -> Vec<OsString> {
    words.iter().map(OsString::from).chain(["--kubeconfig".into(), kubeconfig.into()]).collect()
}

/// A cluster that is there until this is dropped. One that a killed run has left goes by `kind delete cluster --name`.
#[derive(Debug)]
pub(crate) struct Kind {
    program: PathBuf,
    names: Names,
}

impl Kind {
    /// Makes a cluster of one node, and brings it the images.
    ///
    /// # Errors
    /// If kind or docker is missing, or kind is another version than [`VERSION`]; if kind fails.
    pub(crate) fn start(workspace: &Workspace, node: Node, archives: &[PathBuf]) -> Result<Kind> {
        let program = program(workspace)?;
        let names = Names::new(workspace, process::id());
        let folder = names.kubeconfig.parent().context("the kubeconfig lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        // From here on there may be something to delete.
        let kind = Kind { program, names };
        kind.run(kind.names.create(node)).with_context(|| format!("kind makes no cluster of {}", node.minor))?;
        for archive in archives {
            kind.run(kind.names.load(archive)).with_context(|| format!("kind does not load {}", archive.display()))?;
        }
        Ok(kind)
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.names.kubeconfig
    }

    /// After the work that it was made for: where that failed, the logs of node and containers are left in target/kind/logs.
    pub(crate) fn after<T>(self, work: Result<T>) -> Result<T> {
        match work {
            Err(error) => Err(match self.run(self.names.export()) {
                Ok(()) => error.context(format!("its logs are in {}", self.names.logs.display())),
                Err(other) => error.context(format!("its logs cannot be had ({other:#})")),
            }),
            done => done,
        }
    }

    fn run(&self, words: Vec<OsString>) -> Result<()> {
        let status = process::Command::new(&self.program).args(words).status().context("failed to start kind")?;
        ensure!(status.success(), "kind ended with {status}");
        Ok(())
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Err(error) = self.run(self.names.delete()) {
            eprintln!("{} is left behind: {error:#}", self.names.cluster);
        }
    }
}

fn program(workspace: &Workspace) -> Result<PathBuf> {
    let (Some(kind), Some(_)) = (find("kind"), find("docker")) else {
        bail!("--kind takes docker and kind {VERSION} (https://kind.sigs.k8s.io/docs/user/quick-start/#installation)");
    };
    let sh = workspace.shell()?;
    let version = cmd!(sh, "{kind} version --quiet").quiet().read().context("failed to ask kind for its version")?;
    ensure!(is_pinned(&version), "this is kind {version}: the pinned node images are those of {VERSION}");
    Ok(kind)
}

/// With or without the v that some releases print.
fn is_pinned(version: &str) -> bool {
    version.trim().trim_start_matches('v') == VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[OsString]) -> String {
        line.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_line_names_the_cluster_and_none_touches_the_users_own_kubeconfig() {
        let workspace = Workspace::find().expect("tests run in the workspace");
        let names = Names::new(&workspace, 7);
        let kubeconfig = workspace.target().join("kind/jattach-e2e-7.kubeconfig").display().to_string();
        let node = Node::of("1.36").expect("a known version");
        assert_eq!(
            words(&names.create(node)),
            format!(
                "create cluster --name jattach-e2e-7 --image {} --wait {PATIENCE} --kubeconfig {kubeconfig}",
                node.image
            )
        );
        assert_eq!(words(&names.delete()), format!("delete cluster --name jattach-e2e-7 --kubeconfig {kubeconfig}"));
        let archive = Path::new("target/images/injector.tar");
        assert_eq!(words(&names.load(archive)), "load image-archive --name jattach-e2e-7 target/images/injector.tar");
        assert!(words(&names.export()).starts_with("export logs --name jattach-e2e-7 /"));
    }

    #[test]
    fn each_node_image_is_of_its_version_and_pinned_and_the_newest_comes_first() {
        let minors = NODES.map(|node| {
            let (tag, digest) = node.image.split_once("@sha256:").expect("a digest");
            assert!(tag.starts_with(&format!("kindest/node:v{}.", node.minor)), "{tag}");
            assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
            node.minor.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok()).expect("Kubernetes 1")
        });
        assert!(minors.windows(2).all(|pair| pair[0] == pair[1] + 1), "{minors:?}");
    }

    #[test]
    fn a_version_without_a_pinned_image_is_refused_with_those_that_have_one() {
        let error = Node::of("1.12").expect_err("no such image").to_string();
        assert!(NODES.iter().all(|node| error.contains(node.minor)), "{error}");
    }

    #[test]
    fn another_kind_than_the_pinned_one_is_noticed() {
        assert!(is_pinned("0.33.0\n") && is_pinned("v0.33.0"));
        assert!(!is_pinned("0.33.0-alpha") && !is_pinned("0.3.0") && !is_pinned(""));
    }
}
