//! The recordings, one after the other in the order of their making.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    client::As,
    compare::{differences, normalised},
    fixtures::{Cluster, in_cluster, recording, recordings},
    rules,
};

const READS: &[&str] = &[
    "version",
    "pod-get-root",
    "pod-get-user",
    "pod-get-podlevel-nonroot",
    "pod-get-missing",
    "pod-list-selector",
    "ssar-allowed",
];
/// What happens to the pod `root`, in this order.
const LIFE: &[&str] = &[
    "ephemeral-patch-ok",
    "pod-get-ephemeral-terminated",
    "ephemeral-patch-same-name-same-spec",
    "ephemeral-patch-same-name-changed",
    "ephemeral-patch-bad-target",
    "ephemeral-patch-name-of-container",
    "ephemeral-patch-bad-name",
    "ephemeral-patch-resources",
    "ephemeral-patch-ports",
    "ephemeral-patch-missing-pod",
];
const OTHER_PATCHES: &[&str] = &[
    "ephemeral-patch-dryrun",
    "ephemeral-patch-merge-type",
    "ephemeral-patch-psa-restricted-denied",
    "ephemeral-patch-psa-restricted-ok",
    "ephemeral-patch-psa-baseline-sysptrace-denied",
    "ephemeral-patch-bad-image",
    "ephemeral-patch-static-pod",
];
const EXECS: &[&str] = &[
    "exec-ok",
    "exec-exit-3",
    "exec-killed",
    "exec-no-such-command",
    "exec-stdin-v5",
    "exec-v4-only",
    "exec-large-output",
    "exec-no-such-container",
    "exec-no-such-pod",
    "exec-no-stream",
];
const WATCHES: &[&str] =
    &["watch-ephemeral-ok", "watch-ephemeral-bad-command", "watch-ephemeral-runasnonroot-rootimage"];
/// Recordings with a test of their own.
const SINGLE: &[&str] = &[
    "api-discovery-v1",
    "deployment-get",
    "events-of-pod",
    "exec-container-exited",
    "rbac-denied-ephemeral",
    "rbac-denied-exec",
    "rbac-denied-get-pod",
    "rbac-exec-create-only",
    "rbac-exec-get-only",
    "unauthorized",
    "watch-ephemeral-image-never-present",
    "watch-ephemeral-image-pull-failure",
];

/// The lab knows no policies, no other servers, no node that does not answer, and takes any name of an image.
const NOT_REPLAYED: [&str; 6] = [
    "ephemeral-patch-policy-denied",
    "exec-policy-denied",
    "exec-node-gone",
    "no-such-resource",
    "unavailable",
    "watch-ephemeral-image-invalid",
];

#[test]
fn every_recording_is_replayed() {
    let replayed: BTreeSet<String> =
        [READS, LIFE, OTHER_PATCHES, EXECS, WATCHES, SINGLE].concat().into_iter().map(str::to_owned).collect();
    let replayed = &replayed | &NOT_REPLAYED.into_iter().map(str::to_owned).collect();
    let there: BTreeSet<String> = std::fs::read_dir(recordings())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(replayed, there);
}

