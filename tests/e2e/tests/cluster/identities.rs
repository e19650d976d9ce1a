//! As whom the JVM runs, and what the injector has to be for it.

use jattach_e2e::{Namespace, Pod, cluster, dump, jvm, manifest, shell_image_or_skip, skip};
use serde_json::{Value, json};
use tempfile::tempdir;

/// Threads and heap, and an application that still runs.
fn serves(pod: &Pod<'_>) {
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    let _ = pod.plugin(["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    jvm::answers(pod, "app");
}

pub(crate) fn with_security(mut container: Value, context: Value) -> Value {
    container["securityContext"] = context;
    container
}

#[test]
fn a_root_jvm_with_the_default_capabilities_is_served() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    serves(&pod);
    assert!(pod.ephemeral_containers().iter().any(|one| one["securityContext"]["runAsUser"] == 0));
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn a_root_jvm_without_capabilities_is_served_without_capabilities() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"capabilities": {"drop": ["ALL"]}}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    serves(&pod);
    for container in pod.ephemeral_containers() {
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]), "{container:#}");
    }
}

#[test]
fn a_root_jvm_with_one_capability_less_is_served() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"capabilities": {"drop": ["NET_RAW", "CHOWN"]}}));
    serves(&namespace.start(&manifest::pod("x", &[container])));
}

#[test]
fn a_root_jvm_with_more_capabilities_is_served_with_those() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"]}}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    serves(&pod);
    let containers = pod.ephemeral_containers();
    let added = |container: &Value| container["securityContext"]["capabilities"]["add"].clone();
    assert!(containers.iter().any(|one| added(one) == json!(["NET_ADMIN", "SYS_TIME"])), "{containers:#?}");
}

#[test]
fn a_privileged_jvm_is_served_by_a_container_that_is_not_privileged() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"privileged": true}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    serves(&pod);
    for container in pod.ephemeral_containers() {
        assert!(!container["securityContext"]["privileged"].as_bool().unwrap_or(false), "{container:#}");
    }
}

#[test]
fn a_pod_whose_volumes_belong_to_a_group_is_served() {
    let namespace = Namespace::enforcing("restricted");
    let container = manifest::mounting(manifest::restricted(manifest::jvm("app")), "tmp", "/tmp");
    let mut pod = manifest::with_volume(manifest::pod("x", &[container]), "tmp");
    pod["spec"]["securityContext"] = json!({"fsGroup": 4711});
    let pod = namespace.start(&pod);
    serves(&pod);
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn the_level_baseline_takes_root_and_its_injector() {
    let namespace = Namespace::enforcing("baseline");
    serves(&namespace.start(&manifest::pod("x", &[manifest::jvm("app")])));
}

#[test]
fn a_debug_container_of_somebody_else_is_left_alone() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let mut other = manifest::restricted(manifest::no_jvm("debugger-abcde"));
    other["targetContainerName"] = "app".into();
    let patch = json!({"spec": {"ephemeralContainers": [other]}}).to_string();
    namespace.kubectl(["patch", "pod", "x", "--subresource=ephemeralcontainers", "--type=strategic", "-p", &patch]);
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[0].state.running}");
    serves(&pod);
    assert_eq!(pod.ephemeral_containers().len(), 2);
    let _ = pod.jattach(["clean"]).succeeded();
    let status = pod.ephemeral_status("debugger-abcde");
    assert!(status["state"]["running"].is_object(), "{status:#}");
}

/// The shell image's application, run by a user who may execute java and not read it. A shell starts it: setpriv has root's
/// capabilities until it has become another program, and with them could read it.
pub(crate) fn unreadable_java(image: &str) -> Value {
    let start = "java=$(busybox readlink -f \"$(busybox which java)\") && busybox chmod 0711 \"$java\" &&
        exec /bin/setpriv --reuid 10001 --regid 10001 --clear-groups \
            sh -c 'exec java -Xmx96m -XX:+UseSerialGC -cp /app App'";
    manifest::container("app", image, &["sh", "-c", start])
}

