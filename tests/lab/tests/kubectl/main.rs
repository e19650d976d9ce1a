//! The real kubectl against the lab with real containers. `JATTACH_KUBECTL` names it; root and runc are needed.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

use jattach_lab::image::testing::{ImageBuilder, Layer};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Lab {
    process: Child,
    kubeconfig: PathBuf,
    state: PathBuf,
    directory: TempDir,
}

/// `localhost/lab/shell:1`, busybox with a shell, and `localhost/lab/kubectl:1`, which has a kubectl besides.
fn images() -> &'static Path {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl-images");
        std::fs::create_dir_all(&directory).unwrap();
        let program = Layer::new().file_with_mode("bin/kubectl", 0o755, &std::fs::read(kubectl()).unwrap());
        for (name, layers) in [("shell", &[Layer::busybox()][..]), ("kubectl", &[Layer::busybox(), program])] {
            let config = json!({"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]});
            let image = ImageBuilder::new(&format!("localhost/lab/{name}:1")).config(config).layers(layers);
            image.write(&directory.join(format!("{name}.tar")));
        }
        directory
    })
}

fn kubectl() -> PathBuf {
    std::env::var_os("JATTACH_KUBECTL").expect("JATTACH_KUBECTL, the path of a kubectl").into()
}

impl Lab {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let state = directory.path().join("state");
        let mut process = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["--images".as_ref(), images().as_os_str(), "--state".as_ref(), state.as_os_str()])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let kubeconfig = line.trim().strip_prefix("KUBECONFIG=").expect("the lab's first line").into();
        Self { process, kubeconfig, state, directory }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(kubectl());
        // kubectl keeps what it discovers; the next lab has another port and another life.
        command.arg("--cache-dir").arg(self.directory.path().join("cache"));
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        command
    }

    fn kubectl(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// kubectl's output, which must have succeeded.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn with_stdin(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn create(&self, object: &Value) {
        let created = self.with_stdin(&["create", "-f", "-"], &object.to_string());
        assert!(created.status.success(), "{created:?}");
    }

    /// Creates a pod that runs a script, and waits until it is ready.
    fn run(&self, name: &str, script: &str) {
        self.run_image("localhost/lab/shell:1", name, script);
    }

    fn run_image(&self, image: &str, name: &str, script: &str) {
        self.create(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "app", "image": image, "command": ["/bin/sh", "-c", script]}],
            },
        }));
        self.ok(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")]);
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Ends the lab as its owner's end does, and looks whether it has cleaned up.
    fn stop(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
        assert!(!self.state.exists(), "{} is left", self.state.display());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The end of stdin lets a lab of a failed test clean up too.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

const WAIT: &str = "while true; do sleep 1000; done";

#[test]
fn kubectl_gets_pods_as_json_and_as_a_list() {
    let lab = Lab::start();
    lab.run("one", WAIT);
    let pod = lab.json(&["get", "pod", "one", "-o", "json"]);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["containerStatuses"][0]["user"]["linux"]["uid"], 0);
    assert_eq!(lab.json(&["get", "pods", "-l", "app=one", "-o", "json"])["items"].as_array().unwrap().len(), 1);
    assert!(lab.ok(&["get", "pods"]).contains("one"));
    let missing = lab.kubectl(&["get", "pod", "two"]);
    assert_eq!(missing.status.code(), Some(1));
    let told = String::from_utf8(missing.stderr).unwrap();
    assert!(told.contains("Error from server (NotFound): pods \"two\" not found"), "{told}");
    lab.ok(&["delete", "pod", "one"]);
    assert!(!lab.kubectl(&["get", "pod", "one"]).status.success());
    lab.stop();
}

#[test]
fn kubectl_reads_logs_whole_and_their_tail() {
    let lab = Lab::start();
    lab.run("talker", "seq 1 5; echo last >&2; sleep 1000");
    let mut followed = lab.command(&["logs", "-f", "talker"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(followed.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first: Vec<String> = lines.by_ref().take(6).collect();
    assert!(first.contains(&"last".to_owned()) && first.contains(&"5".to_owned()), "{first:?}");
    assert_eq!(lab.ok(&["logs", "talker"]).lines().count(), 6);
    assert_eq!(lab.ok(&["logs", "talker", "--tail=2"]).lines().count(), 2);
    lab.ok(&["delete", "pod", "talker"]);
    assert_eq!(lines.count(), 0, "a followed log ends with its container");
    assert!(followed.wait().unwrap().success());
    lab.stop();
}

#[test]
fn kubectl_executes_commands_and_passes_on_exit_codes_and_streams() {
    let lab = Lab::start();
    lab.run("shell", WAIT);
    let failed = lab.kubectl(&["exec", "shell", "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((failed.status.code(), failed.stdout.as_slice()), (Some(3), b"out\n".as_slice()));
    assert!(String::from_utf8(failed.stderr).unwrap().starts_with("err\n"));
    let through = lab.with_stdin(&["exec", "-i", "shell", "--", "/bin/cat"], "through and back");
    assert_eq!((through.status.code(), through.stdout.as_slice()), (Some(0), b"through and back".as_slice()));
    let large = lab.kubectl(&["exec", "shell", "--", "/bin/sh", "-c", "seq 1 300000"]);
    assert_eq!(large.stdout.len(), (1..=300_000).map(|number: u32| number.to_string().len() + 1).sum::<usize>());
    assert!(!lab.kubectl(&["exec", "shell", "--", "/no/such"]).status.success());
    lab.stop();
}

#[test]
fn an_ephemeral_container_sees_its_targets_processes_and_ends_with_them() {
    let lab = Lab::start();
    lab.run("target", "trap 'exit 0' USR1; while true; do sleep 1000 & wait; done");
    let container = json!({
        "name": "debugger",
        "image": "localhost/lab/shell:1",
        "command": ["/bin/sh", "-c", WAIT],
        "targetContainerName": "app",
    });
    let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
    lab.ok(&["patch", "pod", "target", "--subresource=ephemeralcontainers", "--type=strategic", "-p", &patch]);
    let until = |what: &str| {
        let state = format!("--for=jsonpath={{.status.ephemeralContainerStatuses[0].state.{what}");
        lab.ok(&["wait", &state, "--timeout=60s", "pod/target"]);
    };
    until("running}");
    let first = lab.ok(&["exec", "target", "-c", "debugger", "--", "/bin/cat", "/proc/1/cmdline"]);
    assert!(first.contains("trap 'exit 0' USR1"), "{first:?}");
    // The command may be gone before it can be told that it succeeded: it is in the namespace that ends.
    lab.kubectl(&["exec", "target", "-c", "debugger", "--", "/bin/sh", "-c", "kill -USR1 1"]);
    until("terminated.exitCode}=137");
    lab.stop();
}

#[test]
fn a_kubectl_in_a_pod_finds_its_cluster_and_is_its_service_account() {
    let lab = Lab::start();
    lab.create(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }));
    lab.create(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    }));
    lab.run_image("localhost/lab/kubectl:1", "inside", WAIT);
    let inside = |words: &[&str]| lab.kubectl(&[&["exec", "inside", "--", "/bin/kubectl"], words].concat());
    let found = inside(&["get", "pod", "inside", "-o", "name"]);
    assert_eq!((found.status.code(), found.stdout.as_slice()), (Some(0), b"pod/inside\n".as_slice()), "{found:?}");
    let refused = inside(&["delete", "pod", "inside"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("\"system:serviceaccount:default:default\" cannot delete"), "{told}");
    lab.stop();
}

#[test]
fn a_cluster_before_1_33_reports_no_users() {
    let lab = Lab::start_with(&["--no-status-user"]);
    lab.run("one", WAIT);
    let pod = lab.json(&["get", "pod", "one", "-o", "json"]);
    let status = &pod["status"]["containerStatuses"][0];
    assert!(status["state"]["running"].is_object() && status.get("user").is_none(), "{status}");
    lab.stop();
}

/// A workload whose pods run a script.
fn workload(kind: &str, name: &str, policy: &str, script: &str) -> Value {
    let mut spec = json!({"template": {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "app", "image": "localhost/lab/shell:1", "command": ["/bin/sh", "-c", script]},
            ],
        },
    }});
    if kind != "Job" {
        spec["selector"] = json!({"matchLabels": {"app": name}});
    }
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[test]
fn workloads_of_every_kind_have_their_pods_and_tell_how_far_they_are() {
    let lab = Lab::start();
    let mut set = workload("StatefulSet", "db", "Always", WAIT);
    set["spec"]["replicas"] = 2.into();
    set["spec"]["serviceName"] = "db".into();
    lab.create(&set);
    lab.create(&workload("DaemonSet", "agent", "Always", WAIT));
    lab.create(&workload("Deployment", "web", "Always", WAIT));
    lab.create(&workload("Job", "good", "Never", "exit 0"));
    let mut bad = workload("Job", "bad", "Never", "exit 1");
    bad["spec"]["backoffLimit"] = 0.into();
    lab.create(&bad);
    for workload in ["sts/db", "ds/agent", "deploy/web"] {
        lab.ok(&["rollout", "status", "--timeout=60s", workload]);
    }
    lab.ok(&["wait", "--for=condition=Complete", "--timeout=60s", "job/good"]);
    lab.ok(&["wait", "--for=condition=Failed", "--timeout=60s", "job/bad"]);
    let pods = |app: &str| lab.json(&["get", "pods", "-l", &format!("app={app}"), "-o", "json"])["items"].take();
    let names: Vec<Value> = pods("db").as_array().unwrap().iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["db-0", "db-1"]);
    for (app, kind) in [("db", "StatefulSet"), ("agent", "DaemonSet"), ("web", "ReplicaSet"), ("good", "Job")] {
        assert_eq!(pods(app)[0]["metadata"]["ownerReferences"][0]["kind"], kind);
    }
    lab.ok(&["delete", "sts", "db"]);
    lab.ok(&["wait", "--for=delete", "--timeout=60s", "pod", "-l", "app=db"]);
    lab.stop();
}
