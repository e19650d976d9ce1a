//! One JVM in the container, several, or none.

use jattach_e2e::{Namespace, manifest, shell_image_or_skip};

#[test]
fn of_several_jvms_the_user_names_one() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let start = "java -Xmx32m -XX:+UseSerialGC -cp /app App --port 0 --thread beside & \
                 exec java -Xmx96m -XX:+UseSerialGC -cp /app App --thread main";
    let container = manifest::restricted(manifest::container("app", image, &["sh", "-c", start]));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    // The one that was started in the background may be a moment later.
    pod.wait_for_line("app", "ready");
    let listed = pod.jattach(["ps", "-o", "json"]).succeeded().json();
    let pids: Vec<u64> = listed.as_array().expect("a list").iter().filter_map(|jvm| jvm["pid"].as_u64()).collect();
    let [first, second] = pids[..] else { panic!("{listed:#}") };
    let refused = pod.jattach(["threaddump"]).ended_with(2).is_error_however_seen("JAT-005.two-jvms");
    let _ = refused.says(&first.to_string()).says(&second.to_string());
    for (pid, thread) in [(1, "\"main\""), (first.max(second), "\"beside\"")] {
        let _ = pod.jattach(["--pid", &pid.to_string(), "threaddump"]).succeeded().prints(thread);
    }
}

#[test]
fn a_container_without_a_jvm_is_answered_with_what_runs_there() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(manifest::no_jvm("app"))]));
    let ran = pod
        .jattach(["threaddump"])
        .ended_with(3)
        .is_error("JAT-004.no-jvm")
        .says("no JVM")
        .says("evidence: 1 /injector hold\n");
    assert!(!ran.stderr.contains("session"), "{ran}");
    let _ = pod.jattach(["ps"]).ended_with(3).says("no JVM");
}

#[test]
fn a_pid_that_is_no_jvm_or_nobody_is_refused_unharmed() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(manifest::no_jvm("app"))]));
    let _ = pod.jattach(["--pid", "1", "threaddump"]).ended_with(3).is_error("JAT-004.no-jvm-of-that-pid");
    let _ = pod.jattach(["--pid", "4000000", "threaddump"]).ended_with(3).is_error("JAT-003.no-such-pid");
    let state = pod.get()["status"]["containerStatuses"][0].clone();
    assert!(state["state"]["running"].is_object() && state["restartCount"] == 0, "{state:#}");
}