#[test]
fn a_java_that_may_not_be_read_is_named_and_no_capability_is_asked_for() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[unreadable_java(image)]));
    let refused = pod.jattach(["threaddump"]).ended_with(6).is_error("JAT-009.unreadable-java");
    let _ = refused.says("closed to its own user").says("not dumpable").says("0711");
    let containers = pod.ephemeral_containers();
    assert_eq!(containers.len(), 1, "{containers:#?}");
    assert_eq!(containers[0]["securityContext"]["capabilities"]["add"], Value::Null, "{containers:#?}");
    jvm::answers(&pod, "app");
}

#[test]
fn a_java_that_may_not_be_read_is_served_where_the_target_has_the_capability_to() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let context = json!({"runAsUser": 0, "runAsGroup": 0, "capabilities": {"add": ["SYS_PTRACE"]}});
    let pod = namespace.start(&manifest::pod("x", &[with_security(unreadable_java(image), context)]));
    for _ in 0..2 {
        let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    }
    let containers = pod.ephemeral_containers();
    assert_eq!(containers.len(), 1, "{containers:#?}");
    jvm::answers(&pod, "app");
}

#[test]
fn a_uid_without_a_name_and_with_another_gid_is_served() {
    let namespace = Namespace::new();
    let container = with_security(manifest::jvm("app"), json!({"runAsUser": 4242, "runAsGroup": 2424}));
    let pod = namespace.start(&manifest::pod("x", &[container]));
    serves(&pod);
    let context = &pod.ephemeral_containers()[0]["securityContext"];
    assert_eq!((&context["runAsUser"], &context["runAsGroup"]), (&4242.into(), &2424.into()));
}

#[test]
fn a_uid_without_a_gid_is_served() {
    let namespace = Namespace::new();
    // The runtime gives it the gid of passwd or 0: only the container's own status tells.
    let container = with_security(manifest::jvm("app"), json!({"runAsUser": 4242}));
    serves(&namespace.start(&manifest::pod("x", &[container])));
}

#[test]
fn a_uid_that_only_the_image_names_is_served() {
    let Some(image) = &cluster().jvm_user_image else {
        return skip("no image with a user of its own was given (--jvm-user-image)");
    };
    let namespace = Namespace::new();
    let mut container = manifest::jvm("app");
    container["image"] = image.as_str().into();
    let pod = namespace.start(&manifest::pod("x", &[container]));
    serves(&pod);
    for container in pod.ephemeral_containers() {
        assert_ne!(container["securityContext"]["runAsUser"], 0, "{container:#}");
    }
}

#[test]
fn an_entrypoint_that_drops_to_another_uid_is_served_by_two_containers_at_most() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let start =
        "exec /bin/setpriv --reuid 10001 --regid 10001 --clear-groups java -Xmx96m -XX:+UseSerialGC -cp /app App";
    let container = manifest::container("app", image, &["sh", "-c", start]);
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let listed = pod.jattach(["ps", "-o", "json"]).succeeded().json();
    assert_eq!(listed[0]["uid"], 10001, "{listed:#}");
    // The pod's status tells of root: a root container takes the JVM's uid on. Where it tells nothing, the first container
    // may only look, and says as whom the second has to run.
    serves(&pod);
    let containers = pod.ephemeral_containers();
    assert!(containers.len() <= 2, "{containers:#?}");
    serves(&pod);
    assert_eq!(pod.ephemeral_containers().len(), containers.len());
}

/// The shell image's application, started by process 1 as a child of its own, as an init for containers does (tini, dumb-init).
/// `None` where the image has no setpriv.
fn under_an_init<'n>(namespace: &'n Namespace, image: &str, prepare: &str, java: &str) -> Option<Pod<'n>> {
    // busybox has a setpriv of its own, which changes no user.
    let tools = "test -x /bin/setpriv && test -x /bin/setcap";
    let script = format!(
        "{tools} || exec busybox sleep 1000000; {prepare} {java} -Xmx96m -XX:+UseSerialGC -cp /app App & wait; exit 1"
    );
    namespace.create(&manifest::pod("x", &[manifest::container("app", image, &["sh", "-c", &script])]));
    let pod = namespace.pod("x");
    pod.wait_for("condition=Ready");
    if pod.exec("app", ["sh", "-c", tools]).code() != Some(0) {
        return None;
    }
    pod.wait_for_line("app", "ready");
    Some(pod)
}

