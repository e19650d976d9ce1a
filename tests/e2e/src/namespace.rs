//! Namespaces that go with the test that made them, and the pods in them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::{Cluster, cluster};
use crate::manifest;
use crate::run::{Program, Ran};

/// How long kubectl waits for a pod, as its `--timeout` takes it.
const PATIENCE: &str = "--timeout=100s";

/// A namespace of this test alone. Dropped, it is deleted with everything in it.
#[derive(Debug)]
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// A new namespace without a Pod Security level.
    #[must_use]
    pub fn new() -> Namespace {
        Namespace::labelled(&json!({}))
    }

    /// A new namespace that enforces a Pod Security level.
    #[must_use]
    pub fn enforcing(level: &str) -> Namespace {
        Namespace::labelled(&json!({"pod-security.kubernetes.io/enforce": level}))
    }

    fn labelled(labels: &Value) -> Namespace {
        let name = format!("jattach-e2e-{:012x}", RandomState::new().build_hasher().finish() >> 16);
        let namespace = Namespace { name };
        let manifest = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name, "labels": labels},
        });
        create(cluster().kubectl(), &manifest);
        // Until then a pod is refused.
        namespace.kubectl(["wait", PATIENCE, "--for=create", "serviceaccount/default"]);
        namespace
    }

    /// kubectl in this namespace, which has to succeed.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.kubectl_program().args(arguments).run().succeeded()
    }

    /// kubectl in this namespace.
    #[must_use]
    pub fn kubectl_program(&self) -> Program {
        cluster().kubectl().args(["-n", &self.name])
    }

    /// The plugin in this namespace.
    #[must_use]
    pub fn plugin(&self) -> Program {
        cluster().plugin().args(["-n", &self.name])
    }

    /// The plugin's command line in this namespace, run to its end.
    #[must_use]
    pub fn jattach<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.plugin().args(arguments).run()
    }

    /// Creates whatever it is.
    pub fn create(&self, manifest: &Value) {
        create(self.kubectl_program(), manifest);
    }

    /// Creates a pod and waits until its JVMs say that they are ready.
    #[must_use]
    pub fn start(&self, manifest: &Value) -> Pod<'_> {
        self.create(manifest);
        self.started(manifest)
    }

    /// A pod that was created, once its JVMs say that they are ready.
    ///
    /// # Panics
    /// If the manifest has no name.
    #[must_use]
    pub fn started(&self, manifest: &Value) -> Pod<'_> {
        let pod = self.pod(manifest["metadata"]["name"].as_str().expect("a pod has a name"));
        pod.wait_until_ready(manifest);
        pod
    }

    /// A pod with one JVM under the strictest rules, which runs anywhere.
    #[must_use]
    pub fn start_jvm(&self, name: &str) -> Pod<'_> {
        self.start(&manifest::pod(name, &[manifest::restricted(manifest::jvm("app"))]))
    }

    /// The one pod that a workload has made, once it is there.
    ///
    /// # Panics
    /// If the label selects none or several.
    #[must_use]
    pub fn pod_of(&self, selector: &str) -> Pod<'_> {
        self.kubectl(["wait", PATIENCE, "--for=create", "pod", "-l", selector]);
        let pods = self.kubectl(["get", "pods", "-l", selector, "-o", "json"]).json();
        let names: Vec<_> =
            pods["items"].as_array().into_iter().flatten().map(|pod| &pod["metadata"]["name"]).collect();
        match names[..] {
            [name] => self.pod(name.as_str().expect("a name")),
            _ => panic!("{selector} selects {names:?}"),
        }
    }

    /// A pod that is there already.
    #[must_use]
    pub fn pod(&self, name: &str) -> Pod<'_> {
        Pod { namespace: self, name: name.to_owned() }
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A test that fails is told of by its own words, not by those of the cleaning after it.
        let _ = cluster().kubectl().args(["delete", "namespace", "--wait=false", &self.name]).run();
    }
}

fn create(kubectl: Program, manifest: &Value) {
    // The lab publishes no schema to validate by; every server checks what it is sent.
    let _ = kubectl.args(["create", "--validate=false", "-f", "-"]).stdin(manifest.to_string()).run().succeeded();
}

/// A pod of a namespace.
#[derive(Debug)]
pub struct Pod<'n> {
    pub namespace: &'n Namespace,
    pub name: String,
}

impl Pod<'_> {
    fn wait_until_ready(&self, manifest: &Value) {
        self.namespace.kubectl(["wait", PATIENCE, "--for=condition=Ready", &format!("pod/{}", self.name)]);
        for container in manifest["spec"]["containers"].as_array().into_iter().flatten() {
            if manifest::is_jvm(container) {
                self.wait_for_line(container["name"].as_str().expect("a container has a name"), "ready");
            }
        }
    }

    /// Waits until a container has written a line with that text to its log.
    ///
    /// # Panics
    /// If it ends before.
    pub fn wait_for_line(&self, container: &str, text: &str) -> String {
        let mut log = self.namespace.kubectl_program().args(["logs", "-f", &self.name, "-c", container]).start();
        let line = log.line_with(text);
        line.unwrap_or_else(|| panic!("the log of pod/{} {container} ended without {text:?}", self.name))
    }

    /// Waits for kubectl's condition on the pod, such as `jsonpath={.status.phase}=Running`.
    pub fn wait_for(&self, condition: &str) {
        self.namespace.kubectl(["wait", PATIENCE, &format!("--for={condition}"), &format!("pod/{}", self.name)]);
    }

    /// The plugin's command on this pod, run to its end.
    #[must_use]
    pub fn jattach<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.plugin(arguments).run()
    }

    /// The plugin's command on this pod.
    #[must_use]
    pub fn plugin<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        self.namespace.plugin().arg(format!("pod/{}", self.name)).args(arguments)
    }

    /// The plugin's command on this pod, told no cluster.
    #[must_use]
    pub fn plugin_of_image<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        let program = cluster().plugin_of_image().args(["-n", &self.namespace.name]);
        program.arg(format!("pod/{}", self.name)).args(arguments)
    }

    /// The plugin's command on this pod by another kubeconfig than the given one.
    #[must_use]
    pub fn plugin_by<'a>(&self, kubeconfig: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        self.plugin_of_image([]).arg("--kubeconfig").arg(kubeconfig).args(arguments)
    }

    /// Runs a command in a container of the pod by kubectl.
    #[must_use]
    pub fn exec<'a>(&self, container: &str, command: impl IntoIterator<Item = &'a str>) -> Ran {
        self.namespace.kubectl_program().args(["exec", &self.name, "-c", container, "--"]).args(command).run()
    }

    /// The pod as the API server shows it.
    #[must_use]
    pub fn get(&self) -> Value {
        self.namespace.kubectl(["get", "pod", &self.name, "-o", "json"]).json()
    }

    /// The specs of its ephemeral containers.
    #[must_use]
    pub fn ephemeral_containers(&self) -> Vec<Value> {
        self.get()["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default()
    }

    /// The status of an ephemeral container.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn ephemeral_status(&self, container: &str) -> Value {
        let pod = self.get();
        let statuses = pod["status"]["ephemeralContainerStatuses"].as_array().cloned().unwrap_or_default();
        let status = statuses.into_iter().find(|status| status["name"] == container);
        status.unwrap_or_else(|| panic!("no status of {container} in {pod:#}"))
    }

    /// Ends the pod at once.
    pub fn delete(&self) {
        self.namespace.kubectl(["delete", "pod", &self.name, "--grace-period=0", "--force"]);
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &'static Cluster {
        cluster()
    }
}
