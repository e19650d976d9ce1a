//! From requests and limits to cgroup values and the kernel's oom_score_adj, by the kubelet's rules.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::error::Result;
use super::quantity;
use super::spec::{CPU_PERIOD_MICROS, Resources};

/// Shares of a cgroup that asks for no CPU: those of every ephemeral container.
const MIN_SHARES: u64 = 2;
const SHARES_PER_CPU: u64 = 1024;
/// CFS takes no quota below a millisecond.
const MIN_QUOTA_MICROS: u64 = 1000;

/// In thousandths of a CPU, and bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    cpu: Option<u64>,
    memory: Option<u64>,
}

struct Requirements {
    requests: Amounts,
    limits: Amounts,
}

impl Requirements {
    /// The API server sets a request that is absent to the limit.
    fn read(resources: Option<&ResourceRequirements>) -> Result<Self> {
        let limits = amounts(resources.and_then(|resources| resources.limits.as_ref()))?;
        let requests = amounts(resources.and_then(|resources| resources.requests.as_ref()))?;
        let requests = Amounts { cpu: requests.cpu.or(limits.cpu), memory: requests.memory.or(limits.memory) };
        Ok(Self { requests, limits })
    }

    fn cgroup(&self) -> Resources {
        Resources {
            memory_limit: self.limits.memory.filter(|bytes| *bytes > 0),
            cpu_quota: self.limits.cpu.filter(|millis| *millis > 0).map(quota),
            cpu_shares: Some(shares(self.requests.cpu.unwrap_or(0))),
        }
    }
}

pub(super) fn of_container(container: &Container) -> Result<Resources> {
    Ok(Requirements::read(container.resources.as_ref())?.cgroup())
}

/// The pod has a limit only where each of its containers has one: then their sum, or what the largest init container
/// needs alone. Limits of the pod itself go first.
pub(super) fn of_pod(spec: &PodSpec) -> Result<Resources> {
    let mut running = Vec::new();
    let mut starting = Vec::new();
    for container in spec.init_containers.iter().flatten() {
        let requirements = Requirements::read(container.resources.as_ref())?;
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        if sidecar { running.push(requirements) } else { starting.push(requirements) }
    }
    for container in &spec.containers {
        running.push(Requirements::read(container.resources.as_ref())?);
    }
    let own = Requirements::read(spec.resources.as_ref())?;
    let total = |pick: fn(&Requirements) -> Option<u64>| -> Option<u64> {
        let sum = running.iter().map(pick).sum::<Option<u64>>()?;
        let largest = starting.iter().map(pick).try_fold(0, |largest, next| Some(next?.max(largest)))?;
        Some(sum.max(largest)).filter(|total| *total > 0)
    };
    let requested: u64 = running.iter().filter_map(|one| one.requests.cpu).sum();
    let pod = Requirements {
        requests: Amounts { cpu: own.requests.cpu.or(Some(requested)), memory: None },
        limits: Amounts {
            cpu: own.limits.cpu.or_else(|| total(|one| one.limits.cpu)),
            memory: own.limits.memory.or_else(|| total(|one| one.limits.memory)),
        },
    };
    Ok(pod.cgroup())
}

/// By QoS class: -997 guaranteed, 1000 best effort, in between by the memory requested as a share of the machine's.
pub(super) fn oom_score_adj(spec: &PodSpec, container: &Container) -> Result<i32> {
    let mut all = Vec::new();
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        all.push(Requirements::read(container.resources.as_ref())?);
    }
    let complete = |amounts: &Amounts| amounts.cpu.is_some() && amounts.memory.is_some();
    if all.iter().all(|one| complete(&one.limits) && one.requests == one.limits) {
        return Ok(-997);
    }
    if all.iter().all(|one| one.requests == Amounts::default() && one.limits == Amounts::default()) {
        return Ok(1000);
    }
    let requested = Requirements::read(container.resources.as_ref())?.requests.memory.unwrap_or(0);
    let share = 1000 * u128::from(requested) / u128::from(machine_memory().max(1));
    Ok((1000 - i32::try_from(share).unwrap_or(1000)).clamp(3, 999))
}

fn machine_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(u64::MAX >> 10) << 10
}

fn amounts(list: Option<&BTreeMap<String, Quantity>>) -> Result<Amounts> {
    let named = |name: &str| list.and_then(|list| list.get(name));
    Ok(Amounts {
        cpu: named("cpu").map(|value| quantity::millis("cpu", value)).transpose()?,
        memory: named("memory").map(|value| quantity::units("memory", value)).transpose()?,
    })
}

fn shares(millis: u64) -> u64 {
    (millis * SHARES_PER_CPU / 1000).max(MIN_SHARES)
}

fn quota(millis: u64) -> u64 {
    (millis * CPU_PERIOD_MICROS / 1000).max(MIN_QUOTA_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> PodSpec {
        serde_json::from_value(json).expect("a pod's spec")
    }

    #[test]
    fn a_pods_limit_is_the_sum_where_every_container_has_one() {
        let spec = spec(serde_json::json!({"containers": [
            {"name": "a", "resources": {"limits": {"memory": "384Mi", "cpu": "1"}}},
            {"name": "b", "resources": {"limits": {"memory": "16Mi"}, "requests": {"cpu": "250m"}}}]}));
        let pod = of_pod(&spec).unwrap();
        assert_eq!(pod, Resources { memory_limit: Some(400 << 20), cpu_quota: None, cpu_shares: Some(1280) });
    }

    #[test]
    fn a_container_without_requests_gets_the_least_shares_and_no_limit() {
        let spec = spec(serde_json::json!({"containers": [{"name": "a"}]}));
        let least = Resources { cpu_shares: Some(2), ..Resources::default() };
        assert_eq!(of_container(&spec.containers[0]).unwrap(), least);
        assert_eq!(of_pod(&spec).unwrap(), least);
    }

    #[test]
    fn the_oom_score_follows_the_qos_class() {
        let guaranteed = spec(serde_json::json!({"containers": [
            {"name": "a", "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}]}));
        let burstable = spec(serde_json::json!({"containers": [
            {"name": "a", "resources": {"limits": {"memory": "1Mi"}}}]}));
        let best_effort = spec(serde_json::json!({"containers": [{"name": "a"}]}));
        assert_eq!(oom_score_adj(&guaranteed, &guaranteed.containers[0]).unwrap(), -997);
        assert_eq!(oom_score_adj(&burstable, &burstable.containers[0]).unwrap(), 999);
        assert_eq!(oom_score_adj(&best_effort, &best_effort.containers[0]).unwrap(), 1000);
    }
}
