//! PID namespaces: own, joined and shared ones, and what the end of a pid 1 does.

use std::time::Duration;

use jattach_lab::runtime::{ExecSpec, SeccompDefault};
use serde_json::json;

use crate::support::{container, in_lab, in_lab_with, pod, pod_of, shell};

/// Far longer than anything here takes: what it guards against is a hang for good.
const HANG: Duration = Duration::from_secs(60);

/// The number of processes, the shell that counts included.
const COUNT: &str = "set -- /proc/[0-9]*; echo $#";

#[tokio::test]
async fn each_container_sees_only_its_own_processes() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["a", "b"])).await;
        for container in &running.containers {
            assert_eq!(shell(container, "tr '\\0' ' ' < /proc/1/cmdline").await, "/bin/sleep 1000000");
            assert_eq!(shell(container, COUNT).await, "2", "pid 1 and the shell");
        }
    })
    .await;
}

#[tokio::test]
async fn an_ephemeral_container_sees_its_targets_first_process_and_root() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["app", "other"])).await;
        let app = &running.containers[0];
        shell(app, "echo mark > /tmp/mark").await;
        let debug = running.debug(Some(app), &json!({})).await.unwrap();
        let pid = "readlink /proc/self/ns/pid";
        assert_eq!(shell(&debug, pid).await, shell(app, pid).await);
        assert_eq!(shell(&debug, "cat /proc/1/root/tmp/mark").await, "mark");
        assert_ne!(shell(&debug, "cat /tmp/mark; true").await, "mark");
    })
    .await;
}

#[tokio::test]
async fn an_ephemeral_container_without_a_target_is_alone() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["app"])).await;
        let debug = running.debug(None, &json!({})).await.unwrap();
        let pid = "readlink /proc/self/ns/pid";
        assert_ne!(shell(&debug, pid).await, shell(&running.containers[0], pid).await);
        assert_eq!(shell(&debug, COUNT).await, "2");
    })
    .await;
}

#[tokio::test]
async fn an_ephemeral_container_is_killed_when_its_targets_first_process_ends() {
    in_lab_with(SeccompDefault::Enosys, async |lab| {
        let running = lab.run(pod_of(&["app"])).await;
        let app = &running.containers[0];
        let debug = running.debug(Some(app), &json!({})).await.unwrap();
        let command = ExecSpec { argv: vec!["/bin/sleep".to_owned(), "1000000".to_owned()], stdin: false };
        let exec = debug.exec(&command).await.unwrap();
        app.stop(Duration::ZERO).await.unwrap();
        let exit = tokio::time::timeout(HANG, debug.wait()).await.expect("the end of the joined container");
        assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, Some(9), false));
        assert_eq!(exec.process.wait().await, 137);
        assert_eq!(app.wait().await.code, 137);
    })
    .await;
}

#[tokio::test]
async fn a_target_that_is_not_running_is_refused_in_containerds_words() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["app"])).await;
        let app = &running.containers[0];
        app.stop(Duration::ZERO).await.unwrap();
        let error = running.debug(Some(app), &json!({})).await.unwrap_err();
        assert_eq!(error.reason(), "CreateContainerError");
        let expected =
            format!("invalid target container: container \"{}\" is not running - in state CONTAINER_EXITED", app.id());
        assert_eq!(error.to_string(), expected);
    })
    .await;
}

#[tokio::test]
async fn with_shared_processes_pid_one_is_the_pause_process_and_reaps_orphans() {
    in_lab(async |lab| {
        let spec =
            json!({"shareProcessNamespace": true, "containers": [container("a", &json!({})), container("b", &json!({}))]});
        let running = lab.run(pod(&spec)).await;
        let [a, b] = [&running.containers[0], &running.containers[1]];
        assert_eq!(shell(a, "tr -d '\\0' < /proc/1/cmdline").await, "/pause");
        let sleepers = "grep -l sleep /proc/[0-9]*/comm | wc -l";
        assert_eq!(shell(a, sleepers).await, "2");
        // The orphan ends when its FIFO is closed; as a zombie it would still be listed.
        let orphan = "mkfifo /tmp/f; (cat /tmp/f & echo $! > /tmp/pid) & wait $!; exec 3> /tmp/f; exec 3>&-; \
                      until ! test -d /proc/$(cat /tmp/pid); do :; done; echo gone";
        assert_eq!(tokio::time::timeout(HANG, shell(b, orphan)).await.expect("the orphan's end"), "gone");
        a.stop(Duration::ZERO).await.unwrap();
        assert_eq!(shell(b, sleepers).await, "1");
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_container_ends_what_was_run_in_it_also_in_a_joined_namespace() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["app"])).await;
        let app = &running.containers[0];
        let debug = running.debug(Some(app), &json!({})).await.unwrap();
        let command = ExecSpec { argv: vec!["/bin/sleep".to_owned(), "1000000".to_owned()], stdin: false };
        let exec = debug.exec(&command).await.unwrap();
        debug.stop(Duration::ZERO).await.unwrap();
        assert_eq!(tokio::time::timeout(HANG, exec.process.wait()).await.expect("the command's end"), 137);
        assert_eq!(shell(app, "echo alive").await, "alive");
    })
    .await;
}

#[tokio::test]
async fn a_process_left_behind_in_a_joined_namespace_does_not_hold_up_the_containers_end() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["app"])).await;
        let app = &running.containers[0];
        let left = json!({"command": ["sh", "-c", "sleep 7654321 & exit 4"]});
        let debug = running.debug(Some(app), &left).await.unwrap();
        let exit = tokio::time::timeout(HANG, debug.wait()).await.expect("the end of the container");
        assert_eq!((exit.code, exit.oom_killed), (4, false));
        // The brackets keep the shell from counting itself; a zombie has no command line.
        let left = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep [7]654321'; true";
        assert_eq!(shell(app, left).await, "0");
    })
    .await;
}
