//! Where the JVM cannot be attached to because it has no /tmp to meet in.

use std::path::Path;

use jattach_e2e::{Namespace, Program, cluster, jvm, manifest};
use serde_json::{Value, json};

/// The application in a container whose root, /tmp in it, is read-only.
fn sealed() -> Value {
    let mut container = manifest::restricted(manifest::jvm("app"));
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    container
}

#[test]
fn without_a_writable_tmp_the_jvm_is_refused_before_it_is_signalled() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[sealed()]));
    let ran = pod.jattach(["threaddump"]).ended_with(6).explains().says("threaddump --via-log");
    assert!(ran.bytes().is_empty(), "{ran}");
    let _ = pod.jattach(["ps"]).succeeded().prints("no (JAT-023)\n\npid 1: the target's /tmp is not writable");
    jvm::answers(&pod, "app");
    // A signal without a listener would have had the JVM print its threads to its own output.
    let log = namespace.kubectl(["logs", "x"]).text();
    assert!(!log.contains("Full thread dump"), "{log}");
}

#[test]
fn what_helps_is_printed_with_what_keeps_the_evidence_first() {
    let namespace = Namespace::new();
    namespace.create(&manifest::workload("StatefulSet", "api", &sealed()));
    let pod = namespace.pod_of("app=api");
    pod.wait_for_line("app", "ready");
    // By the environment, so that no path of this machine is among the flags.
    let plugin = cluster().plugin_of_image().env("KUBECONFIG", &cluster().kubeconfig).args(["-n", &namespace.name]);
    let _ = plugin.args(["sts/api", "-q", "threaddump"]).run().ended_with(6).is_error("JAT-023.read-only-root");
}

#[test]
fn the_patch_that_is_printed_gives_the_pods_to_come_a_tmp() {
    let namespace = Namespace::enforcing("restricted");
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let name = kind.to_lowercase();
        namespace.create(&manifest::workload(kind, &name, &sealed()));
        let pod = namespace.pod_of(&format!("app={name}"));
        pod.wait_for_line("app", "ready");
        let ran = pod.jattach(["inspectheap"]).ended_with(6).explains();
        let is_patch = |line: &&str| line.starts_with("kubectl ") && line.contains(" patch ");
        let line = ran.stderr.lines().map(str::trim).find(is_patch);
        let line = line.unwrap_or_else(|| panic!("no line to copy\n{ran}"));
        // As its user would, but for the rollout, which is not of this test.
        let script = format!("kubectl() {{ \"$JATTACH_KUBECTL\" \"$@\"; }}; {line} --dry-run=client -o json");
        let patched = Program::new(Path::new("sh")).args(["-c", &script]).run().succeeded().json();
        let spec = &patched["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["command"], sealed()["command"], "nothing else is changed: {spec:#}");
        let name = format!("next-{name}");
        let next = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let pod = namespace.start(&next);
        let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    }
}

#[test]
fn a_pod_that_nothing_can_make_anew_is_said_to_be_one() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[sealed()]));
    let _ = pod.jattach(["properties"]).ended_with(6).explains().says("this pod has no controller");
    namespace.create(&manifest::workload("Job", "report", &sealed()));
    let pod = namespace.pod_of("app=report");
    pod.wait_for_line("app", "ready");
    let _ = pod.jattach(["properties"]).ended_with(6).explains().says("the template of job/report cannot be changed");
}
