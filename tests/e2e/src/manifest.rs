//! Manifests, as plain JSON that a test changes where it needs something special.

use serde_json::{Value, json};

use crate::cluster::cluster;

/// What a JVM image has under its name in passwd, and what most people run as: any number.
pub const USER: u32 = 10001;

/// A pod with these containers, which ends at once when it is deleted.
#[must_use]
pub fn pod(name: &str, containers: &[Value]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec(containers),
    })
}

fn spec(containers: &[Value]) -> Value {
    // Nothing in these pods asks the API server anything.
    json!({
        "containers": containers,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
    })
}

/// A workload whose one pod runs this container. `kind` as in `apps/v1` or `batch/v1`.
#[must_use]
pub fn workload(kind: &str, name: &str, container: &Value) -> Value {
    let mut spec = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": self::spec(std::slice::from_ref(container))},
    });
    let group = match kind {
        "Job" => {
            // A job makes its own selector.
            spec.as_object_mut().expect("an object").remove("selector");
            spec["template"]["spec"]["restartPolicy"] = json!("Never");
            spec["backoffLimit"] = json!(0);
            "batch/v1"
        }
        "StatefulSet" => {
            spec["serviceName"] = json!(name);
            "apps/v1"
        }
        _ => "apps/v1",
    };
    if kind != "Job" && kind != "DaemonSet" {
        spec["replicas"] = json!(1);
    }
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// The application in a JVM, as the image starts it.
#[must_use]
pub fn jvm(name: &str) -> Value {
    java(name, &["-cp", "/app", "App"])
}

/// The application with more words of its own.
#[must_use]
pub fn jvm_with(name: &str, words: &[&str]) -> Value {
    java(name, &[&["-cp", "/app", "App"], words].concat())
}

/// java with these arguments. Its heap is small: many such pods run at once.
#[must_use]
pub fn java(name: &str, arguments: &[&str]) -> Value {
    let command = [&["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"], arguments].concat();
    container(name, &cluster().jvm_image, &command)
}

/// A container of any of the images.
#[must_use]
pub fn container(name: &str, image: &str, command: &[&str]) -> Value {
    json!({"name": name, "image": image, "imagePullPolicy": cluster().pull_policy, "command": command})
}

/// Something that runs and is no JVM: the injector's own image is on every cluster that these tests run on.
#[must_use]
pub fn no_jvm(name: &str) -> Value {
    container(name, &cluster().injector_image, &["/injector", "hold"])
}

/// The container as the Pod Security level "restricted" wants it, as [`USER`].
#[must_use]
pub fn restricted(mut container: Value) -> Value {
    container["securityContext"] = json!({
        "runAsUser": USER,
        "runAsGroup": USER,
        "runAsNonRoot": true,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    container
}

/// The container with an emptyDir of that name mounted there; the pod needs the volume: [`with_volume`].
#[must_use]
pub fn mounting(mut container: Value, volume: &str, path: &str) -> Value {
    container["volumeMounts"] = json!([{"name": volume, "mountPath": path}]);
    container
}

/// The pod with an emptyDir of that name.
#[must_use]
pub fn with_volume(mut pod: Value, volume: &str) -> Value {
    pod["spec"]["volumes"] = json!([{"name": volume, "emptyDir": {}}]);
    pod
}

/// Whether the container runs the application, which says "ready".
#[must_use]
pub fn is_jvm(container: &Value) -> bool {
    let words = container["command"].as_array().into_iter().chain(container["args"].as_array()).flatten();
    words.filter_map(Value::as_str).any(|word| word == "App" || word.contains("-cp /app App"))
}
