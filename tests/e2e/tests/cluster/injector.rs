//! The life of the injector: made once, used again, ended.

use jattach_e2e::{Namespace, cluster, jvm};
use serde_json::json;

#[test]
fn one_injector_serves_many_commands() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for command in [&["ps"][..], &["threaddump"], &["jcmd", "VM.uptime"], &["properties"], &["inspectheap"], &["ps"]] {
        let _ = pod.jattach(command.iter().copied()).succeeded();
    }
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn a_container_that_only_looks_like_ours_is_not_used() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    // What a hostile user of the pod could plant: our name and our image, and a word or a variable of its own.
    let plant = |name: &str, command: &[&str], variable: &str| {
        let planted = json!({"spec": {"ephemeralContainers": [{
            "name": name,
            "image": cluster().injector_image,
            "imagePullPolicy": cluster().pull_policy,
            "command": command,
            "env": [{"name": variable, "value": "planted"}],
            "targetContainerName": "app",
            "securityContext": pod.get()["spec"]["containers"][0]["securityContext"],
        }]}});
        let patch = planted.to_string();
        namespace.kubectl(["patch", "pod", "x", "--subresource=ephemeralcontainers", "--type=strategic", "-p", &patch]);
    };
    plant("jattach-bcdfg", &["/injector", "hold", "planted"], "PATH");
    plant("jattach-bcdfh", &["/injector", "hold"], "LD_PRELOAD");
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[?(@.name==\"jattach-bcdfh\")].state.running}");
    for _ in 0..2 {
        let _ = pod.jattach(["ps"]).succeeded().prints("App");
        assert_eq!(pod.ephemeral_containers().len(), 3);
    }
}

#[test]
fn an_injector_that_has_just_ended_is_clean() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["ps"]).succeeded();
    // So many that some find it running still by the pod's status, and gone when they speak to it.
    let cleaning: Vec<_> = (0..24).map(|_| pod.plugin(["clean"]).start()).collect();
    for clean in cleaning {
        let _ = clean.wait().succeeded();
    }
}

#[test]
fn clean_ends_the_injector_and_the_pod_says_why() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["ps"]).succeeded();
    let name = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    let _ = pod.jattach(["clean"]).succeeded().says(&name);
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0");
    let ended = pod.ephemeral_status(&name)["state"]["terminated"].clone();
    assert!(ended["message"].as_str().is_some_and(|message| message.contains("told to end")), "{ended:#}");
    jvm::answers(&pod, "app");

    let _ = pod.jattach(["clean"]).succeeded().says("No injector runs");
    // And the next command starts another.
    let _ = pod.jattach(["ps"]).succeeded().prints("App");
    assert_eq!(pod.ephemeral_containers().len(), 2);
}

#[test]
fn an_idle_injector_ends_after_its_time_to_live() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["threaddump", "--ttl", "1s"]).succeeded();
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0");
    let name = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    let ended = pod.ephemeral_status(&name)["state"]["terminated"].clone();
    assert!(ended["message"].as_str().is_some_and(|message| message.contains("idle")), "{ended:#}");
    jvm::answers(&pod, "app");
}
