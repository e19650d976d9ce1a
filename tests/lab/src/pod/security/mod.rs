//! Pod Security admission: the levels `baseline` and `restricted` (version `latest`), that a namespace's label
//! enforces. The whole pod is judged, so an older ephemeral container that breaks the level blocks a new one too.
//!
//! What is checked, in which order and how it is worded: k8s.io/pod-security-admission/policy.

mod baseline;
mod restricted;

use serde_json::Value;

use super::containers;
use crate::meta;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What a check found: the reason, and in parentheses the detail.
struct Finding {
    reason: &'static str,
    detail: String,
}

/// A pod as the checks look at it.
struct Pod<'a> {
    pod: &'a Value,
}

type Check = fn(&Pod<'_>) -> Option<Finding>;

/// Why the pod may not be in the namespace: `violates PodSecurity "restricted:latest": …`.
pub fn violation(namespace: &Value, pod: &Value) -> Option<String> {
    let labels = &namespace["metadata"]["labels"];
    let level = meta::text(labels, ENFORCE);
    let baseline = |replaced_too: bool| {
        baseline::CHECKS.iter().filter(move |(replaced, _)| replaced_too || !replaced).map(|(_, check)| *check)
    };
    let checks: Vec<Check> = match level {
        "baseline" => baseline(true).collect(),
        "restricted" => baseline(false).chain(restricted::CHECKS.iter().copied()).collect(),
        _ => return None,
    };
    let pod = Pod { pod };
    let findings: Vec<String> = checks
        .into_iter()
        .filter_map(|check| check(&pod))
        .map(|finding| format!("{} ({})", finding.reason, finding.detail))
        .collect();
    let version = Some(meta::text(labels, "pod-security.kubernetes.io/enforce-version")).filter(|it| !it.is_empty());
    let version = version.unwrap_or("latest");
    (!findings.is_empty()).then(|| format!("violates PodSecurity \"{level}:{version}\": {}", findings.join(", ")))
}

impl<'a> Pod<'a> {
    fn spec(&self) -> &'a Value {
        &self.pod["spec"]
    }

    fn security_context(&self) -> &'a Value {
        &self.spec()["securityContext"]
    }

    fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        containers(self.pod).map(|(_, container)| container)
    }

    /// The names of the containers for which `bad` holds.
    fn containers_where(&self, bad: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|container| bad(container)).map(|container| meta::text(container, "name")).collect()
    }

    /// `pod`, `container "a"`, `pod and containers "a", "b"`: who sets something that `bad` holds for, in its security
    /// context. Nothing where nobody does.
    fn setters(&self, bad: impl Fn(&Value) -> bool) -> Option<String> {
        let mut setters = Vec::new();
        if bad(self.security_context()) {
            setters.push("pod".to_owned());
        }
        let names = self.containers_where(|container| bad(&container["securityContext"]));
        if !names.is_empty() {
            setters.push(named(&names));
        }
        (!setters.is_empty()).then(|| setters.join(" and "))
    }

    /// The values of a field of the security contexts, sorted, each once.
    fn values(&self, of: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        let contexts = self.containers().map(|container| &container["securityContext"]);
        let mut values: Vec<String> = std::iter::once(self.security_context()).chain(contexts).filter_map(of).collect();
        values.sort();
        values.dedup();
        values
    }
}

/// `container "a"`, `containers "a", "b"`.
fn named(names: &[&str]) -> String {
    format!("{} {}", plural(names.len(), "container", "containers"), quoted(names))
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("{:?}", name.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
