//! Pods that no injector can be put into, and containers that go while they are asked.

use jattach_e2e::{Namespace, cluster, jvm, manifest, shell_image_or_skip, skip};
use serde_json::{Value, json};

#[test]
fn a_pod_that_is_being_deleted_is_left_alone() {
    let namespace = Namespace::new();
    // As process 1 a program is only sent the signals that it handles: with -Xrs a JVM stays until its grace ends.
    let container = manifest::restricted(manifest::java("app", &["-Xrs", "-cp", "/app", "App"]));
    let mut pod = manifest::pod("x", &[container]);
    pod["spec"]["terminationGracePeriodSeconds"] = 300.into();
    let pod = namespace.start(&pod);
    namespace.kubectl(["delete", "pod", "x", "--wait=false"]);
    for command in ["ps", "threaddump", "dumpheap"] {
        let _ = pod
            .jattach([command])
            .ended_with(3)
            .is_error("JAT-171.deleted")
            .says("is being deleted")
            .says("deletionTimestamp");
    }
    assert!(pod.ephemeral_containers().is_empty());
    jvm::answers(&pod, "app");
    pod.delete();
}

#[test]
fn a_pod_on_windows_is_refused_by_its_spec() {
    let namespace = Namespace::new();
    let on = |name: &str, change: fn(&mut Value)| {
        let mut pod = manifest::pod(name, &[manifest::jvm("app")]);
        change(&mut pod["spec"]);
        namespace.create(&pod);
        let _ = namespace
            .pod(name)
            .jattach(["threaddump"])
            .ended_with(3)
            .is_error(&format!("JAT-172.{name}"))
            .says("runs on Windows");
    };
    on("selected", |spec| spec["nodeSelector"] = json!({"kubernetes.io/os": "windows"}));
    on("named", |spec| spec["os"] = json!({"name": "windows"}));
}

#[test]
fn a_static_pod_is_refused_with_the_line_that_serves_it() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let command = ["java", "-Xmx96m", "-XX:+UseSerialGC", "-cp", "/app", "App"];
    let pod = namespace.start(&manifest::pod("x", &[manifest::container("app", image, &command)]));
    // A kubelet marks what it reads from files so. A whole API server lets nobody else do that.
    let mark = namespace.kubectl_program().args(["annotate", "pod", "x", "kubernetes.io/config.mirror=0"]).run();
    if mark.code() != Some(0) {
        return skip("this cluster lets nobody make a pod look like a static one");
    }
    let jattach = || pod.cluster().bare_plugin_of_admin();
    let refused = jattach().args(["-n", &namespace.name, "pod/x", "threaddump", "--locks"]).run();
    let refused = refused.ended_with(3).explains().says("is a static pod");
    assert!(pod.ephemeral_containers().is_empty());
    let line = refused.stderr.lines().find_map(|line| line.split_once(": kubectl jattach ")).expect("a command line").1;
    let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with("--kubeconfig=")).collect();
    assert!(words.contains(&"--via=exec") && words.contains(&"--locks") && words.contains(&"pod/x"), "{line}");
    let _ = jattach().args(words).run().succeeded().prints("Full thread dump");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn a_node_without_exec_is_named_and_not_taken_for_a_pod_that_is_not_there() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for answer in ["501", "404", "405"] {
        // The lab knows the word; to other clusters it means nothing.
        let word = format!("lab.jattach/node-answers-exec={answer}");
        namespace.kubectl(["annotate", "--overwrite", "pod", "x", &word]);
        let ran = pod.jattach(["threaddump"]);
        if ran.code() == Some(0) {
            return skip("every node of this cluster serves exec");
        }
        let _ = ran
            .ended_with(1)
            .is_error(&format!("JAT-118.{answer}"))
            .says("serves no exec")
            .says(answer)
            .says("replica on another node");
    }
}

#[test]
fn a_pod_that_sees_the_nodes_processes_and_one_with_users_of_its_own_are_served() {
    let namespace = Namespace::new();
    let handlers = "jsonpath={.items[*].status.runtimeHandlers[*].features.userNamespaces}";
    let maps_users = cluster().kubectl().args(["get", "nodes", "-o", handlers]).run().text().contains("true");
    for (field, value, can) in [("hostPID", true, true), ("hostUsers", false, maps_users)] {
        let mut pod = manifest::pod(&field.to_lowercase(), &[manifest::restricted(manifest::jvm("app"))]);
        pod["spec"][field] = value.into();
        let create = namespace.kubectl_program().args(["create", "--validate=false", "-f", "-"]);
        if !can || create.stdin(pod.to_string()).run().code() != Some(0) {
            skip(&format!("this cluster takes no pod with {field}: {value}"));
            continue;
        }
        let pod = namespace.started(&pod);
        let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
        // Other pods' JVMs may run on that node.
        let listed = pod.jattach(["ps", "-o", "json"]).succeeded().json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
        jvm::answers(&pod, "app");
    }
}

#[test]
fn a_container_that_restarts_in_the_middle_of_a_text_command_is_told_of() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    // The shell is process 1, so that java can be ended from inside; who dumps into a FIFO that nobody drains never answers.
    let start = "busybox mkfifo /tmp/never; busybox sleep 1000000 3<>/tmp/never &
        java -Xmx96m -XX:+UseSerialGC -cp /app App; exit 1";
    let pod = namespace.start(&manifest::pod("x", &[manifest::container("app", image, &["sh", "-c", start])]));
    let before = pod.get()["status"]["containerStatuses"][0]["restartCount"].clone();
    // A first one, so that it is the JVM that is being waited for.
    let _ = pod.jattach(["ps"]).succeeded();
    let asking = pod.plugin(["jcmd", "GC.heap_dump", "-overwrite", "/tmp/never"]).start();
    // The JVM has opened it: then the command is in its middle.
    let opened = "until busybox ls -l /proc/$(busybox pidof java)/fd | busybox grep -q /tmp/never; do busybox usleep 20000; done";
    let _ = pod.exec("app", ["sh", "-c", opened]).succeeded();
    let _ = pod.exec("app", ["busybox", "killall", "-9", "java"]).succeeded();
    let _ = asking.wait().ended_with(3).explains().says("ended");
    pod.wait_for(&format!(
        "jsonpath={{.status.containerStatuses[0].restartCount}}={}",
        before.as_u64().unwrap_or(0) + 1
    ));
    pod.wait_for_line("app", "ready");
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
}
