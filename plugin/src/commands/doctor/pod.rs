//! What the pod itself tells: pure functions of its spec and status.

use std::time::Duration;

use jattach_protocol::message::{DUMP_WINDOW, MOST_OF_LIMITED, Memory};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use super::report::Verdict;
use crate::catalogue::Id;
use crate::commands::dumpheap::pause_of;
use crate::error::Failure;
use crate::render::progress::size;
use crate::target::{
    Budgets, Target, quantity, refuses_other_os, refuses_static, spec_of, status_of, storage_limit, vanished,
};

/// Where HotSpot and everybody who attaches to it meet, whatever java.io.tmpdir says.
const TMP: &str = "/tmp";

const GIB: u64 = 1 << 30;

/// What a command takes of the pod's memory: the injector up to 16 MiB, the JVM about as much to answer.
const NEEDED: u64 = 32 << 20;

/// Whether pod and container run. What they run on is another check.
pub(super) fn state(target: &Target) -> Verdict {
    let Target { pod, container, .. } = target;
    let is_elsewhere = refuses_static(pod).is_some() || refuses_other_os(pod).is_some();
    match vanished(pod, container).filter(|_| !is_elsewhere) {
        Some(failure) => failure.into(),
        None => Verdict::Ok(format!("pod/{}, container \"{container}\"", target.pod_name())),
    }
}

/// What became of the image where an earlier injector was started from it; `None` where none was.
pub(super) fn image(pod: &Pod, image: &str) -> Option<Verdict> {
    let containers = pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
    let tried = containers.filter(|container| container.image.as_deref() == Some(image));
    let statuses: Vec<_> = tried.filter_map(|container| status_of(pod, &container.name)).collect();
    if let Some(pulled) = statuses.iter().find(|status| !status.image_id.is_empty()) {
        return Some(Verdict::Ok(format!("the node has the image: {} was started from it", pulled.name)));
    }
    let waiting = statuses.iter().find_map(|status| status.state.as_ref()?.waiting.as_ref())?;
    let words = [&waiting.reason, &waiting.message].map(|words| words.as_deref().unwrap_or_default());
    Some(Verdict::warn(
        format!("an earlier container waits for its start from this image: {}", words.join(" ")),
        "name another --image, or mirror it to where the node pulls from",
    ))
}

/// `inside`: no container is added to it (--via=exec).
pub(super) fn static_pod(target: &Target, inside: bool) -> Verdict {
    if inside && refuses_static(&target.pod).is_some() {
        return Verdict::Ok("yes, and --via=exec adds no container to it".to_owned());
    }
    refuses_static(&target.pod).map_or_else(|| Verdict::Ok("no".to_owned()), Verdict::Fail)
}

pub(super) fn node_os(target: &Target) -> Verdict {
    refuses_other_os(&target.pod)
        .map_or_else(|| Verdict::Ok("not Windows, by the pod's spec".to_owned()), Verdict::Fail)
}

/// Whether the container's spec leaves /tmp writable. What the image's own /tmp allows is not in it.
pub(super) fn tmp(target: &Target) -> Verdict {
    let Some(container) = spec_of(&target.pod, &target.container) else { return unknown() };
    let mount = mount_at_tmp(container);
    let context = container.security_context.as_ref();
    let is_read_only = context.and_then(|context| context.read_only_root_filesystem) == Some(true);
    let evidence = match mount {
        Some(mount) if mount.read_only == Some(true) => format!("volume \"{}\" is mounted there readOnly", mount.name),
        Some(mount) => return Verdict::Ok(format!("volume \"{}\" is mounted there", mount.name)),
        None if is_read_only => "readOnlyRootFilesystem, and no volume is mounted there".to_owned(),
        None => return Verdict::Ok("nothing in the pod's spec forbids it".to_owned()),
    };
    Failure::new(Id::TmpNotWritable, "the JVM cannot make its socket: /tmp is not writable")
        .evidence(evidence)
        .remedy("mount an emptyDir at /tmp, in the workload's pod template")
        .into()
}

fn mount_at_tmp(container: &Container) -> Option<&VolumeMount> {
    container.volume_mounts.iter().flatten().find(|mount| mount.mount_path.trim_end_matches('/') == TMP)
}

/// What the emptyDir at the container's /tmp may hold at the most, in bytes: above that the kubelet evicts the pod.
pub(super) fn tmp_limit(target: &Target) -> Option<u64> {
    let mount = mount_at_tmp(spec_of(&target.pod, &target.container)?)?;
    let mut volumes = target.pod.spec.as_ref()?.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == mount.name)?;
    quantity(&volume.empty_dir.as_ref()?.size_limit.as_ref()?.0)
}

