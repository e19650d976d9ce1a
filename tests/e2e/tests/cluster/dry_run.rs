//! What would be sent, printed instead.

use jattach_e2e::{Namespace, manifest};

#[test]
fn dry_run_prints_the_patch_and_changes_nothing() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for place in ["client", "server"] {
        let ran = pod.jattach(["threaddump", &format!("--dry-run={place}"), "-o", "yaml"]).succeeded();
        let ran = ran.prints("ephemeralContainers:\n").prints("targetContainerName: app\n").prints("- /injector\n");
        assert!(!ran.text().contains("Full thread dump"), "{ran}");
    }
    let json = pod.jattach(["dumpheap", "--dry-run=server", "-o", "json"]).succeeded().json();
    assert_eq!(json["spec"]["ephemeralContainers"][0]["targetContainerName"], "app", "{json:#}");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn what_dry_run_prints_is_what_kubectl_can_send() {
    let namespace = Namespace::enforcing("restricted");
    let pod = namespace.start_jvm("x");
    let patch = pod.jattach(["ps", "--dry-run=client", "-o", "json"]).succeeded().text();
    namespace.kubectl(["patch", "pod", "x", "--subresource=ephemeralcontainers", "--type=strategic", "-p", &patch]);
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[0].state.running}");
    // And it is taken for what it is.
    let _ = pod.jattach(["ps"]).succeeded().prints("App");
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn dry_run_at_the_server_shows_its_refusal() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    // Too late for the pod, and not for who joins it.
    namespace.kubectl(["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=restricted"]);
    let _ = pod.jattach(["ps", "--dry-run=client", "-o", "yaml"]).succeeded();
    let _ = pod.jattach(["ps", "--dry-run=server", "-o", "yaml"]).ended_with(4).explains().says("restricted");
    assert!(pod.ephemeral_containers().is_empty());
}
