//! Memory and CPU limits of containers and pods, as the kernel enforces them.

use std::path::PathBuf;

use serde_json::json;

use crate::support::{container, in_lab, pod, shell};

/// Takes the given number of MiB and says so.
fn eat(mib: u32) -> serde_json::Value {
    let script = format!("$x = 'x' x ({mib} << 20); print length $x; sleep 1000000");
    json!(["/usr/bin/perl", "-e", script])
}

#[tokio::test]
async fn a_containers_memory_limit_kills_it() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"command": eat(256), "resources": {"limits": {"memory": "64Mi"}}})).await;
        let exit = app.wait().await;
        assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, Some(9), true));
    })
    .await;
}

#[tokio::test]
async fn a_container_without_a_limit_draws_on_the_pods() {
    in_lab(async |lab| {
        let limited = json!({"resources": {"limits": {"memory": "64Mi"}}});
        let running = lab.run(pod(&json!({"containers": [container("app", &limited)]}))).await;
        let debug = running.debug(None, &json!({"command": eat(256)})).await.unwrap();
        assert_eq!(debug.wait().await.code, 137);
        assert_eq!(shell(&running.containers[0], "echo alive").await, "alive");
    })
    .await;
}

#[tokio::test]
async fn a_kill_by_hand_is_not_taken_for_one_by_the_kernel() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"resources": {"limits": {"memory": "64Mi"}}})).await;
        app.stop(std::time::Duration::ZERO).await.unwrap();
        let exit = app.wait().await;
        assert_eq!((exit.code, exit.oom_killed), (137, false));
    })
    .await;
}

#[tokio::test]
async fn cpu_limits_and_shares_are_set_for_the_container_and_for_the_pod() {
    in_lab(async |lab| {
        let resources = json!({"resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "250m"}}});
        let spec = json!({"containers": [container("a", &resources), container("b", &resources)]});
        let running = lab.run(pod(&spec)).await;
        let debug = running.debug(Some(&running.containers[0]), &json!({})).await.unwrap();
        let container = cpu_cgroup(running.containers[0].pid().unwrap());
        let pod = container.parent().unwrap();
        if container.join("cpu.shares").exists() {
            assert_eq!(read(&container.join("cpu.cfs_quota_us")), "50000");
            assert_eq!(read(&container.join("cpu.shares")), "256");
            assert_eq!(read(&pod.join("cpu.cfs_quota_us")), "100000");
            assert_eq!(read(&pod.join("cpu.shares")), "512");
            assert_eq!(read(&cpu_cgroup(debug.pid().unwrap()).join("cpu.shares")), "2");
        } else {
            assert_eq!(read(&container.join("cpu.max")), "50000 100000");
            assert_eq!(read(&pod.join("cpu.max")), "100000 100000");
            assert_eq!(read(&cpu_cgroup(debug.pid().unwrap()).join("cpu.weight")), "1");
        }
    })
    .await;
}

#[tokio::test]
async fn the_oom_score_follows_the_pods_class() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        assert_eq!(shell(&app, "cat /proc/1/oom_score_adj").await, "1000");
        let burstable = lab.run_one(json!({"resources": {"requests": {"memory": "1Mi"}}})).await;
        assert_eq!(shell(&burstable, "cat /proc/1/oom_score_adj").await, "999");
    })
    .await;
}

/// The directory of the cgroup that has the CPU controller.
fn cpu_cgroup(pid: i32) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let find = |wanted: fn(&str) -> bool| {
        text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            wanted(controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    match find(|controllers| controllers.split(',').any(|name| name == "cpu")) {
        Some(path) => PathBuf::from("/sys/fs/cgroup/cpu").join(path),
        None => PathBuf::from("/sys/fs/cgroup").join(find(str::is_empty).unwrap()),
    }
}

fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}
