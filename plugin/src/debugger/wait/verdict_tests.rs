//! The recorded watch streams, event by event.

use super::*;
use crate::catalogue::seen::assert_seen;
use crate::debugger::recorded::{pod_at, recording, target};
use serde_json::{Value, json};

/// What each event of a recording says of a container, the last word of it as the failure's whole text.
fn verdicts(name: &str, container: &str) -> Vec<String> {
    let target = target("pod-get-user");
    let events = recording(name)["events"].as_array().unwrap().clone();
    events
        .iter()
        .map(|event| shown(&judge(&pod_at(event, &target), &target, container, "r.example/injector:1")))
        .collect()
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Running => "running".to_owned(),
        Verdict::Wait => "wait".to_owned(),
        Verdict::Doubt(doubt) => format!("doubt {}", doubt.reason),
        Verdict::Failed(failure) => format!("{} {failure}", failure.exit() as u8),
    }
}

#[test]
fn a_container_that_starts_is_waited_for_and_no_longer() {
    let verdicts = verdicts("watch-ephemeral-ok", "jattach-a");
    assert_eq!(verdicts[..4], ["wait", "wait", "wait", "running"]);
    assert!(
        verdicts[4].starts_with("5 the injector ended as soon as it had started\n  evidence: Completed, exit code 0")
    );
}

#[test]
fn a_registry_that_does_not_exist_is_told_at_the_first_failed_pull() {
    let verdicts = verdicts("watch-ephemeral-image-pull-failure", "jattach-pull");
    assert_eq!(verdicts[..3], ["wait", "wait", "wait"]);
    assert!(
        verdicts[3].starts_with(
            "5 the node cannot pull the injector's image r.example/injector:1\n  evidence: ErrImagePull: "
        )
    );
    assert!(verdicts[3].contains("no such host") && verdicts[3].contains("remedy: copy the image"), "{}", verdicts[3]);
    assert!(verdicts[4].contains("ImagePullBackOff"));
}

#[test]
fn an_image_that_may_not_be_pulled_is_told_at_once() {
    let verdicts = verdicts("watch-ephemeral-image-never-present", "jattach-never");
    assert_eq!(verdicts[..3], ["wait", "wait", "wait"]);
    assert!(
        verdicts[3].starts_with("5 the injector's image r.example/injector:1 is not on the node"),
        "{}",
        verdicts[3]
    );
    assert!(verdicts[3].contains("--image-pull-policy IfNotPresent"), "{}", verdicts[3]);
}

#[test]
fn a_configuration_that_the_node_refuses_is_told_at_once() {
    let verdicts = verdicts("watch-ephemeral-runasnonroot-rootimage", "jattach-nr");
    assert!(verdicts[3].contains("CreateContainerConfigError: container has runAsNonRoot"), "{}", verdicts[3]);
}

#[test]
fn an_image_without_the_injector_is_told_at_once() {
    let verdicts = verdicts("watch-ephemeral-bad-command", "jattach-nocmd");
    assert!(verdicts[3].starts_with("5 the node cannot start the injector's container"), "{}", verdicts[3]);
    assert!(verdicts[3].contains("stat /no/such: no such file or directory"), "{}", verdicts[3]);
}

/// The recorded starts that fail, as a person reads them: tests/errors.
#[test]
fn what_a_person_sees_of_a_start_that_fails() {
    for (name, container, at) in [
        ("watch-ephemeral-ok", "jattach-a", 4),
        ("watch-ephemeral-image-pull-failure", "jattach-pull", 3),
        ("watch-ephemeral-image-never-present", "jattach-never", 3),
        ("watch-ephemeral-image-invalid", "jattach-inval", 0),
        ("watch-ephemeral-runasnonroot-rootimage", "jattach-nr", 3),
        ("watch-ephemeral-bad-command", "jattach-nocmd", 3),
    ] {
        let target = target("pod-get-user");
        let pod = pod_at(&recording(name)["events"][at], &target);
        let Verdict::Failed(failure) = judge(&pod, &target, container, "r.example/injector:1") else {
            panic!("{name}: it has not failed");
        };
        assert_seen(name, &failure);
    }
}

