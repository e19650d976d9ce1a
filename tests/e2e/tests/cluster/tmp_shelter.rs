//! `--profile=sysadmin` for a JVM without a /tmp: a tmpfs for the time of a command, and nothing of it afterwards.

use jattach_e2e::run::Signal;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Proxy, Running, dump, jvm, manifest, shell_image_or_skip};
use serde_json::{Value, json};
use tempfile::tempdir;

/// The application of the image with a shell, on a read-only root.
fn sealed(image: &str) -> Value {
    let command = ["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "/app", "App"];
    let mut container = manifest::container("app", image, &command);
    container["securityContext"] = json!({"readOnlyRootFilesystem": true});
    container
}

fn mounts(pod: &Pod<'_>) -> String {
    pod.exec("app", ["cat", "/proc/1/mounts"]).succeeded().text()
}

/// The pod's containers that have mounted something.
fn shelters(pod: &Pod<'_>) -> Vec<Value> {
    let all = pod.ephemeral_containers();
    all.into_iter().filter(|container| container["command"][1] == "shelter").collect()
}

#[test]
fn a_tmpfs_lies_over_the_targets_tmp_for_as_long_as_a_command_takes() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let container = manifest::restricted(sealed(image));
    let mut container = container;
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let before = mounts(&pod);
    let ran = pod.jattach(["threaddump", "--profile=sysadmin"]).succeeded().prints("Full thread dump");
    let _ = ran.says("has mounted an empty tmpfs").says("is as it was");
    assert_eq!(mounts(&pod), before);

    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let _ = pod.plugin(["dumpheap", "--profile=sysadmin"]).arg(&file).run().succeeded();
    dump::verify(&file);
    assert_eq!(mounts(&pod), before);
    jvm::answers(&pod, "app");

    // The privileges are in a container of their own, and the injector has those of the target.
    let all = pod.ephemeral_containers();
    let privileged: Vec<_> = all.iter().filter(|one| one["securityContext"]["privileged"] == true).collect();
    assert_eq!(privileged.len(), 2, "{all:#?}");
    assert!(privileged.iter().all(|one| one["command"] == json!(["/injector", "shelter", "1"])), "{all:#?}");
    assert_eq!(all.len(), 3, "one injector has served both: {all:#?}");
    for shelter in shelters(&pod) {
        let name = shelter["name"].as_str().expect("a name");
        let ended = format!(
            "jsonpath={{.status.ephemeralContainerStatuses[?(@.name==\"{name}\")].state.terminated.exitCode}}=0"
        );
        pod.wait_for(&ended);
    }
}

#[test]
fn without_the_profile_nothing_is_mounted_and_with_a_tmp_neither() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["threaddump", "--profile=sysadmin"]).succeeded().prints("Full thread dump");
    assert!(shelters(&pod).is_empty());
    let pod = namespace.start(&manifest::pod("y", &[sealed(shell_image_or_skip!())]));
    let before = mounts(&pod);
    let _ = pod.jattach(["threaddump"]).ended_with(6).explains();
    let _ = pod.jattach(["threaddump", "--profile=general"]).ended_with(6).explains();
    assert!(shelters(&pod).is_empty());
    assert_eq!(mounts(&pod), before);
}

#[test]
fn a_dry_run_shows_the_privileged_container_and_the_server_is_asked_for_it_too() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for place in ["--dry-run=client", "--dry-run=server"] {
        let ran = pod.jattach(["threaddump", "--profile=sysadmin", place, "-o", "json"]).succeeded();
        let printed = ran.says("only where the target's /tmp takes no file").json();
        let all = printed["spec"]["ephemeralContainers"].as_array().expect("a list").clone();
        let commands: Vec<_> = all.iter().map(|one| one["command"][1].as_str().expect("a word")).collect();
        assert_eq!(commands, ["hold", "shelter"], "{printed:#}");
        assert_eq!(all[0]["securityContext"].get("privileged"), None, "{printed:#}");
        assert_eq!(all[1]["securityContext"]["privileged"], true, "{printed:#}");
    }
    namespace.kubectl(["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=baseline"]);
    let ran = pod.jattach(["threaddump", "--profile=sysadmin", "--dry-run=server"]).ended_with(4).explains();
    let _ = ran.says("privileged (container").says("leave it out");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn a_client_that_is_killed_takes_the_tmpfs_with_it() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let mut app = manifest::jvm_with("app", &["--heap-mb", "48", "--content", "random"]);
    app["image"] = image.into();
    app["securityContext"] = json!({"readOnlyRootFilesystem": true});
    let pod = namespace.start(&manifest::pod("x", &[app]));
    let before = mounts(&pod);
    // A dump takes seconds through it.
    let (proxy, directory) = (Proxy::start().with(Fault::Rate(8 << 20)), tempdir().expect("a directory"));
    let config = Kubeconfig::admin().through(&proxy.url()).write(directory.path());
    let seen = when_mounted(&pod, "echo seen");
    let dump = ["dumpheap", "x.hprof", "--yes", "--profile=sysadmin"];
    let client = pod.plugin_by(&config, dump).directory(directory.path()).start();
    let _ = seen.wait().succeeded();
    proxy.wait_until_passed(8 << 20);
    assert!(mounts(&pod).contains("jattach-"), "it was taken away before");
    client.signal(Signal::KILL);
    let ran = client.wait();
    assert_eq!(ran.code(), None, "it had ended by itself\n{ran}");
    let gone = ["sh", "-c", "while grep -q jattach- /proc/1/mounts; do :; done"];
    let _ = pod.exec("app", gone).succeeded();
    assert_eq!(mounts(&pod), before);
    jvm::answers(&pod, "app");
}

