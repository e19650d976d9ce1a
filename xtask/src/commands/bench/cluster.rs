//! The lab as the bench uses it: through kubectl, as everybody does.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt};

use anyhow::{Context, Result, ensure};
use serde_json::json;

pub(super) const NAMESPACE: &str = "bench";
/// What heaps are filled with: see `tests/fixtures/Pulse.java`.
pub(super) const COMPRESSIBLE: &str = "compressible";
pub(super) const RANDOM: &str = "random";
/// As whom the applications run.
const USER: u32 = 10001;

/// A cluster, and a folder of this machine to put files into.
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    kubectl: PathBuf,
    plugin: PathBuf,
    kubeconfig: PathBuf,
    /// With the plugin's folder before all others: kubectl takes the first that it finds.
    path: OsString,
}

/// An application to be started in a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Application<'a> {
    /// Of its pod, which is named after it.
    pub(super) number: u32,
    pub(super) image: &'a str,
    /// What the heap is filled with.
    pub(super) megabytes: u64,
    pub(super) content: &'a str,
    /// Whether the pod has one CPU, and as much memory as the heap may take and a quarter of it.
    pub(super) limited: bool,
}

/// A pod, for as long as this value lives.
pub(super) struct Pod<'c> {
    cluster: &'c Cluster,
    pub(super) name: String,
    pub(super) uid: String,
}

impl Cluster {
    /// Makes the namespace, too.
    pub(super) fn new(folder: &Path, kubectl: &Path, plugin: &Path, kubeconfig: &Path) -> Result<Cluster> {
        let folders = [plugin.parent(), kubectl.parent()].into_iter().flatten().map(PathBuf::from);
        let path = env::var_os("PATH").unwrap_or_default();
        let cluster = Cluster {
            folder: folder.to_path_buf(),
            kubectl: kubectl.to_path_buf(),
            plugin: plugin.to_path_buf(),
            kubeconfig: kubeconfig.to_path_buf(),
            path: env::join_paths(folders.chain(env::split_paths(&path)))?,
        };
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))?;
        Ok(cluster)
    }

    fn apply(&self, manifest: &serde_json::Value) -> Result<()> {
        let mut apply = self.kubectl(&["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        apply.stdin.take().context("kubectl has a stdin")?.write_all(manifest.to_string().as_bytes())?;
        ensure!(apply.wait()?.success(), "kubectl could not make {}", manifest["metadata"]["name"]);
        Ok(())
    }

    /// kubectl with these words, in the bench's namespace.
    pub(super) fn kubectl(&self, words: &[&str]) -> Command {
        self.command(&self.kubectl, words)
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig).env("PATH", &self.path);
        // The lab lists and watches as servers before 1.32 do.
        command.env("KUBE_FEATURE_WatchListClient", "false").stdin(Stdio::null());
        // A plugin's words follow its name.
        let (first, rest) = words.split_at(1);
        command.args(first).args(["--namespace", NAMESPACE]).args(rest);
        command
    }

    /// Has everything on the disk that was written before: who comes next does not pay for it.
    pub(super) fn settle(&self) -> Result<()> {
        output(Command::new("sync").arg("--file-system").arg(&self.folder)).map(drop)
    }

    /// What kubectl prints with these words.
    pub(super) fn read(&self, words: &[&str]) -> Result<String> {
        output(&mut self.kubectl(words))
    }

    /// Has kubectl print into a new file with these words.
    pub(super) fn read_to(&self, words: &[&str], path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
        output(self.kubectl(words).stdout(file)).map(drop)
    }

    /// Starts a pod, and returns when its container runs.
    pub(super) fn start(&self, application: &Application<'_>) -> Result<Pod<'_>> {
        let name = application.pod();
        self.apply(&application.manifest())?;
        let mut pod = Pod { cluster: self, name, uid: String::new() };
        let name = &pod.name;
        self.read(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")])?;
        pod.uid = self.read(&["get", "pod", name, "-o", "jsonpath={.metadata.uid}"])?;
        Ok(pod)
    }
}

impl fmt::Display for Application<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} MB {}", self.megabytes, self.content)?;
        if self.limited { write!(out, ", 1 CPU, heap + 25 % memory") } else { Ok(()) }
    }
}

impl Application<'_> {
    pub(super) fn pod(&self) -> String {
        format!("app-{}", self.number)
    }

    /// What the JVM may take for its heap, in MiB: a quarter more than the application fills. With one CPU it collects with the
    /// serial collector, of whose heap a third is for the young.
    fn heap(&self) -> u64 {
        if self.limited { 2 * self.megabytes } else { self.megabytes + self.megabytes / 4 + 16 }
    }

    fn manifest(&self) -> serde_json::Value {
        let heap = self.heap();
        let limits = match self.limited {
            true => json!({"cpu": "1", "memory": format!("{}Mi", heap + heap / 4)}),
            false => json!({}),
        };
        let [least, most] = ["s", "x"].map(|end| format!("-Xm{end}{heap}m"));
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.pod()},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "app",
                    "image": self.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["java", least, most, "-cp", "/app", "Pulse", self.megabytes.to_string(), self.content],
                    "resources": {"limits": limits},
                    "securityContext": {
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        })
    }
}

impl Pod<'_> {
    /// What the command prints in the application's container.
    pub(super) fn exec(&self, words: &[&str]) -> Result<String> {
        self.cluster.read(&[&["exec", &self.name, "--container=app", "--"], words].concat())
    }

    /// kubectl jattach with this pod as its target.
    pub(super) fn jattach(&self, words: &[&str]) -> Command {
        let target = format!("pod/{}", self.name);
        self.cluster.kubectl(&[&["jattach", &target], words].concat())
    }

    /// The plugin without kubectl before it.
    pub(super) fn plugin(&self, words: &[&str]) -> Command {
        let target = format!("pod/{}", self.name);
        self.cluster.command(&self.cluster.plugin, &[&[target.as_str()], words].concat())
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let deleted = self.cluster.read(&["delete", "pod", &self.name, "--grace-period=0", "--force"]);
        if let Err(error) = deleted {
            // The lab's end removes it at the latest.
            eprintln!("warning: {error:#}");
        }
    }
}

/// What the command prints; with its complaint where it fails.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let what = || format!("{} {}", name(&program), words.join(" "));
    let output = command.output().with_context(|| format!("failed to start {}", what()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed ({}): {}", what(), output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("failed to remove {}", path.display())),
    }
}
