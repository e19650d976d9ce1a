//! The cluster as it was when the answers were recorded.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use jattach_lab::{
    cluster::Options,
    image::{
        ImageStore,
        testing::{ImageBuilder, Layer},
    },
    lab::Lab,
    runtime::{Config, Runtime, SeccompDefault},
};
use serde_json::{Value, json};

use super::client::{As, Client};

pub(crate) struct Cluster {
    pub client: Client,
}

pub(crate) fn recording(name: &str) -> Value {
    let path = recordings().join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../recordings")
}

/// What the recorded pods ran as where they did not run as root.
fn hardened() -> Value {
    json!({
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "runAsNonRoot": true,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app",
                "image": "jre17:lab",
                "imagePullPolicy": "IfNotPresent",
                "args": ["-Xmx64m", "-cp", "/app", "App"],
                "env": [{"name": "HEAP_MB", "value": "4"}],
            }],
        },
    })
}

/// The recorded pod of that namespace and name.
fn recorded_pod(namespace: &str, name: &str) -> Value {
    let mut pod = pod(name);
    let spec = &mut pod["spec"];
    match (namespace, name) {
        (_, "user") => spec["containers"][0]["securityContext"] = hardened(),
        ("fx", "root" | "w2") => {}
        ("fx", "nonroot") => {
            spec["securityContext"] = json!({"runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": true});
        }
        ("fx", "shell") => {
            spec["containers"] = json!([{
                "name": "app",
                "image": "jre17:lab",
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "sleep 100000"],
            }]);
        }
        // As a kubelet marks what it has read from a file.
        ("fx", "static-realnode") => {
            pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "d41d8cd98f00b204e9800998ecf8427e"});
        }
        _ => panic!("no pod {namespace}/{name} was recorded"),
    }
    pod
}

/// The images of the recordings by name only: where the JVM was is a shell that sleeps whatever its arguments are, and
/// where the injector was is a program that ends at once.
fn images() -> &'static Path {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api-images");
        std::fs::create_dir_all(&directory).unwrap();
        let write = |name: &str, config: Value, layers: &[Layer]| {
            let image = ImageBuilder::new(&format!("docker.io/library/{name}:lab")).config(config).layers(layers);
            image.write(&directory.join(format!("{name}.tar")));
        };
        let sleeps = json!({"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sh", "-c", "exec sleep 100000"]});
        write("jre17", sleeps, &[Layer::busybox()]);
        let ends = Layer::new().file_with_mode("bin/jattach", 0o755, b"#!/bin/sh\n");
        write("jattach", json!({"Env": ["PATH=/bin"]}), &[Layer::busybox(), ends]);
        directory
    })
}

/// Runs a test in a cluster of its own, which is removed however the test ends. It has the namespaces `fx`,
/// `fx-baseline`, `fx-restricted` and `jvms`, and the recorded pods that are named (`NAMESPACE/NAME`), all running.
pub(crate) async fn in_cluster<F: Future<Output = ()> + Send + 'static>(
    pods: &[&str],
    test: impl FnOnce(Arc<Cluster>) -> F,
) {
    let state = tempfile::tempdir().unwrap();
    let config = Config {
        state: state.path().join("runtime"),
        images: ImageStore::open(images(), &state.path().join("images")).unwrap(),
        seccomp_default: SeccompDefault::default(),
        pause_program: env!("CARGO_BIN_EXE_lab-pause").into(),
    };
    let runtime = Runtime::start(config).await.expect("a runtime (root, runc)");
    let lab = Lab::start(state.path(), runtime.clone(), Options::default()).await.unwrap();
    let cluster = Arc::new(Cluster { client: Client::of(lab.kubeconfig()) });
    let pods: Vec<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
    let prepared = cluster.clone();
    let result = match tokio::spawn(async move { prepared.prepare(&pods).await }).await {
        Ok(()) => tokio::spawn(test(cluster)).await,
        failed => failed,
    };
    lab.shutdown().await;
    runtime.shutdown().await.expect("a clean end");
    if let Err(failed) = result {
        std::panic::resume_unwind(failed.into_panic());
    }
}

impl Cluster {
    async fn prepare(&self, pods: &[String]) {
        for (name, level) in [("fx", ""), ("jvms", ""), ("fx-baseline", "baseline"), ("fx-restricted", "restricted")] {
            let mut namespace = json!({"metadata": {"name": name}});
            if !level.is_empty() {
                namespace["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": level});
            }
            self.create("/api/v1/namespaces", &namespace).await;
        }
        let pods = pods.iter().map(|pod| pod.split_once('/').expect("NAMESPACE/NAME"));
        futures::future::join_all(pods.map(async |(namespace, name)| {
            self.start(namespace, &recorded_pod(namespace, name)).await;
        }))
        .await;
    }

    /// Creates a pod and waits until it runs.
    pub(crate) async fn start(&self, namespace: &str, pod: &Value) {
        let list = format!("/api/v1/namespaces/{namespace}/pods");
        self.create(&list, pod).await;
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.until(&format!("{list}?watch=true&fieldSelector=metadata.name%3D{name}"), |pod| {
            pod["status"]["containerStatuses"][0]["ready"] == true
        })
        .await;
    }

    /// Watches until an object is as it should be; that object.
    pub(crate) async fn until(&self, path: &str, mut right: impl FnMut(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        self.client
            .watch(path, |event| {
                found = event["object"].clone();
                right(&event["object"])
            })
            .await;
        found
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Value {
        let (status, answer) = self.client.request(&As::Admin, "POST", path, "application/json", object).await;
        assert_eq!(status, 201, "{path}: {answer}");
        answer
    }

    pub(crate) async fn strategic_patch(&self, path: &str, patch: &Value) {
        let media_type = "application/strategic-merge-patch+json";
        let (status, answer) = self.client.request(&As::Admin, "PATCH", path, media_type, patch).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// A token of a new service account in `fx` that may do what `rules` say.
    pub(crate) async fn account(&self, name: &str, rules: &Value) -> As {
        self.create("/api/v1/namespaces/fx/serviceaccounts", &json!({"metadata": {"name": name}})).await;
        if rules.as_array().is_some_and(|rules| !rules.is_empty()) {
            let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/fx";
            self.create(&format!("{rbac}/roles"), &json!({"metadata": {"name": name}, "rules": rules})).await;
            let binding = json!({
                "metadata": {"name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "fx"}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            });
            self.create(&format!("{rbac}/rolebindings"), &binding).await;
        }
        let path = format!("/api/v1/namespaces/fx/serviceaccounts/{name}/token");
        let token = self.create(&path, &json!({"spec": {"audiences": []}})).await;
        As::Token(token["status"]["token"].as_str().unwrap().to_owned())
    }
}
