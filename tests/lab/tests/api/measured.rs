//! Behaviour that was measured on a real cluster and not recorded, and the lab's own switches.

use futures::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{
    client::As,
    fixtures::{Cluster, in_cluster},
};

const PODS: &str = "/api/v1/namespaces/fx/pods";

fn exec_path(pod: &str, container: &str, script: &str) -> String {
    let command: String = ["/bin/sh", "-c", script]
        .iter()
        .map(|word| format!("command={}&", form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>()))
        .collect();
    format!("{PODS}/{pod}/exec?{command}container={container}&stdin=true&stdout=true&stderr=true")
}

fn v5() -> Vec<String> {
    vec!["v5.channel.k8s.io".to_owned()]
}

#[tokio::test]
async fn a_client_that_dies_ends_the_commands_stdin_and_leaves_it_running() {
    in_cluster(&["fx/shell"], async |cluster| {
        // A writer that nobody drains, and beside it a reader of stdin.
        let script = "mkfifo /tmp/eof; exec 3<&0; (cat <&3 >/dev/null; echo ended >/tmp/eof) & \
                      echo $$ >/tmp/pid; exec yes";
        let mut socket = cluster.client.open(&As::Admin, &exec_path("shell", "app", script), &v5()).await;
        while !matches!(socket.next().await.unwrap().unwrap(), Message::Binary(data) if data.len() > 1) {}
        drop(socket);
        // The FIFO has a writer once stdin has ended.
        assert_eq!(stdout(&cluster, "shell", "app", "cat /tmp/eof").await, "ended\n");
        assert_eq!(stdout(&cluster, "shell", "app", "cat /proc/$(cat /tmp/pid)/comm").await, "yes\n");
    })
    .await;
}

/// What a script in a container wrote.
async fn stdout(cluster: &Cluster, pod: &str, container: &str, script: &str) -> String {
    let exec = cluster.client.exec(&As::Admin, &exec_path(pod, container, script), &v5(), &[]).await;
    let bytes = exec.frames.into_iter().filter(|(channel, _)| *channel == 1).flat_map(|(_, bytes)| bytes);
    String::from_utf8(bytes.collect()).unwrap()
}

#[tokio::test]
async fn on_v5_stdin_can_end_alone_and_output_still_comes() {
    in_cluster(&["fx/shell"], async |cluster| {
        let script = "cat; echo after; exit 5";
        let sent = [b"\0in ".to_vec(), vec![255, 0]];
        let exec = cluster.client.exec(&As::Admin, &exec_path("shell", "app", script), &v5(), &sent).await;
        let out: Vec<u8> = exec.frames.iter().filter(|frame| frame.0 == 1).flat_map(|frame| frame.1.clone()).collect();
        assert_eq!(String::from_utf8(out).unwrap(), "in after\n");
        let status: Value = serde_json::from_slice(&exec.frames.last().unwrap().1).unwrap();
        assert_eq!(status["details"]["causes"][0]["message"], "5");
    })
    .await;
}

