//! TARGET and the selector.

use jattach_e2e::{Namespace, Pod, manifest};

#[test]
fn a_pod_may_be_named_in_three_ways() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for target in ["x", "po/x", "pods/x"] {
        let _ = namespace.jattach([target, "ps"]).succeeded().prints("App");
    }
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

fn serves_workload(kind: &str, spellings: &[&str]) {
    let namespace = Namespace::new();
    let app = manifest::restricted(manifest::jvm("app"));
    namespace.create(&manifest::workload(kind, "w", &app));
    let pod = namespace.pod_of("app=w");
    pod.wait_for_line("app", "ready");
    for spelling in spellings {
        let ran = namespace.jattach([&format!("{spelling}/w"), "ps"]).succeeded().prints("App");
        let _ = ran.says(&format!("Using pod/{} of ", pod.name));
    }
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn a_deployment_is_a_target() {
    serves_workload("Deployment", &["deploy", "deployment", "deployments.apps"]);
}

#[test]
fn a_stateful_set_is_a_target() {
    serves_workload("StatefulSet", &["sts"]);
}

#[test]
fn a_daemon_set_is_a_target() {
    serves_workload("DaemonSet", &["ds"]);
}

#[test]
fn a_replica_set_is_a_target() {
    serves_workload("ReplicaSet", &["rs"]);
}

#[test]
fn a_selector_takes_the_newest_ready_pod() {
    let namespace = Namespace::new();
    for name in ["older", "newer"] {
        let mut pod = manifest::pod(name, &[manifest::restricted(manifest::jvm("app"))]);
        pod["metadata"]["labels"]["tier"] = "web".into();
        let _ = namespace.start(&pod);
    }
    // Times in an object are whole seconds: within one the greater name counts as the newer.
    let created = |name: &str| {
        namespace.pod(name).get()["metadata"]["creationTimestamp"]
            .as_str()
            .map(|time| (time.to_owned(), name.to_owned()))
    };
    let newest = created("older").max(created("newer")).expect("a time").1;
    let ran = namespace.jattach(["-l", "tier=web", "ps"]).succeeded().prints("App");
    let _ = ran.says(&format!("Using pod/{newest}, the newest ready of 2 of "));
    let _ = namespace.jattach(["-l", "app=older", "ps"]).succeeded().says("Using pod/older of ");
    let _ = namespace.jattach(["-l", "app=nobody", "ps"]).ended_with(3).says("app=nobody");
}

#[test]
fn a_running_job_is_a_target_and_a_finished_one_is_not() {
    let namespace = Namespace::new();
    let app = manifest::restricted(manifest::jvm("app"));
    namespace.create(&manifest::workload("Job", "runs", &app));
    let pod = namespace.pod_of("job-name=runs");
    pod.wait_for_line("app", "ready");
    let _ = namespace.jattach(["job/runs", "ps"]).succeeded().prints("App");

    let brief = manifest::restricted(manifest::java("app", &["-version"]));
    namespace.create(&manifest::workload("Job", "ends", &brief));
    // Its pod has ended before it has.
    namespace.kubectl(["wait", "--timeout=100s", "--for=condition=Complete", "job/ends"]);
    let _ = namespace.jattach(["job/ends", "ps"]).ended_with(3).is_error("JAT-170.job-ended");
}

#[test]
fn what_is_not_found_says_where_it_was_looked_for() {
    let namespace = Namespace::new();
    for target in ["pod/nope", "deploy/nope", "sts/nope", "ds/nope", "rs/nope", "job/nope"] {
        let _ = namespace.jattach([target, "ps"]).ended_with(3).says("nope").says(&namespace.name).says("remedy: ");
    }
    let _ = namespace.jattach(["svc/x", "ps"]).ended_with(2).says("\"svc\" is no kind of target");
}

/// A pod whose container has done what it was for.
pub(crate) fn ended(namespace: &Namespace) -> Pod<'_> {
    let mut pod = manifest::pod("x", &[manifest::restricted(manifest::java("app", &["-version"]))]);
    pod["spec"]["restartPolicy"] = "Never".into();
    namespace.create(&pod);
    let pod = namespace.pod("x");
    pod.wait_for("jsonpath={.status.phase}=Succeeded");
    pod
}

#[test]
fn a_pod_that_has_ended_is_no_target() {
    let namespace = Namespace::new();
    let _ = ended(&namespace).jattach(["threaddump"]).ended_with(3).is_error("JAT-173.completed").says("has ended");
}

#[test]
fn a_container_in_a_crash_loop_is_no_target() {
    let namespace = Namespace::new();
    let crashing = manifest::restricted(manifest::java("app", &["-XX:+NoSuchOption"]));
    namespace.create(&manifest::pod("x", &[crashing]));
    let pod = namespace.pod("x");
    // The kubelet starts it again now and then: what is told counts only where it waited all the while.
    let restarts = || pod.get()["status"]["containerStatuses"][0]["restartCount"].clone();
    loop {
        let before = restarts();
        pod.wait_for("jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff");
        let containers = pod.ephemeral_containers().len();
        let ran = pod.jattach(["threaddump"]).ended_with(3).explains();
        let added = pod.ephemeral_containers().len() - containers;
        if restarts() == before {
            let _ = ran.is_error("JAT-175.crash-loop").says("CrashLoopBackOff").says("--previous");
            return assert_eq!(added, 0);
        }
    }
}
