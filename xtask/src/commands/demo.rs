//! `cargo xtask demo`: a heap dump of a JVM in a container, from nothing, through the real plugin.

mod picture;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::arch::Arch;
use crate::cli::Demo;
use crate::dev_build::{self, Extent};
use crate::images::{injector, jvm};
use crate::lab::Lab;
use crate::static_build;
use crate::tools::kubectl;
use crate::workspace::Workspace;

const NAMESPACE: &str = "shop";
const POD: &str = "api-0";
/// Of a thread dump, this many lines go to the screen.
const SHOWN_LINES: usize = 16;

const INSTEAD: &str = "The demo needs Debian or Ubuntu, and root or sudo, because it starts containers.
With a Kubernetes cluster (1.25 or newer) and a pod that runs Java you need neither:";
const IN_A_CLUSTER: &str = "    cargo install --locked --path plugin
    kubectl jattach pod/YOUR-POD ps
    kubectl jattach pod/YOUR-POD dumpheap

Its nodes have to be able to pull the injector's image: README.md, \"Install\", says how.";

/// Runs it; Ok only if a verified dump lies in target/demo, or the recording is written.
pub(crate) fn run(workspace: &Workspace, arguments: &Demo, yes: bool) -> Result<()> {
    let jdk = super::install(workspace, &[], yes)
        .with_context(|| format!("{INSTEAD}\n\n{IN_A_CLUSTER}\n\nWhat was in the way"))?;
    let kubectl = kubectl::ensure(workspace, yes)?;

    say("Building the plugin and the lab");
    let built = dev_build::build(workspace, Extent::Programs)?;
    say("Building the injector and its image, and an image with a JVM");
    let binary = static_build::build(workspace, Arch::host(), None, yes)?;
    injector::write(workspace, Arch::host(), &binary)?;
    let images = jvm::write(workspace, &jdk, yes)?;

    say("Starting a lab: a stand-in for a Kubernetes cluster, with real containers");
    let lab = Lab::start(workspace, built.program("lab")?, &[])?;
    let folder = workspace.target().join("demo");
    let shown = shell(workspace, &lab, [built.program("kubectl-jattach")?, &kubectl]).and_then(|sh| {
        start_pod(&sh, &folder, &images.plain.reference)?;
        match &arguments.record {
            Some(picture) => record::record(&sh, &folder, picture),
            None => show(workspace, &sh, &folder),
        }
    });
    lab.stop_after(shown)?;
    match &arguments.record {
        Some(picture) => println!("\nThe recording is {}.", workspace.short(picture)),
        None => farewell(workspace, &dump(&folder)),
    }
    Ok(())
}

/// A shell that finds these programs, and talks to the lab.
fn shell(workspace: &Workspace, lab: &Lab, programs: [&Path; 2]) -> Result<Shell> {
    let sh = workspace.shell()?;
    sh.set_var("KUBECONFIG", lab.kubeconfig());
    // kubectl finds its plugins on the PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = programs.into_iter().filter_map(Path::parent).map(PathBuf::from);
    sh.set_var("PATH", std::env::join_paths(folders.chain(std::env::split_paths(&path)))?);
    Ok(sh)
}

fn start_pod(sh: &Shell, folder: &Path, image: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    say("A pod with a JVM: no shell, no JDK, not root, a read-only root filesystem but for /tmp");
    let manifest = folder.join("pod.yaml");
    fs::write(&manifest, pod(image)).with_context(|| format!("failed to write {}", manifest.display()))?;
    cmd!(sh, "kubectl apply -f {manifest}").run().context("kubectl could not make the pod")?;
    // The lab lists and watches as servers before 1.32 do.
    cmd!(sh, "kubectl -n {NAMESPACE} wait --for=condition=Ready --timeout=60s pod/{POD}")
        .env("KUBE_FEATURE_WatchListClient", "false")
        .run()
        .context("the pod does not get ready")
}

/// The part that a user would do.
fn show(workspace: &Workspace, sh: &Shell, folder: &Path) -> Result<()> {
    say("Which JVMs are in it");
    cmd!(sh, "kubectl jattach -n {NAMESPACE} pod/{POD} ps").run().context("ps failed")?;
    say("What its threads are doing");
    thread_dump(workspace, sh, folder)?;
    say("Its heap, to a file here");
    let dump = dump(folder);
    cmd!(sh, "kubectl jattach -n {NAMESPACE} pod/{POD} dumpheap --force {dump}").run().context("dumpheap failed")?;
    check(&dump)
}

fn dump(folder: &Path) -> PathBuf {
    folder.join(format!("{POD}.hprof"))
}

fn thread_dump(workspace: &Workspace, sh: &Shell, folder: &Path) -> Result<()> {
    let text = cmd!(sh, "kubectl jattach -n {NAMESPACE} pod/{POD} threaddump").read().context("threaddump failed")?;
    ensure!(text.contains("\"main\""), "the thread dump has no main thread:\n{text}");
    let file = folder.join("threads.txt");
    fs::write(&file, &text).with_context(|| format!("failed to write {}", file.display()))?;
    for line in text.lines().take(SHOWN_LINES) {
        println!("{line}");
    }
    let rest = text.lines().count().saturating_sub(SHOWN_LINES);
    println!("… and {rest} more lines, in {}", workspace.short(&file));
    Ok(())
}

/// The plugin has verified the dump before it gave it this name. This is what can be seen from outside: it is a heap
/// dump, complete to its end record, nobody else may read it, and no unfinished file is left.
fn check(dump: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let bytes = fs::read(dump).with_context(|| format!("no dump at {}", dump.display()))?;
    ensure!(bytes.starts_with(b"JAVA PROFILE 1.0.2\0"), "{} is no heap dump", dump.display());
    ensure!(bytes.ends_with(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]), "{} has no end record", dump.display());
    let mode = fs::metadata(dump)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{} has mode {mode:o}: others may read what was in the heap", dump.display());
    let part = dump.with_extension("hprof.part");
    ensure!(!part.exists(), "{} was left behind", part.display());
    Ok(())
}

/// What the Pod Security level `restricted` asks for, and an application that holds 48 MB.
fn pod(image: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Pod
metadata:
  name: {POD}
  namespace: {NAMESPACE}
spec:
  containers:
  - name: app
    image: {image}
    imagePullPolicy: IfNotPresent
    args: ["-Xmx128m", "-cp", "/app", "App", "--heap-mb", "48"]
    securityContext:
      runAsUser: 10001
      runAsGroup: 10001
      runAsNonRoot: true
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {{drop: [ALL]}}
      seccompProfile: {{type: RuntimeDefault}}
    volumeMounts:
    - name: tmp
      mountPath: /tmp
  volumes:
  - name: tmp
    emptyDir: {{}}
"#
    )
}

fn farewell(workspace: &Workspace, dump: &Path) {
    println!(
        "
The dump is {}: open it with Eclipse MAT, VisualVM, or hprof-slurp. The lab is gone again.

In a cluster of your own:

{IN_A_CLUSTER}",
        workspace.short(dump)
    );
}

fn say(text: &str) {
    println!("\n# {text}");
}
