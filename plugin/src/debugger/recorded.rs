//! What an API server really answered (tests/recordings), for the tests of this module.

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use kube::core::Status;
use serde_json::{Value, json};

use crate::client::explain::CallError;
use crate::options::{Injector, Profile};
use crate::target::Target;

/// A recording by its name.
pub(super) fn recording(name: &str) -> Value {
    let path = format!("{}/../tests/recordings/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The pod of a recorded answer, with its container "app" as the target.
pub(super) fn target(name: &str) -> Target {
    let pod: Pod = serde_json::from_value(recording(name)["response"]["body"].clone()).unwrap();
    target_of(pod)
}

/// Container "app" of a pod.
pub(super) fn target_of(pod: Pod) -> Target {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    Target { namespace, pod, container: "app".to_owned(), pid: None }
}

/// A target with nothing but its names.
pub(super) fn target_named(namespace: &str, pod: &str) -> Target {
    let pod = json!({"metadata": {"name": pod, "namespace": namespace}, "spec": {"containers": [{"name": "app"}]}});
    target_of(serde_json::from_value(pod).unwrap())
}

/// The target's pod at an event of a recorded watch.
pub(super) fn pod_at(event: &Value, target: &Target) -> Pod {
    let mut pod = target.pod.clone();
    let status = pod.status.as_mut().unwrap();
    status.phase = event["phase"].as_str().map(str::to_owned);
    status.ephemeral_container_statuses = serde_json::from_value(event["ephemeralContainerStatuses"].clone()).unwrap();
    pod
}

/// The error that kube makes of a recorded refusal.
pub(super) fn refused(recording: &Value) -> CallError {
    let response = &recording["response"];
    let status = match &response["body"] {
        Value::String(text) => {
            let code = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
            Status::failure(text, "Failed to parse error data").with_code(code)
        }
        body => serde_json::from_value(body.clone()).unwrap(),
    };
    kube::Error::Api(status.boxed()).into()
}

/// The container of a recorded patch.
pub(super) fn patched(recording: &Value) -> EphemeralContainer {
    let container = &recording["request"]["body"]["spec"]["ephemeralContainers"][0];
    serde_json::from_value(container.clone()).unwrap()
}

/// The options that name an injector.
pub(super) fn injector(image: &str) -> Injector {
    let ttl = std::time::Duration::from_secs(600);
    Injector {
        image: image.to_owned(),
        image_from: crate::options::Source::Flag,
        pull_policy: None,
        dry_run: None,
        ttl,
        wait: false,
        profile: Profile::Auto,
        run_as_user: None,
        run_as_group: None,
        custom: None,
        via: None,
    }
}