/// What may wait in the pod for a slow client.
pub(super) fn storage(target: &Target) -> Verdict {
    // A quarter, as the injector reckons.
    match storage_limit(&target.pod) {
        0 => Verdict::Ok("no container has a limit".to_owned()),
        limit if limit / 4 < DUMP_WINDOW => Verdict::warn(
            format!("{}, of which {} are for a dump: then the JVM waits", size(limit), size(limit / 4)),
            "run dumpheap close to the cluster, or raise the limit",
        ),
        limit => Verdict::Ok(format!(
            "{}, of which a dump takes up to {}",
            size(limit),
            size(MOST_OF_LIMITED.min(limit / 4))
        )),
    }
}

/// The container's limit, what is left of it where its control group could be `seen`, and whether it has been too little
/// before. The injector counts against the pod.
pub(super) fn memory(target: &Target, seen: Option<Memory>) -> Verdict {
    let limit = seen.map(|seen| seen.limit).filter(|limit| *limit != 0).or_else(|| memory_limit(target));
    let left = seen.zip(limit).map(|(seen, limit)| limit.saturating_sub(seen.used));
    let words = match (seen, limit, left) {
        (_, Some(limit), Some(left)) => format!("{} free of the container's {}", size(left), size(limit)),
        (Some(seen), ..) => format!("{} in use, no limit", size(seen.used)),
        (None, Some(limit), _) => format!("limit {}; how much of it is free is unknown", size(limit)),
        (None, None, _) => "no limit; how much is in use is unknown".to_owned(),
    };
    let last = status_of(&target.pod, &target.container).and_then(|status| status.last_state.as_ref());
    let killed =
        last.and_then(|state| state.terminated.as_ref()).filter(|end| end.reason.as_deref() == Some("OOMKilled"));
    match killed {
        Some(end) => {
            let when = end.finished_at.as_ref().map(|time| format!(" at {}", time.0)).unwrap_or_default();
            Verdict::warn(
                format!("{words}, and the container before this one was OOMKilled{when}"),
                "little may be left for what a command takes in the JVM: raise the limit, or try on another replica",
            )
        }
        None if left.is_some_and(|left| left < NEEDED) => Verdict::warn(
            words,
            format!("a command takes up to {} of it: raise the limit, or try on another replica", size(NEEDED)),
        ),
        None => Verdict::Ok(words),
    }
}

