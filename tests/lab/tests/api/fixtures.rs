//! The cluster as it was when the answers were recorded.

use std::{path::Path, sync::Arc};

use jattach_lab::{cluster::Options, lab::Lab};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    client::{As, Client},
    node::ProcessNode,
};

pub(crate) struct Cluster {
    pub client: Client,
    lab: Lab,
    _state: TempDir,
}

pub(crate) fn recording(name: &str) -> Value {
    let path = recordings().join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

pub(crate) fn recordings() -> std::path::PathBuf {
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

impl Cluster {
    /// Namespaces `fx`, `fx-baseline`, `fx-restricted` and `jvms` without anything in them.
    pub(crate) async fn empty() -> Self {
        let state = TempDir::new().unwrap();
        let lab = Lab::start(state.path(), Arc::new(ProcessNode), Options::default()).await.unwrap();
        let cluster = Self { client: Client::of(lab.kubeconfig()), lab, _state: state };
        for (name, level) in [("fx", ""), ("jvms", ""), ("fx-baseline", "baseline"), ("fx-restricted", "restricted")] {
            let mut namespace = json!({"metadata": {"name": name}});
            if !level.is_empty() {
                namespace["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": level});
            }
            cluster.create("/api/v1/namespaces", &namespace).await;
        }
        cluster
    }

    /// The same with the recorded pods, all running.
    pub(crate) async fn with_pods() -> Self {
        let cluster = Self::empty().await;
        let mut shell = pod("shell");
        shell["spec"]["containers"] = json!([{
            "name": "app",
            "image": "jre17:lab",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c", "sleep 100000"],
        }]);
        let mut user = pod("user");
        user["spec"]["containers"][0]["securityContext"] = hardened();
        let mut nonroot = pod("nonroot");
        nonroot["spec"]["securityContext"] = json!({"runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": true});
        let pods = [
            ("fx", pod("root")),
            ("fx", shell),
            ("fx", nonroot),
            ("fx", user.clone()),
            ("fx", pod("w2")),
            ("fx-baseline", user.clone()),
            ("fx-restricted", user),
        ];
        for (namespace, pod) in pods {
            cluster.start(namespace, &pod).await;
        }
        cluster
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

    pub(crate) async fn stop(self) {
        self.lab.shutdown().await;
    }
}