#[test]
fn what_a_killed_shelter_has_left_the_next_one_takes_away() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[sealed(image)]));
    let before = mounts(&pod);
    // The target is root, too, and may kill what it sees: who has mounted stands still until the container's main process, which
    // would clear up, is gone. Most runtimes kill with that what was exec'd beside it.
    let kill = "kill -STOP $maker
        for p in /proc/[0-9]*; do
            words=$(busybox tr '\\0' ' ' < $p/cmdline 2>/dev/null)
            case \"$words\" in '/injector shelter 1 ') kill -9 ${p#/proc/};; esac
        done
        kill -9 $maker 2>/dev/null || true";
    let killer = when_mounted(&pod, kill);
    let _ = pod.jattach(["inspectheap", "--profile=sysadmin"]);
    let _ = killer.wait().succeeded();
    assert!(mounts(&pod).contains("jattach-"), "nothing was left to be taken away");
    jvm::answers(&pod, "app");
    let _ = pod.jattach(["doctor"]).succeeded().prints("\nwarn  /tmp writable    a tmpfs lies over it");
    let _ = pod.jattach(["threaddump", "--profile=sysadmin"]).succeeded().prints("Full thread dump");
    assert_eq!(mounts(&pod), before);
    jvm::answers(&pod, "app");
}

#[test]
fn a_tmp_that_holds_something_is_not_hidden() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let mut app = sealed(image);
    app["volumeMounts"] = json!([{"name": "kept", "mountPath": "/tmp", "readOnly": true}]);
    let filling = ["sh", "-c", "echo > /kept/precious"];
    let filling = manifest::mounting(manifest::container("filling", image, &filling), "kept", "/kept");
    let mut manifest = manifest::with_volume(manifest::pod("x", &[app]), "kept");
    manifest["spec"]["initContainers"] = json!([filling]);
    let pod = namespace.start(&manifest);
    let before = mounts(&pod);
    let ran = pod.jattach(["threaddump", "--profile=sysadmin"]).ended_with(6).explains();
    let _ = ran.says("precious").says("volume kept is mounted at /tmp").says("--via-log");
    assert_eq!(mounts(&pod), before);
    jvm::answers(&pod, "app");
}

#[test]
fn a_level_that_forbids_privileges_refuses_it_and_nothing_is_done() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::enforcing("baseline");
    let pod = namespace.start(&manifest::pod("x", &[sealed(image)]));
    let before = mounts(&pod);
    let _ = pod.jattach(["threaddump", "--profile=sysadmin"]).ended_with(4).explains().says("Pod Security");
    assert_eq!(mounts(&pod), before);
    let _ = pod.jattach(["threaddump", "--via-log"]).succeeded().prints("Full thread dump");
}

/// Has a shell in the target's container do something as soon as there is a mount of `$maker`'s; it looks already.
fn when_mounted(pod: &Pod<'_>, script: &str) -> Running {
    let script = format!(
        "echo looking; until maker=$(grep -o 'jattach-[0-9]*' /proc/1/mounts); do :; done; maker=${{maker#jattach-}}; {script}"
    );
    let program = pod.namespace.kubectl_program().args(["exec", &pod.name, "-c", "app", "--", "sh", "-c", &script]);
    let mut looking = program.start();
    let _ = looking.line_with("looking").expect("a shell");
    looking
}