/// How large a heap may be, so that its dump ends before a probe acts.
pub(super) fn probes(target: &Target) -> Verdict {
    let Some(container) = spec_of(&target.pod, &target.container) else { return unknown() };
    let Budgets { liveness, readiness } = Budgets::of(container);
    let told = [("liveness", liveness), ("readiness", readiness)].into_iter().filter_map(|(name, budget)| {
        let budget = budget?;
        Some(format!("{name} allows {} s (a heap of {})", budget.as_secs(), size(dumped_within(budget))))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() {
        return Verdict::Ok("none of them acts on a pause".to_owned());
    }
    match (liveness, memory_limit(target)) {
        (Some(liveness), Some(limit)) if dumped_within(liveness) < limit => Verdict::warn(
            told,
            format!(
                "the memory limit of {} allows a larger heap, and the kubelet would end the container during its dump: \
                 raise failureThreshold before",
                size(limit)
            ),
        ),
        _ => Verdict::Ok(told),
    }
}

/// The room for a dump where it goes without a FILE.
pub(super) fn free_here(free: std::io::Result<u64>, target: &Target) -> Verdict {
    match (free, memory_limit(target)) {
        (Err(error), _) => Verdict::Skipped(format!("the disk does not tell: {error}")),
        (Ok(free), Some(limit)) if free < limit => Verdict::warn(
            format!("{} in this directory, and the container may have {} of memory", size(free), size(limit)),
            "give dumpheap a FILE on a disk with more room",
        ),
        (Ok(free), _) => Verdict::Ok(format!("{} in this directory", size(free))),
    }
}

fn unknown() -> Verdict {
    Verdict::Skipped("the pod's spec has no such container any more".to_owned())
}

fn memory_limit(target: &Target) -> Option<u64> {
    let container: &Container = spec_of(&target.pod, &target.container)?;
    quantity(&container.resources.as_ref()?.limits.as_ref()?.get("memory")?.0)
}

/// The most bytes of heap whose dump of live objects takes no longer.
fn dumped_within(budget: Duration) -> u64 {
    let of_one = pause_of(GIB, true).as_millis().max(1);
    u64::try_from(budget.as_millis() * u128::from(GIB) / of_one).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use serde_json::{Value, json};

    fn target(container: Value, change: impl FnOnce(&mut Value)) -> Target {
        let mut pod = json!({
            "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "app"}]},
            "status": {"containerStatuses": [
                {"name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0},
            ]},
        });
        let Value::Object(fields) = container else { panic!("no fields: {container}") };
        pod["spec"]["containers"][0].as_object_mut().expect("a container").extend(fields);
        change(&mut pod);
        let pod = serde_json::from_value(pod).expect("a pod");
        Target { namespace: "shop".into(), pod, container: "app".into(), pid: None }
    }

    fn of(container: Value) -> Target {
        target(container, |_| ())
    }

    /// Its first word in a report, and what it says.
    fn seen(verdict: Verdict) -> (&'static str, String) {
        match verdict {
            Verdict::Ok(text) => ("ok", text),
            Verdict::Warn { text, .. } => ("warn", text),
            Verdict::Fail(failure) => ("fail", format!("{failure}")),
            Verdict::Skipped(why) => ("skip", why),
        }
    }

    #[test]
    fn a_static_pod_and_one_on_windows_fail() {
        let mirror = target(json!({}), |pod| {
            pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "abc"});
        });
        assert!(matches!(static_pod(&mirror, false), Verdict::Fail(failure) if failure.exit() == Exit::Target));
        assert_eq!(seen(static_pod(&mirror, true)).0, "ok", "--via=exec asks it for nothing that it has not");
        let windows = target(json!({}), |pod| pod["spec"]["os"] = json!({"name": "windows"}));
        assert!(matches!(node_os(&windows), Verdict::Fail(failure) if failure.exit() == Exit::Target));
        let usual = of(json!({}));
        assert_eq!((seen(static_pod(&usual, false)).0, seen(node_os(&usual)).0), ("ok", "ok"));
    }

    #[test]
    fn where_it_runs_is_no_matter_of_whether_it_runs() {
        let running = |pod: &mut Value| {
            pod["status"]["phase"] = json!("Running");
            pod["status"]["containerStatuses"][0]["state"] = json!({"running": {}});
        };
        assert_eq!(seen(state(&target(json!({}), running))).0, "ok");
        assert_eq!(seen(state(&of(json!({})))).0, "fail");
        let windows = target(json!({}), |pod| {
            running(pod);
            pod["spec"]["os"] = json!({"name": "windows"});
        });
        assert_eq!(seen(state(&windows)).0, "ok");
    }

    #[test]
    fn an_earlier_start_tells_whether_the_image_can_be_had() {
        let tried = |status: Value| {
            let of_it = target(json!({}), |pod| {
                pod["spec"]["ephemeralContainers"] = json!([{"name": "jattach-bcdfg", "image": "r.example/i:1"}]);
                let mut known = json!({
                    "name": "jattach-bcdfg", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                });
                let Value::Object(fields) = status else { panic!("no fields: {status}") };
                known.as_object_mut().expect("a status").extend(fields);
                pod["status"]["ephemeralContainerStatuses"] = json!([known]);
            });
            (image(&of_it.pod, "r.example/i:1").map(seen), image(&of_it.pod, "r.example/i:2").map(seen))
        };
        let (same, other) = tried(json!({"imageID": "sha256:1", "state": {"terminated": {"exitCode": 0}}}));
        assert_eq!((same.map(|seen| seen.0), other), (Some("ok"), None));
        let (same, _) = tried(json!({"state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}));
        let (result, text) = same.expect("a verdict");
        assert_eq!(result, "warn");
        assert!(text.ends_with("ErrImagePull no such host"), "{text}");
        assert_eq!(tried(json!({"state": {"waiting": {}}})).0.map(|seen| seen.0), Some("warn"));
    }

    #[test]
    fn tmp_has_to_be_writable_by_the_spec() {
        let sealed = json!({"readOnlyRootFilesystem": true});
        let mount = |path: &str, read_only: bool| json!([{"name": "v", "mountPath": path, "readOnly": read_only}]);
        for (container, expected) in [
            (json!({}), "ok"),
            (json!({"securityContext": sealed}), "fail"),
            (json!({"securityContext": sealed, "volumeMounts": mount("/tmp", false)}), "ok"),
            (json!({"securityContext": sealed, "volumeMounts": mount("/tmp/", false)}), "ok"),
            (json!({"securityContext": sealed, "volumeMounts": mount("/tmp", true)}), "fail"),
            (json!({"securityContext": sealed, "volumeMounts": mount("/tmp/cache", false)}), "fail"),
            (json!({"volumeMounts": mount("/tmp", true)}), "fail"),
        ] {
            let (result, text) = seen(tmp(&of(container.clone())));
            assert_eq!(result, expected, "{container}: {text}");
        }
        assert!(matches!(tmp(&of(json!({"securityContext": sealed}))), Verdict::Fail(f) if f.exit() == Exit::Attach));
    }

    #[test]
    fn a_small_storage_limit_is_warned_of() {
        let limited = |limit: &str| seen(storage(&of(json!({"resources": {"limits": {"ephemeral-storage": limit}}}))));
        assert_eq!(seen(storage(&of(json!({})))).0, "ok");
        assert_eq!(limited("2Gi"), ("ok", "2.00 GiB, of which a dump takes up to 512.00 MiB".to_owned()));
        assert_eq!(limited("64Gi"), ("ok", "64.00 GiB, of which a dump takes up to 1.00 GiB".to_owned()));
        let (result, text) = limited("64Mi");
        assert_eq!(result, "warn");
        assert!(text.contains("64.00 MiB") && text.contains("16.00 MiB"), "{text}");
    }

    #[test]
    fn a_container_that_was_out_of_memory_before_is_warned_of() {
        let killed = |reason: &str| {
            let limits = json!({"resources": {"limits": {"memory": "512Mi"}}});
            seen(memory(
                &target(limits, |pod| {
                    pod["status"]["containerStatuses"][0]["lastState"] = json!({
                        "terminated": {"exitCode": 137, "reason": reason, "finishedAt": "2026-11-23T09:03:44Z"},
                    });
                }),
                None,
            ))
        };
        let (result, text) = killed("OOMKilled");
        assert_eq!(result, "warn");
        assert!(text.contains("512.00 MiB") && text.contains("2026-11-23T09:03:44Z"), "{text}");
        assert_eq!(killed("Error").0, "ok");
        assert_eq!(seen(memory(&of(json!({})), None)).0, "ok");
    }

    #[test]
    fn what_is_left_of_the_memory_is_told_and_too_little_of_it_warned_of() {
        let limited = of(json!({"resources": {"limits": {"memory": "512Mi"}}}));
        let of_group = |used: u64, limit: u64| Some(Memory { used: used << 20, limit: limit << 20 });
        for (target, known, expected) in [
            (&limited, of_group(312, 512), ("ok", "200.00 MiB free of the container's 512.00 MiB")),
            (&limited, of_group(500, 512), ("warn", "12.00 MiB free of the container's 512.00 MiB")),
            (&limited, of_group(600, 512), ("warn", "0 B free of the container's 512.00 MiB")),
            // The group's limit is what counts; where that is not to be seen, the spec's.
            (&limited, of_group(100, 256), ("ok", "156.00 MiB free of the container's 256.00 MiB")),
            (&limited, of_group(312, 0), ("ok", "200.00 MiB free of the container's 512.00 MiB")),
            (&limited, None, ("ok", "limit 512.00 MiB; how much of it is free is unknown")),
            (&of(json!({})), of_group(312, 0), ("ok", "312.00 MiB in use, no limit")),
        ] {
            let (result, text) = seen(memory(target, known));
            assert_eq!((result, &*text), expected);
        }
    }

    #[test]
    fn a_heap_that_the_limit_allows_and_liveness_does_not_is_warned_of() {
        let probed = |limit: &str, probe: &str| {
            let container = json!({probe: {"httpGet": {"port": 8080}}, "resources": {"limits": {"memory": limit}}});
            seen(probes(&of(container)))
        };
        assert_eq!(seen(probes(&of(json!({})))).0, "ok");
        assert_eq!(probed("512Mi", "livenessProbe").0, "ok");
        let (result, text) = probed("64Gi", "livenessProbe");
        assert_eq!(result, "warn", "{text}");
        assert!(text.starts_with("liveness allows 21 s (a heap of 3."), "{text}");
        assert_eq!(probed("64Gi", "readinessProbe").0, "ok", "it kills nobody");
    }

    #[test]
    fn less_room_here_than_the_container_has_memory_is_warned_of() {
        let limited = of(json!({"resources": {"limits": {"memory": "4Gi"}}}));
        assert_eq!(seen(free_here(Ok(3 << 30), &limited)).0, "warn");
        assert_eq!(seen(free_here(Ok(5 << 30), &limited)).0, "ok");
        assert_eq!(seen(free_here(Ok(1), &of(json!({})))).0, "ok");
        assert_eq!(seen(free_here(Err(std::io::ErrorKind::Unsupported.into()), &limited)).0, "skip");
    }
}