/// The JVM has NET_BIND_SERVICE, and is no root.
fn has_a_capability(pod: &Pod<'_>) {
    let status = "busybox grep -E 'CapPrm|Uid' /proc/$(busybox pidof java)/status";
    let _ = pod.exec("app", ["sh", "-c", status]).succeeded().prints("0000000000000400").prints("10001");
}

const NO_SETPRIV: &str = "this image has no setpriv and no setcap";

#[test]
fn a_user_of_a_root_entrypoint_under_an_init_is_served() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let java = "/bin/setpriv --reuid 10001 --regid 10001 --clear-groups java";
    let Some(pod) = under_an_init(&namespace, image, "", java) else { return skip(NO_SETPRIV) };
    let listed = pod.jattach(["ps", "-o", "json"]).succeeded().json();
    assert_eq!((&listed[0]["uid"], listed[0]["pid"] == 1), (&10001.into(), false), "{listed:#}");
    serves(&pod);
    assert!(pod.ephemeral_containers().len() <= 2);
}

#[test]
fn a_user_with_ambient_capabilities_is_served() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let java = "/bin/setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=+net_bind_service \
                --ambient-caps=+net_bind_service java";
    let Some(pod) = under_an_init(&namespace, image, "", java) else { return skip(NO_SETPRIV) };
    has_a_capability(&pod);
    serves(&pod);
    assert!(pod.ephemeral_containers().len() <= 2);
}

#[test]
fn a_java_with_capabilities_of_its_file_is_served() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    // The loader looks for the libraries of such a program in its own directories alone.
    let prepare = "java=$(busybox readlink -f \"$(busybox which java)\");
        busybox cp \"${java%/bin/java}\"/lib/libjli.so /lib/;
        /bin/setcap cap_net_bind_service+ep \"$java\";";
    let java = "/bin/setpriv --reuid 10001 --regid 10001 --clear-groups java";
    let Some(pod) = under_an_init(&namespace, image, prepare, java) else { return skip(NO_SETPRIV) };
    has_a_capability(&pod);
    serves(&pod);
    assert!(pod.ephemeral_containers().len() <= 2);
}

#[test]
fn where_the_pod_does_not_tell_the_uid_a_second_container_fits() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    let told = pod.get()["status"]["containerStatuses"][0]["user"].is_object();
    // What the first one cannot see must not be taken for what it is.
    let ran = pod.jattach(["ps"]).succeeded().prints("HotSpot");
    if told {
        assert_eq!(pod.ephemeral_containers().len(), 1, "{ran}");
        return skip("this cluster's status tells the uid of every container");
    }
    let _ = ran.says("The JVM runs as 0:0").says("takes a second debug container");
    serves(&pod);
    assert_eq!(pod.ephemeral_containers().len(), 2);
}

#[test]
fn of_two_containers_that_share_a_process_namespace_each_shows_its_own_jvm() {
    let namespace = Namespace::new();
    let java = |name: &str, port: &str| {
        manifest::restricted(manifest::jvm_with(name, &["--thread", &format!("thread-of-{name}"), "--port", port]))
    };
    let mut pod = manifest::pod("x", &[java("red", "7070"), java("blue", "7071")]);
    pod["spec"]["shareProcessNamespace"] = true.into();
    let pod = namespace.start(&pod);
    pod.wait_for_line("blue", "ready");
    let pid_of = |container: &str| {
        let listed = pod.jattach(["-c", container, "ps", "-o", "json"]).succeeded().json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
        let _ = pod.jattach(["-c", container, "threaddump"]).succeeded().prints(&format!("thread-of-{container}"));
        listed[0]["pid"].to_string()
    };
    let [reds, blues] = ["red", "blue"].map(pid_of);
    assert_ne!(reds, blues);
    let other = pod.jattach(["-c", "red", "--pid", &blues, "threaddump"]).ended_with(2).explains();
    let _ = other.says("runs in another container");
}

#[test]
fn a_pod_that_shares_its_process_namespace_is_served() {
    let namespace = Namespace::new();
    let mut pod = manifest::pod("x", &[manifest::restricted(manifest::jvm("app"))]);
    pod["spec"]["shareProcessNamespace"] = true.into();
    let pod = namespace.start(&pod);
    serves(&pod);
    let listed = pod.jattach(["ps", "-o", "json"]).succeeded().json();
    assert_ne!(listed[0]["pid"], 1, "{listed:#}");
}