fn assert_same(name: &str, recorded: &Value, answered: &Value) {
    let found = differences(name, recorded, answered);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Sends a recorded request and compares status and body.
async fn replay(cluster: &Cluster, name: &str, who: &As) {
    let recording = recording(name);
    let (request, expected) = (&recording["request"], &recording["response"]);
    let text = |field: &str| request[field].as_str().unwrap_or_default();
    let media_type = match text("contentType") {
        "" if text("method") == "PATCH" => "application/strategic-merge-patch+json",
        media_type => media_type,
    };
    let (status, body) = cluster.client.request(who, text("method"), text("path"), media_type, &request["body"]).await;
    assert_eq!(json!(status), expected["status"], "{name}: {body}");
    assert_same(name, &expected["body"], &body);
}

#[tokio::test]
async fn plain_reads_answer_as_recorded() {
    in_cluster(&["fx/root", "fx/user", "fx/nonroot"], async |cluster| {
        for name in READS {
            replay(&cluster, name, &As::Admin).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_ephemeral_container_lives_as_recorded() {
    in_cluster(&["fx/root"], async |cluster| {
        for name in LIFE {
            replay(&cluster, name, &As::Admin).await;
            if *name == "ephemeral-patch-ok" {
                let path = "/api/v1/namespaces/fx/pods?watch=true&fieldSelector=metadata.name%3Droot";
                cluster
                    .until(path, |pod| {
                        pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"].is_object()
                    })
                    .await;
            }
        }
        exec(&cluster, "exec-container-exited", &As::Admin).await;
    })
    .await;
}

#[tokio::test]
async fn patches_of_every_kind_are_answered_as_recorded() {
    let pods = ["fx/user", "fx/shell", "fx/static-realnode", "fx-baseline/user", "fx-restricted/user"];
    in_cluster(&pods, async |cluster| {
        for name in OTHER_PATCHES {
            replay(&cluster, name, &As::Admin).await;
        }
    })
    .await;
}

#[tokio::test]
async fn discovery_lists_what_the_lab_serves_as_recorded() {
    in_cluster(&[], async |cluster| {
        let recording = recording("api-discovery-v1");
        let (status, answered) = cluster.client.request(&As::Admin, "GET", "/api/v1", "", &Value::Null).await;
        assert_eq!(json!(status), recording["response"]["status"]);
        let list = |body: &Value| body["resources"].as_array().unwrap().clone();
        for mut resource in list(&answered) {
            let recorded = list(&recording["response"]["body"]);
            let same = recorded.iter().find(|one| one["name"] == resource["name"]);
            let mut same = same.unwrap_or_else(|| panic!("no cluster has {resource}")).clone();
            let verbs = |of: &Value| -> BTreeSet<String> { serde_json::from_value(of["verbs"].clone()).unwrap() };
            assert!(verbs(&resource).is_subset(&verbs(&same)), "{}: {resource}", rules::DISCOVERY_IS_A_SUBSET);
            (resource["verbs"], same["verbs"]) = (Value::Null, Value::Null);
            assert_same("api-discovery-v1", &same, &resource);
        }
    })
    .await;
}

#[tokio::test]
async fn a_deployment_answers_as_recorded_once_its_pods_are_ready() {
    in_cluster(&[], async |cluster| {
        let recording = recording("deployment-get");
        let applied =
            &recording["response"]["body"]["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        let deployment: Value = serde_json::from_str(applied.as_str().unwrap()).unwrap();
        cluster.create("/apis/apps/v1/namespaces/jvms/deployments", &deployment).await;
        cluster
            .until("/apis/apps/v1/namespaces/jvms/deployments?watch=true", |deployment| {
                deployment["status"]["readyReplicas"] == 3
            })
            .await;
        replay(&cluster, "deployment-get", &As::Admin).await;
    })
    .await;
}

/// Replays an exec: the answer instead of an upgrade, or subprotocol, frames and close code.
async fn exec(cluster: &Cluster, name: &str, who: &As) {
    let recording = recording(name);
    let (request, expected) = (&recording["request"], &recording["response"]);
    let offered: Vec<String> = serde_json::from_value(request["subprotocolsOffered"].clone())
        .unwrap_or_else(|_| vec!["v5.channel.k8s.io".to_owned()]);
    let mut sent = Vec::new();
    for frame in recording["clientFrames"].as_array().into_iter().flatten() {
        match frame["data"].as_str() {
            Some(data) => sent.push([&[0], data.as_bytes()].concat()),
            None => sent.push(vec![255, 0]),
        }
    }
    let answered = cluster.client.exec(who, request["path"].as_str().unwrap(), &offered, &sent).await;
    assert_eq!(json!(answered.status.as_u16()), expected["status"], "{name}: {answered:?}");
    if !expected["body"].is_null() {
        assert_same(name, &expected["body"], &answered.body);
        return;
    }
    assert_eq!(json!(answered.subprotocol), expected["subprotocol"], "{name}");
    let recorded = recording["frames"].as_array().unwrap();
    let close = recorded.last().unwrap();
    assert_eq!(json!(answered.close), close["close"], "{name}");
    let (first, (channel, status)) = (&answered.frames[0], answered.frames.last().unwrap());
    assert_eq!((first.0, first.1.len()), (1, 0), "{name}: the empty frame that tells of the connection");
    // How a stream is cut into frames is chance; a channel's bytes and the frames' longest size are not.
    for channel in [1, 2] {
        let lengths = recorded.iter().filter(|frame| frame["channel"] == channel);
        let expected: u64 = lengths.clone().map(|frame| frame["length"].as_u64().unwrap()).sum();
        let got: Vec<u8> = answered
            .frames
            .iter()
            .filter(|frame| u64::from(frame.0) == channel)
            .flat_map(|frame| frame.1.clone())
            .collect();
        assert_eq!(got.len() as u64, expected, "{name}: channel {channel}");
        let text: String = lengths.map(|frame| frame["data"].as_str().unwrap()).collect();
        assert!(got.starts_with(text.as_bytes()) || expected > 1000, "{name}: channel {channel}");
    }
    assert!(answered.frames.iter().all(|frame| frame.1.len() <= 32_768), "{name}");
    assert_eq!(*channel, 3, "{name}: the last frame is the status");
    let told: Value = serde_json::from_slice(status).unwrap();
    let last = &recorded[recorded.len() - 2];
    match serde_json::from_str::<Value>(last["data"].as_str().unwrap()) {
        Ok(recorded) => assert_same(name, &recorded, &told),
        // The recording keeps the first 400 characters only.
        Err(_) => assert_eq!(
            (told["status"].as_str(), told["reason"].as_str(), told["code"].as_u64()),
            (Some("Failure"), Some("InternalError"), Some(500)),
            "{name}: {told}"
        ),
    }
}

#[tokio::test]
async fn commands_are_executed_as_recorded() {
    in_cluster(&["fx/shell"], async |cluster| {
        for name in EXECS {
            exec(&cluster, name, &As::Admin).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_told_as_recorded() {
    in_cluster(&["fx/root", "fx/shell"], async |cluster| {
        let rule = |verb: &str| json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": [verb]}]);
        let nobody = cluster.account("nobody", &json!([])).await;
        for name in ["rbac-denied-get-pod", "rbac-denied-ephemeral"] {
            replay(&cluster, name, &nobody).await;
        }
        exec(&cluster, "rbac-denied-exec", &nobody).await;
        let creator = cluster.account("xcreate", &rule("create")).await;
        exec(&cluster, "rbac-exec-create-only", &creator).await;
        let getter = cluster.account("xget", &rule("get")).await;
        exec(&cluster, "rbac-exec-get-only", &getter).await;
        exec(&cluster, "unauthorized", &As::Token("nobody's".to_owned())).await;
    })
    .await;
}

/// The states of ephemeral containers as a watch tells them, each once in a row.
async fn watched(cluster: &Cluster, pod: &str, name: &str, patch: &Value, count: usize) -> Vec<Value> {
    let (status, before) =
        cluster.client.request(&As::Admin, "GET", &format!("/api/v1/namespaces/fx/pods/{pod}"), "", &Value::Null).await;
    assert_eq!(status, 200);
    cluster.strategic_patch(&format!("/api/v1/namespaces/fx/pods/{pod}/ephemeralcontainers"), patch).await;
    let from = before["metadata"]["resourceVersion"].as_str().unwrap();
    let path =
        format!("/api/v1/namespaces/fx/pods?watch=true&fieldSelector=metadata.name%3D{pod}&resourceVersion={from}");
    let mut told: Vec<Value> = Vec::new();
    cluster
        .client
        .watch(&path, |event| {
            assert_eq!(event["type"], "MODIFIED");
            told.extend(state_of(&event["object"]["status"]["ephemeralContainerStatuses"], name, told.last()));
            told.len() == count
        })
        .await;
    told
}

fn state_of(statuses: &Value, name: &str, before: Option<&Value>) -> Option<Value> {
    let status = statuses.as_array()?.iter().find(|status| status["name"] == name)?;
    (before != Some(status)).then(|| status.clone())
}

/// The states of the container `name` in a recorded watch.
fn recorded_states(recording: &Value, name: &str) -> Vec<Value> {
    let mut states: Vec<Value> = Vec::new();
    for event in recording["events"].as_array().unwrap() {
        states.extend(state_of(&event["ephemeralContainerStatuses"], name, states.last()));
    }
    states
}

#[tokio::test]
async fn a_watch_tells_the_states_of_an_ephemeral_container_as_recorded() {
    in_cluster(&["fx/w2"], async |cluster| {
        for name in WATCHES {
            let recording = recording(name);
            let container = recording["patch"]["spec"]["ephemeralContainers"][0]["name"].as_str().unwrap();
            let expected = recorded_states(&recording, container);
            let told = watched(&cluster, "w2", container, &recording["patch"], expected.len()).await;
            assert_same(name, &json!(expected), &json!(told));
        }
    })
    .await;
}

#[tokio::test]
async fn images_that_cannot_be_had_are_told_of_as_recorded() {
    in_cluster(&["fx/user"], async |cluster| {
        let pull = &recording("ephemeral-patch-bad-image")["request"]["body"];
        let name = "watch-ephemeral-image-pull-failure";
        let expected = recorded_states(&recording(name), "jattach-pull");
        let told = watched(&cluster, "user", "jattach-pull", pull, expected.len()).await;
        assert_same(name, &json!(expected), &json!(told));

        let mut never = pull.clone();
        never["spec"]["ephemeralContainers"][0]["name"] = "jattach-never".into();
        never["spec"]["ephemeralContainers"][0]["image"] = "absent:lab".into();
        never["spec"]["ephemeralContainers"][0]["imagePullPolicy"] = "Never".into();
        let name = "watch-ephemeral-image-never-present";
        let expected = recorded_states(&recording(name), "jattach-never");
        let told = watched(&cluster, "user", "jattach-never", &never, expected.len()).await;
        assert_same(name, &json!(expected), &json!(told));

        events_explain(&cluster).await;
    })
    .await;
}

/// The events of the pod `user`: each kind that was recorded is there, and no other.
async fn events_explain(cluster: &Cluster) {
    let recording = recording("events-of-pod");
    let path = recording["request"]["path"].as_str().unwrap();
    let (status, answered) = cluster.client.request(&As::Admin, "GET", path, "", &Value::Null).await;
    assert_eq!(json!(status), recording["response"]["status"]);
    let summary = |event: &Value| {
        let message = normalised(event["message"].as_str().unwrap());
        let kept = rules::EVENT_MESSAGES.iter().find(|(start, _)| message.starts_with(start));
        json!({
            "reason": event["reason"],
            "type": event["type"],
            "kind": event["involvedObject"]["kind"],
            "fieldPath": event["involvedObject"]["fieldPath"],
            "component": event["reportingComponent"],
            "message": kept.map_or(message.as_str(), |(start, _)| start),
        })
        .to_string()
    };
    let set = |body: &Value| -> BTreeSet<String> {
        let events = body["items"].as_array().unwrap();
        let left_out = |event: &&Value| rules::EVENTS_LEFT_OUT.iter().any(|(reason, _)| event["reason"] == *reason);
        events.iter().filter(|event| !left_out(event)).map(summary).collect()
    };
    assert_eq!(set(&recording["response"]["body"]), set(&answered));
}
