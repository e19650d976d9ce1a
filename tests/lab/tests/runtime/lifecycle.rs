//! Starting, ending, and what is told of it: exit codes, last words, logs.

use std::time::Duration;

use jattach_lab::runtime::{Container, State, Stream};
use serde_json::json;

use crate::support::{container, in_lab, pod, shell};

const LONG: Duration = Duration::from_secs(60);

fn script(text: &str) -> serde_json::Value {
    json!({"command": ["sh", "-c", text]})
}

fn lines(container: &Container, stream: Stream) -> String {
    let entries = container.log().unwrap();
    let bytes = entries.iter().filter(|entry| entry.stream == stream).flat_map(|entry| entry.bytes.clone());
    String::from_utf8(bytes.collect()).unwrap()
}

#[tokio::test]
async fn the_exit_code_and_last_words_are_told() {
    in_lab(async |lab| {
        let app = lab.run_one(script("echo -n bye > /dev/termination-log; exit 7")).await;
        let exit = app.wait().await;
        assert_eq!((exit.code, exit.signal, exit.message.as_str()), (7, None, "bye"));
        assert!(exit.started <= exit.finished);
        assert!(matches!(app.state(), State::Exited(_)));
    })
    .await;
}

#[tokio::test]
async fn a_container_that_ends_at_once_has_its_whole_log() {
    in_lab(async |lab| {
        let app = lab.run_one(script("echo out; echo err >&2; echo -n last")).await;
        app.wait().await;
        assert_eq!(lines(&app, Stream::Stdout), "out\nlast");
        assert_eq!(lines(&app, Stream::Stderr), "err\n");
    })
    .await;
}

#[tokio::test]
async fn the_log_stands_in_for_last_words_where_the_pod_wants_that() {
    in_lab(async |lab| {
        let mut more = script("echo reason; exit 1");
        more["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
        assert_eq!(lab.run_one(more).await.wait().await.message, "reason\n");
        assert_eq!(lab.run_one(script("echo reason; exit 1")).await.wait().await.message, "");
    })
    .await;
}

#[tokio::test]
async fn a_container_may_end_itself_within_the_grace_period() {
    in_lab(async |lab| {
        let app = lab.run_one(script("trap 'exit 5' TERM; echo ready > /tmp/r; while :; do sleep 0.01; done")).await;
        shell(&app, "until test -s /tmp/r; do :; done").await;
        app.stop(LONG).await.unwrap();
        assert_eq!(app.wait().await.code, 5);
    })
    .await;
}

#[tokio::test]
async fn a_container_that_ignores_the_signal_is_killed() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        // `runc start` is back before its init has become the program, and that init, written in Go, ends with 2 on
        // SIGTERM.
        shell(&app, "until tr '\\0' ' ' < /proc/1/cmdline | grep -q ^/bin/sleep; do :; done").await;
        app.stop(Duration::from_millis(50)).await.unwrap();
        assert_eq!(app.wait().await.code, 137);
    })
    .await;
}

#[tokio::test]
async fn a_command_that_is_not_there_fails_the_start() {
    in_lab(async |lab| {
        let spec = json!({"containers": [container("c", &json!({"command": ["/no/such"]}))]});
        let Err(error) = lab.try_run(pod(&spec)).await else { panic!("it started") };
        assert_eq!(error.reason(), "RunContainerError");
        let text = error.to_string();
        assert!(text.starts_with("failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "), "{text}");
        assert!(text.ends_with("exec: \"/no/such\": stat /no/such: no such file or directory"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_images_entrypoint_and_arguments_are_replaced_as_kubernetes_does() {
    in_lab(async |lab| {
        let cmdline = "tr '\\0' ' ' < /proc/1/cmdline";
        let app = lab.run_one(json!({"args": ["100001"]})).await;
        assert_eq!(shell(&app, cmdline).await, "/bin/sleep 100001");
        let app = lab.run_one(json!({"command": ["sleep", "$(T)"], "env": [{"name": "T", "value": "9999"}]})).await;
        assert_eq!(shell(&app, cmdline).await, "sleep 9999");
    })
    .await;
}

#[tokio::test]
async fn stdin_stays_open_only_where_it_is_asked_for() {
    in_lab(async |lab| {
        assert_eq!(lab.run_one(script("cat")).await.wait().await.code, 0);
        let open = lab.run_one(json!({"command": ["sh", "-c", "echo > /tmp/r; cat; exit 9"], "stdin": true})).await;
        shell(&open, "until test -s /tmp/r; do :; done").await;
        assert!(matches!(open.state(), State::Running { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_missing_image_is_named() {
    in_lab(async |lab| {
        let spec = json!({"containers": [{"name": "c", "image": "localhost/lab/none:1"}]});
        let Err(error) = lab.try_run(pod(&spec)).await else { panic!("it started") };
        assert_eq!(error.reason(), "ErrImagePull");
        assert!(error.to_string().contains("localhost/lab/none:1"), "{error}");
    })
    .await;
}
