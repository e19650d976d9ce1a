//! Nothing stays behind: not after a pod, not after a lab, not after a lab that was killed.

use std::path::{Path, PathBuf};

use jattach_lab::runtime::{Error, SeccompDefault};
use serde_json::json;

use crate::support::{Lab, in_lab, pod_of, start};

fn mounts_below(directory: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let directory = directory.to_str().unwrap();
    table.lines().filter(|line| line.contains(directory)).map(str::to_owned).collect()
}

/// The cgroups, in whichever hierarchy, whose path contains `part`.
fn cgroups(part: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, part: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.path().to_str().is_some_and(|path| path.contains(part)) {
                    found.push(entry.path());
                }
                walk(&entry.path(), part, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), part, &mut found);
    found
}

fn lab_cgroup(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let part = text.split('/').find(|part| part.starts_with("jattach-lab-"));
    part.expect("a cgroup of the lab").to_owned()
}

/// A zombie does not run: its parent here is the test.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_removed_pod_leaves_no_process_cgroup_mount_or_file() {
    in_lab(async |lab| {
        let mut spec = pod_of(&["a"]);
        spec["spec"]["volumes"] = json!([{"name": "m", "emptyDir": {"medium": "Memory"}}]);
        let uid = spec["metadata"]["uid"].as_str().unwrap().to_owned();
        let running = lab.run(spec).await;
        let pid = running.containers[0].pid().unwrap();
        let group = format!("{}/pod{uid}", lab_cgroup(pid));
        assert!(runs(pid) && !cgroups(&group).is_empty() && !mounts_below(&lab.state).is_empty());
        running.sandbox.remove().await.unwrap();
        assert!(!runs(pid));
        assert_eq!(cgroups(&group), [] as [PathBuf; 0]);
        assert_eq!(mounts_below(&lab.state), [] as [String; 0]);
        assert_eq!(std::fs::read_dir(lab.state.join("pods")).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(lab.state.join("runc")).unwrap().count(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_container_that_cannot_start_leaves_nothing_once_its_pod_is_removed() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["a"])).await;
        running.debug(None, &json!({"command": ["/no/such"]})).await.unwrap_err();
        running.sandbox.remove().await.unwrap();
        assert_eq!(mounts_below(&lab.state), [] as [String; 0]);
        assert_eq!(std::fs::read_dir(lab.state.join("runc")).unwrap().count(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_next_lab_sweeps_what_a_lost_one_left() {
    let state = tempfile::tempdir().unwrap();
    let first = start(state.path(), SeccompDefault::default()).await.unwrap();
    let lab = Lab { runtime: first, state: state.path().to_owned() };
    let lost = tokio::spawn(async move {
        let pid = lab.run(pod_of(&["a"])).await.containers[0].pid().unwrap();
        (pid, lab_cgroup(pid))
        // As far as the state directory can tell, this lab is dead now.
    });
    let lost = lost.await;
    let second = start(state.path(), SeccompDefault::default()).await.unwrap();
    let (pid, group) = lost.unwrap();
    assert!(!runs(pid), "the lost lab's container still runs");
    assert_eq!(cgroups(&group), [] as [PathBuf; 0]);
    assert_eq!(mounts_below(state.path()), [] as [String; 0]);
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_labs_cannot_have_one_state_directory() {
    in_lab(async |lab| {
        let error = start(&lab.state, SeccompDefault::default()).await.unwrap_err();
        assert!(matches!(error, Error::StateInUse { .. }), "{error}");
    })
    .await;
}