fn waiting(reason: &str, message: &str) -> String {
    let target = target("pod-get-user");
    let event = json!({"phase": "Running", "ephemeralContainerStatuses": [{
        "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]});
    shown(&judge(&pod_at(&event, &target), &target, "c", "r.example/injector:1"))
}

#[test]
fn a_pull_that_may_yet_succeed_is_waited_for() {
    assert_eq!(waiting("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"), "doubt ErrImagePull");
    assert!(waiting("ErrImagePull", "pull access denied").contains("imagePullSecrets"));
    assert!(waiting("ErrImagePull", "no match for platform in manifest").contains("architecture"));
    assert!(waiting("ImagePullBackOff", "i/o timeout").starts_with("5 "));
}

#[test]
fn a_reason_that_is_not_known_is_shown_and_waited_for() {
    assert_eq!(waiting("SomethingNew", "perhaps"), "doubt SomethingNew");
    assert_eq!(waiting("PodInitializing", ""), "wait");
    assert!(waiting("InvalidImageName", "").contains("--image"));
}

#[test]
fn a_target_that_went_away_is_told_from_an_injector_that_did_not_start() {
    let gone = waiting(
        "CreateContainerError",
        "invalid target container: container 1 is not running - in state CONTAINER_EXITED",
    );
    assert!(gone.starts_with("3 container \"app\" of pod/user ended while the injector started"), "{gone}");
    // Measured on 1.36 with containerd 2.1 and a target that lives for less than a second.
    for message in [
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable \
         to start container process: error getting pipe fds for pid 23299: readlink /proc/23299/fd/0: no such file or directory",
        "runc create failed: unable to start container process: error during container init: procReady not received",
    ] {
        assert!(waiting("RunContainerError", message).starts_with("3 "), "{message}");
    }
    assert!(waiting("CreateContainerError", "out of file handles").starts_with("5 "));
}

fn killed(change: impl FnOnce(&mut Value)) -> String {
    let target = target("pod-get-user");
    let mut pod = serde_json::to_value(&target.pod).unwrap();
    pod["status"]["ephemeralContainerStatuses"] = json!([{
        "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 137, "reason": "Error"}},
    }]);
    change(&mut pod);
    shown(&judge(&serde_json::from_value(pod).unwrap(), &target, "c", "i"))
}

#[test]
fn an_injector_that_was_killed_with_its_target_says_so() {
    assert!(killed(|_| ()).starts_with("5 the injector ended as soon as"));
    let restarted = killed(|pod| pod["status"]["containerStatuses"][0]["containerID"] = json!("containerd://other"));
    assert!(restarted.starts_with("3 container \"app\""), "{restarted}");
    let deleted = killed(|pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    assert!(deleted.starts_with("3 "), "{deleted}");
}

#[test]
fn a_target_that_ends_before_the_kubelet_has_looked_is_told() {
    let target = target("pod-get-user");
    let mut pod = target.pod.clone();
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    assert!(shown(&judge(&pod, &target, "c", "i")).starts_with("3 pod/user is being deleted"));
}

/// The failure of a container that waits for that reason.
fn waiting_of(target: &Target, reason: &str, message: &str) -> String {
    let waiting = serde_json::from_value(json!({"reason": reason, "message": message})).unwrap();
    shown(&waiting_for(&waiting, target, "r.example/injector:1"))
}

#[test]
fn a_node_without_processes_or_room_is_not_taken_for_a_wrong_image() {
    let target = target("pod-get-user");
    let told = |message: &str| waiting_of(&target, "RunContainerError", message);
    let runc = "failed to create containerd task: runc create failed: unable to start container process: ";
    let processes = told(&format!("{runc}can't copy bootstrap data: fork/exec: resource temporarily unavailable"));
    assert!(processes.contains("podPidsLimit") && !processes.contains("injector's image, and made"), "{processes}");
    let memory = told(&format!("{runc}fork/exec /proc/self/exe: cannot allocate memory"));
    assert!(memory.contains("no room") && !memory.contains("injector's image, and made"), "{memory}");
    assert!(told(&format!("{runc}exec: \"/injector\": no such file")).contains("is the injector's image, and made"));
}

#[test]
fn who_may_not_pull_learns_why_no_secret_can_be_added_and_what_goes_without() {
    let mut target = target("pod-get-user");
    let refused = |target: &Target| {
        waiting_of(
            target,
            "ImagePullBackOff",
            "pull access denied, repository does not exist or may require authorization",
        )
    };
    let none = refused(&target);
    assert!(none.contains("imagePullSecrets are fixed (none)") && none.contains("ServiceAccount default:"), "{none}");
    let spec = target.pod.spec.as_mut().unwrap();
    spec.image_pull_secrets = Some(serde_json::from_value(json!([{"name": "regcred"}, {"name": "other"}])).unwrap());
    spec.service_account_name = Some("api".to_owned());
    let two = refused(&target);
    assert!(two.contains("fixed (regcred, other)") && two.contains("ServiceAccount api:"), "{two}");
    for told in [none, two, waiting_of(&target, "ErrImageNeverPull", "")] {
        assert!(told.contains("pod/user COMMAND --via=exec"), "{told}");
    }
}