#[tokio::test]
async fn an_annotation_makes_the_status_of_an_exec_disappear() {
    in_cluster(&["fx/shell"], async |cluster| {
        let patch = json!({"metadata": {"annotations": {"lab.jattach/drop-exec-status": "true"}}});
        cluster.strategic_patch(&format!("{PODS}/shell"), &patch).await;
        let exec = cluster.client.exec(&As::Admin, &exec_path("shell", "app", "echo x"), &v5(), &[]).await;
        assert!(exec.frames.iter().all(|frame| frame.0 != 3), "{exec:?}");
        assert_eq!(exec.close, Some(1000));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_websocket_is_told_how_exec_is_served() {
    in_cluster(&["fx/shell"], async |cluster| {
        let path = exec_path("shell", "app", "true");
        let (status, body) = cluster.client.request(&As::Admin, "POST", &path, "", &Value::Null).await;
        assert_eq!(status, 400);
        assert!(body["message"].as_str().unwrap().contains("WebSocket"), "{body}");
    })
    .await;
}

#[tokio::test]
async fn a_user_is_taken_for_another_only_with_the_right_to_impersonate() {
    in_cluster(&["fx/root"], async |cluster| {
        let robot = cluster.account("robot", &json!([])).await;
        let whom = [("impersonate-user", "system:serviceaccount:fx:robot")];
        let path = format!("{PODS}/root");
        let (status, body) = cluster.client.request_with(&As::Admin, &path, &whom).await;
        assert_eq!(status, 403);
        assert!(body["message"].as_str().unwrap().contains("\"system:serviceaccount:fx:robot\" cannot get"), "{body}");
        let (status, body) =
            cluster.client.request_with(&robot, &path, &[("impersonate-user", "kubernetes-admin")]).await;
        assert_eq!(status, 403);
        let expected = "pods \"root\" is forbidden: User \"system:serviceaccount:fx:robot\" cannot \
                        impersonate-on:user-info:get resource \"pods\" in API group \"\" in the namespace \"fx\"";
        assert_eq!(body["message"], expected);
        let group = [("impersonate-user", "eve"), ("impersonate-group", "system:masters")];
        assert_eq!(cluster.client.request_with(&As::Admin, &path, &group).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn a_token_dies_with_its_service_account() {
    in_cluster(&["fx/root"], async |cluster| {
        let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
        let robot = cluster.account("robot", &rules).await;
        let path = format!("{PODS}/root");
        assert_eq!(cluster.client.request(&robot, "GET", &path, "", &Value::Null).await.0, 200);
        let account = "/api/v1/namespaces/fx/serviceaccounts/robot";
        assert_eq!(cluster.client.request(&As::Admin, "DELETE", account, "", &Value::Null).await.0, 200);
        assert_eq!(cluster.client.request(&robot, "GET", &path, "", &Value::Null).await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn a_namespace_goes_with_everything_in_it() {
    in_cluster(&["fx/root", "fx/shell"], async |cluster| {
        let path = "/api/v1/namespaces/fx";
        let (status, body) = cluster.client.request(&As::Admin, "DELETE", path, "", &Value::Null).await;
        assert_eq!((status, body["status"]["phase"].as_str()), (200, Some("Terminating")));
        cluster
            .client
            .watch("/api/v1/namespaces?watch=true&resourceVersion=1&fieldSelector=metadata.name%3Dfx", |event| {
                event["type"] == "DELETED"
            })
            .await;
        let (_, left) = cluster.client.request(&As::Admin, "GET", PODS, "", &Value::Null).await;
        assert_eq!(left["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn the_target_of_an_ephemeral_container_has_to_run() {
    in_cluster(&[], async |cluster| {
        let gone = json!({
            "metadata": {"name": "gone"},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {"name": "app", "image": "jattach:lab", "command": ["jattach"]},
                    {"name": "other", "image": "jre17:lab"},
                ],
            },
        });
        cluster.create(PODS, &gone).await;
        let watch = format!("{PODS}?watch=true&fieldSelector=metadata.name%3Dgone");
        let ended = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["terminated"].is_object();
        let pod = cluster.until(&watch, ended).await;
        assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
        let container = json!({"name": "e", "image": "jattach:lab", "targetContainerName": "app"});
        let patch = json!({"spec": {"ephemeralContainers": [container]}});
        cluster.strategic_patch(&format!("{PODS}/gone/ephemeralcontainers"), &patch).await;
        let waiting = |pod: &Value| {
            pod["status"]["ephemeralContainerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerError"
        };
        let pod = cluster.until(&watch, waiting).await;
        let message = &pod["status"]["ephemeralContainerStatuses"][0]["state"]["waiting"]["message"];
        assert!(message.as_str().unwrap().contains("is not running - in state CONTAINER_EXITED"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn sidecars_and_running_init_containers_can_be_targets() {
    in_cluster(&[], async |cluster| {
        let stages = json!({
            "metadata": {"name": "stages"},
            "spec": {
                "initContainers": [
                    {"name": "sidecar", "image": "jre17:lab", "restartPolicy": "Always"},
                    {"name": "init", "image": "jre17:lab"},
                ],
                "containers": [{"name": "app", "image": "jre17:lab"}],
            },
        });
        cluster.create(PODS, &stages).await;
        let watch = format!("{PODS}?watch=true&fieldSelector=metadata.name%3Dstages");
        for (index, target) in ["init", "sidecar"].into_iter().enumerate() {
            let runs = |pod: &Value| pod["status"]["initContainerStatuses"][index]["state"]["running"].is_object();
            cluster.until(&watch, runs).await;
            let name = format!("of-{target}");
            let container = json!({"name": name, "image": "jre17:lab", "targetContainerName": target});
            let patch = json!({"spec": {"ephemeralContainers": [container]}});
            cluster.strategic_patch(&format!("{PODS}/stages/ephemeralcontainers"), &patch).await;
            let runs = |pod: &Value| {
                let mut all = pod["status"]["ephemeralContainerStatuses"].as_array().into_iter().flatten();
                all.any(|status| status["name"] == *name && status["state"]["running"].is_object())
            };
            let pod = cluster.until(&watch, runs).await;
            assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
            let processes = "readlink /proc/self/ns/pid";
            let joined = stdout(&cluster, "stages", &name, processes).await;
            assert_eq!(joined, stdout(&cluster, "stages", target, processes).await);
            assert!(joined.starts_with("pid:["), "{joined}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_this_cluster_has_not_is_refused_by_name() {
    in_cluster(&[], async |cluster| {
        let probe = json!({"httpGet": {"port": 80}});
        let app = json!({"name": "app", "image": "jre17:lab", "readinessProbe": probe});
        let pod = json!({"metadata": {"name": "probed"}, "spec": {"containers": [app]}});
        let (status, body) = cluster.client.request(&As::Admin, "POST", PODS, "application/json", &pod).await;
        let expected = "pods \"probed\" is forbidden: spec.containers{app}.readinessProbe is not supported by this \
                        cluster";
        assert_eq!((status, body["message"].as_str()), (403, Some(expected)));
    })
    .await;
}

#[tokio::test]
async fn only_json_is_spoken_as_by_a_server_that_has_no_protobuf_for_a_type() {
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
    in_cluster(&[], async |cluster| {
        for (accept, expected) in [
            (PROTOBUF.to_owned(), 406),
            (TABLE.to_owned(), 406),
            (format!("{PROTOBUF},application/json"), 200),
            (format!("{TABLE},application/json"), 200),
            ("*/*".to_owned(), 200),
        ] {
            let (status, body) = cluster.client.request_with(&As::Admin, PODS, &[("accept", &accept)]).await;
            assert_eq!(status, expected, "{accept}: {body}");
        }
        let (status, body) = cluster.client.request(&As::Admin, "POST", PODS, PROTOBUF, &json!({})).await;
        assert_eq!((status, body["reason"].as_str()), (415, Some("UnsupportedMediaType")), "{body}");
    })
    .await;
}
