//! `threaddump --via-log`: what needs nothing of the target's but a signal.

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Namespace, Pod, Ran, jvm, manifest, shell_image_or_skip};
use serde_json::{Value, json};
use tempfile::tempdir;

fn sealed(mut container: Value) -> Value {
    container = manifest::restricted(container);
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    container
}

fn dumps(text: &str) -> usize {
    text.matches("Full thread dump").count()
}

/// One whole dump, and nothing of another.
#[track_caller]
fn is_one_dump(ran: Ran) {
    let ran = ran.succeeded().prints("\"main\" #").says("stand in between");
    let text = ran.text();
    assert_eq!(dumps(&text), 1, "{ran}");
    let parts = ["Full thread dump", "JNI global ref", "\nHeap\n", "\n Metaspace "].map(|part| text.find(part));
    assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{ran}");
    assert!(text.ends_with("\n\n"), "to its empty line\n{ran}");
}

fn log(pod: &Pod<'_>) -> String {
    pod.namespace.kubectl(["logs", &pod.name]).text()
}

#[test]
fn the_threads_of_a_jvm_without_a_tmp_are_read_from_its_log() {
    let namespace = Namespace::enforcing("restricted");
    let pod = namespace.start(&manifest::pod("x", &[sealed(manifest::jvm("app"))]));
    is_one_dump(pod.jattach(["threaddump", "--via-log"]));
    // The first is in the log by now, and no part of the second.
    is_one_dump(pod.jattach(["threaddump", "--via-log"]));
    assert_eq!(dumps(&log(&pod)), 2);
    jvm::answers(&pod, "app");
}

#[test]
fn a_jvm_that_can_be_attached_to_prints_its_threads_all_the_same_before_and_after() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    is_one_dump(pod.jattach(["threaddump", "--via-log"]));
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    is_one_dump(pod.jattach(["threaddump", "--via-log"]));
    jvm::answers(&pod, "app");
}

#[test]
fn what_is_no_jvm_is_not_signalled() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(manifest::no_jvm("app"))]));
    let _ = pod.jattach(["threaddump", "--via-log"]).ended_with(3).explains();
    let _ = pod.jattach(["threaddump", "--via-log", "--pid", "1"]).ended_with(3).explains().says("no HotSpot JVM");
    let status = &pod.get()["status"]["containerStatuses"][0];
    assert!(status["state"]["running"].is_object() && status["restartCount"] == 0, "{status:#}");
}

#[test]
fn a_jvm_that_sigquit_would_end_is_not_signalled() {
    let namespace = Namespace::new();
    let deaf = manifest::java("app", &["-Xrs", "-cp", "/app", "App"]);
    let pod = namespace.start(&manifest::pod("x", &[sealed(deaf)]));
    let _ = pod.jattach(["threaddump", "--via-log"]).ended_with(6).explains().says("does not handle SIGQUIT");
    jvm::answers(&pod, "app");
    assert_eq!(dumps(&log(&pod)), 0);
}

#[test]
fn who_may_not_read_the_log_is_told_so_before_the_jvm_is_signalled() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[sealed(manifest::jvm("app"))]));
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    ]);
    let directory = tempdir().expect("a directory");
    let config = ServiceAccount::with_rules(&namespace, "blind", &rules).kubeconfig().write(directory.path());
    let ran = pod.plugin_by(&config, ["threaddump", "--via-log"]).run();
    let _ = ran.ended_with(4).explains().says("pods/log");
    assert_eq!(dumps(&log(&pod)), 0);
}

#[test]
fn a_jvm_whose_output_leads_elsewhere_is_named_after_a_while() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let java = "java -Xmx96m -XX:+UseSerialGC -cp /app App > /dev/null & \
                until java -Xmx16m -cp /app Ask > /dev/null 2>&1; do :; done; echo answers; wait";
    let container = manifest::restricted(manifest::container("app", image, &["sh", "-c", java]));
    namespace.create(&manifest::pod("x", &[container]));
    let pod = namespace.pod("x");
    pod.wait_for_line("app", "answers");
    jvm::answers(&pod, "app");
    let _ = pod.jattach(["threaddump", "--via-log"]).ended_with(6).explains().says("the log does not show them");
    jvm::answers(&pod, "app");
}
