//! Which container of the pod.

use jattach_e2e::{Namespace, manifest};
use serde_json::{Value, json};

fn java(name: &str, port: &str) -> Value {
    manifest::restricted(manifest::jvm_with(name, &["--thread", &format!("thread-of-{name}"), "--port", port]))
}

#[test]
fn of_two_containers_with_jvms_each_is_reached_by_its_name() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[java("first", "7070"), java("second", "7071")]));
    let ran = pod.jattach(["threaddump"]).succeeded().prints("thread-of-first");
    let _ = ran.says("Defaulted container \"first\" out of: first, second");
    for name in ["first", "second"] {
        let ran = pod.jattach(["-c", name, "threaddump"]).succeeded().prints(&format!("thread-of-{name}"));
        assert!(!ran.stderr.contains("Defaulted"), "{ran}");
    }
    // One injector for each, because each has a process namespace of its own.
    assert_eq!(pod.ephemeral_containers().len(), 2);
}

#[test]
fn containers_that_share_their_tmp_are_not_mistaken_for_each_other() {
    let namespace = Namespace::new();
    let shared = |name, port| manifest::mounting(java(name, port), "tmp", "/tmp");
    let pod = manifest::pod("x", &[shared("first", "7070"), shared("second", "7071")]);
    let pod = namespace.start(&manifest::with_volume(pod, "tmp"));
    // Both are pid 1 and own the same /tmp/.java_pid1: whoever is not the one that was meant must not answer.
    for name in ["first", "second"] {
        let ran = pod.jattach(["-c", name, "threaddump"]);
        match ran.code() {
            Some(0) => drop(ran.prints(&format!("thread-of-{name}"))),
            _ => drop(ran.ended_with(6).is_error("JAT-011.shared-tmp")),
        }
    }
}

#[test]
fn the_annotation_names_the_default_container() {
    let namespace = Namespace::new();
    let mut pod = manifest::pod("x", &[java("first", "7070"), java("second", "7071")]);
    pod["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/default-container": "second"});
    let pod = namespace.start(&pod);
    let ran = pod.jattach(["threaddump"]).succeeded().prints("thread-of-second");
    assert!(!ran.stderr.contains("Defaulted"), "{ran}");
}

#[test]
fn a_container_that_is_not_there_is_answered_with_those_that_are() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["-c", "nope", "ps"]).ended_with(3).is_error("JAT-177.no-such-container");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn a_sidecar_among_the_init_containers_is_a_target() {
    let namespace = Namespace::new();
    let mut side = java("side", "7071");
    side["restartPolicy"] = "Always".into();
    let mut pod = manifest::pod("x", &[java("app", "7070")]);
    pod["spec"]["initContainers"] = json!([side]);
    let pod = namespace.start(&pod);
    pod.wait_for_line("side", "ready");
    let _ = pod.jattach(["-c", "side", "threaddump"]).succeeded().prints("thread-of-side");
}

#[test]
fn an_init_container_that_still_runs_is_a_target() {
    let namespace = Namespace::new();
    let mut pod = manifest::pod("x", &[java("app", "7070")]);
    pod["spec"]["initContainers"] = json!([java("init", "7071")]);
    namespace.create(&pod);
    let pod = namespace.pod("x");
    pod.wait_for("jsonpath={.status.initContainerStatuses[0].state.running}");
    pod.wait_for_line("init", "ready");
    let _ = pod.jattach(["-c", "init", "threaddump"]).succeeded().prints("thread-of-init");
    // The application itself has not been started yet.
    let _ =
        pod.jattach(["-c", "app", "threaddump"]).ended_with(3).is_error("JAT-176.initializing").says("PodInitializing");
}
