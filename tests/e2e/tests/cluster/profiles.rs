//! What the user asks for by name, beyond what the target has or below it.

use jattach_e2e::{Namespace, Pod, jvm, manifest, shell_image_or_skip};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::identities::{unreadable_java, with_security};

/// What is said before a container goes out that may do more than the target's.
const FOR_GOOD: &str = "Pod Security judges the whole pod";

fn contexts(pod: &Pod<'_>) -> Vec<Value> {
    pod.ephemeral_containers().iter().map(|container| container["securityContext"].clone()).collect()
}

fn custom(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("it can be written");
    file
}

#[test]
fn general_serves_a_java_that_may_not_be_read() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[unreadable_java(image)]));
    let _ = pod.jattach(["threaddump"]).ended_with(6).says("--profile=general");
    let served = pod.jattach(["--profile=general", "threaddump"]).succeeded().prints("Full thread dump");
    let _ = served.says("securityContext.capabilities SYS_PTRACE").says(FOR_GOOD);
    // It is used again, and said once.
    let again = pod.jattach(["--profile=general", "threaddump"]).succeeded().prints("Full thread dump");
    assert!(!again.stderr.contains(FOR_GOOD), "{again}");
    assert_eq!(pod.ephemeral_containers().len(), 2);
    // And never by who has not asked for it.
    let _ = pod.jattach(["threaddump"]).ended_with(6).says("closed to its own user");
    assert_eq!(pod.ephemeral_containers().len(), 2);
    jvm::answers(&pod, "app");
}

#[test]
fn general_serves_a_user_as_a_root_that_becomes_the_user() {
    let namespace = Namespace::enforcing("baseline");
    let pod = namespace.start_jvm("x");
    let refused = pod.jattach(["--profile=general", "threaddump"]).ended_with(4).explains();
    let _ = refused.says("SYS_PTRACE").says("asks for more than baseline").says("leave it out");
    namespace.kubectl(["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce-"]);
    let _ = pod
        .jattach(["--profile=general", "threaddump"])
        .succeeded()
        .says("securityContext.capabilities SETGID, SETUID, SYS_PTRACE; securityContext.runAsUser 0");
    let [context] = &contexts(&pod)[..] else { panic!("{:#?}", contexts(&pod)) };
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"], "add": ["SETGID", "SETUID", "SYS_PTRACE"]}));
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
    // From now on no debug container is admitted where the level is enforced, as was said.
    namespace.kubectl(["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=baseline"]);
    let _ = pod.jattach(["--run-as-group=7", "ps"]).ended_with(4).explains().says("earlier debug container");
}

#[test]
fn restricted_and_baseline_are_admitted_at_their_levels() {
    for (level, profile) in [("restricted", "restricted"), ("baseline", "baseline"), ("baseline", "restricted")] {
        let namespace = Namespace::enforcing(level);
        let pod = namespace.start_jvm("x");
        let _ = pod.jattach(["--profile", profile, "threaddump"]).succeeded().prints("Full thread dump");
    }
}

#[test]
fn baseline_leaves_a_capability_out_and_says_that_the_jvm_has_it() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"capabilities": {"add": ["SYS_TIME"]}}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let refused = pod.jattach(["--profile=baseline", "threaddump"]).ended_with(6).explains();
    let refused = refused.says("the profile leaves out: SYS_TIME");
    assert!(!refused.stderr.contains("second debug container"), "{refused}");
    assert_eq!(pod.ephemeral_containers().len(), 1);
    jvm::answers(&pod, "app");
}

#[test]
fn restricted_has_no_root_and_takes_the_jvms_own_user() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let start =
        "exec /bin/setpriv --reuid 10001 --regid 10001 --clear-groups java -Xmx96m -XX:+UseSerialGC -cp /app App";
    let container = with_security(manifest::container("app", image, &["sh", "-c", start]), json!({"runAsUser": 0}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let _ = pod
        .jattach(["--profile=restricted", "threaddump"])
        .ended_with(6)
        .is_error("JAT-161.no-root")
        .says("--run-as-user UID");
    assert!(pod.ephemeral_containers().is_empty());
    let flags = ["--profile=restricted", "--run-as-user=10001", "--run-as-group=10001"];
    let _ = pod.plugin(flags).arg("threaddump").run().succeeded().prints("Full thread dump");
    assert_eq!(contexts(&pod)[0]["runAsUser"], 10001);
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn ids_of_the_users_own_do_not_lead_to_a_second_container() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let refused = pod.jattach(["--run-as-user=4242", "threaddump"]).ended_with(6).is_error("JAT-007.asked-for");
    let _ = refused.says("injector 4242:4242").says("target 10001:10001").says("leave --run-as-user");
    assert_eq!(pod.ephemeral_containers().len(), 1);
    let _ = pod.jattach(["--run-as-user=10001", "threaddump"]).succeeded().prints("Full thread dump");
    assert_eq!(pod.ephemeral_containers().len(), 2);
    let _ = pod.jattach(["--run-as-user=1", "--profile=general", "ps"]).ended_with(2).explains();
    jvm::answers(&pod, "app");
}

#[test]
fn a_part_of_the_users_own_is_laid_over_the_container() {
    let namespace = Namespace::new();
    let container = manifest::mounting(manifest::restricted(manifest::jvm("app")), "scratch", "/scratch");
    let pod = namespace.start(&manifest::with_volume(manifest::pod("x", &[container]), "scratch"));
    let yaml =
        custom("# more room\nenv: [{name: WHY, value: custom}]\nvolumeMounts:\n- {name: scratch, mountPath: /tmp}\n");
    let path = yaml.path().to_str().expect("a path");
    let printed = pod.jattach(["--custom", path, "--dry-run=server", "-o", "json", "ps"]).succeeded().json();
    assert_eq!(printed["spec"]["ephemeralContainers"][0]["env"][0]["value"], "custom", "{printed:#}");
    for _ in 0..2 {
        let _ = pod.jattach(["--custom", path, "threaddump"]).succeeded().prints("Full thread dump");
    }
    let containers = pod.ephemeral_containers();
    assert_eq!(containers.len(), 1, "{containers:#?}");
    assert_eq!(containers[0]["volumeMounts"][0]["mountPath"], "/tmp", "{containers:#?}");
    // Who has not asked for it gets one without.
    let _ = pod.jattach(["threaddump"]).succeeded();
    assert_eq!(pod.ephemeral_containers().len(), 2);
}

#[test]
fn a_part_that_is_not_the_users_to_set_is_refused_before_anything_is_asked_of_the_cluster() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for (text, says) in [
        ("command: [sh]", "command is not to be set there"),
        ("image: busybox", "--image"),
        ("securityContext: {runAsUsr: 0}", "a container has no securityContext.runAsUsr"),
        ("- x", "is no object in YAML or JSON"),
    ] {
        let file = custom(text);
        let path = file.path().to_str().expect("a path");
        let _ = pod.jattach(["--custom", path, "ps"]).ended_with(2).explains().says(says);
    }
    assert!(pod.ephemeral_containers().is_empty());
}
