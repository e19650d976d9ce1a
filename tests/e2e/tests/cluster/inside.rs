//! `--via=exec`: the injector in the target's own container, where a shell puts it, and of which nothing stays there.

use std::path::Path;

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::run::Signal;
use jattach_e2e::shell_image_or_skip;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Program, Proxy, cluster, dump, jvm, manifest, skip};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::exec_v4::WithoutV5;

/// The application in an image with a shell, under the strictest rules.
fn app(image: &str) -> Value {
    let mut app = manifest::restricted(manifest::jvm("app"));
    app["image"] = image.into();
    app
}

fn start<'n>(namespace: &'n Namespace, image: &str) -> Pod<'n> {
    namespace.start(&manifest::pod("x", &[app(image)]))
}

/// The plugin's command in the target's own container, by that kubeconfig.
fn by<'a>(config: &Path, pod: &Pod<'_>, words: impl IntoIterator<Item = &'a str>) -> Program {
    let plugin = cluster().bare_plugin().arg("--kubeconfig").arg(config);
    plugin.args(["-n", &pod.namespace.name, "--via=exec", &format!("pod/{}", pod.name)]).args(words)
}

/// The same as the user who may do everything.
fn inside<'a>(pod: &Pod<'_>, words: impl IntoIterator<Item = &'a str>) -> Program {
    let plugin = cluster().bare_plugin_of_admin().args(["-n", &pod.namespace.name]);
    plugin.args(["--via=exec", &format!("pod/{}", pod.name)]).args(words)
}

fn sh(pod: &Pod<'_>, script: &str) -> String {
    pod.exec("app", ["sh", "-c", script]).succeeded().text()
}

/// Waits until no injector runs in the container any more; then nothing of it is there, the application answers, and the pod
/// has got no container.
#[track_caller]
fn nothing_is_left(pod: &Pod<'_>) {
    let gone = "while ps -o args | grep -E '[i]njector inside|[j]attach-in-'; do sleep 0.1; done > /dev/null";
    let _ = sh(pod, gone);
    let left = sh(pod, "find / -xdev -name '.jattach-*' 2> /dev/null; find /dev/shm -name '.jattach-*'; true");
    assert_eq!(left, "", "{}", pod.name);
    jvm::answers(pod, "app");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn commands_are_done_in_the_targets_container_and_leave_nothing() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let _ = inside(&pod, ["threaddump"]).run().succeeded().prints("Full thread dump");
    let _ = inside(&pod, ["ps"]).run().succeeded().prints("10001:10001   HotSpot");
    let _ = inside(&pod, ["jcmd", "VM.version"]).run().succeeded().prints("JDK ");
    let _ = inside(&pod, ["jcmd", "No.such_command"]).run().ended_with(7).explains();
    let _ = inside(&pod, ["clean"]).run().succeeded();
    nothing_is_left(&pod);
}

#[test]
fn a_heap_dump_is_whole_and_no_disk_of_the_target_sees_it() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let directory = tempdir().expect("a directory");
    let dumped = inside(&pod, ["dumpheap", "x.hprof"]).directory(directory.path()).run().succeeded();
    let _ = dumped.says("verified to its end").says("nothing waits in the pod, the JVM does");
    dump::verify(&directory.path().join("x.hprof"));
    assert_eq!(dump::names(directory.path()), ["x.hprof"]);
    nothing_is_left(&pod);
}

#[test]
fn an_agent_of_this_machine_is_loaded_and_removed() {
    let image = shell_image_or_skip!();
    let directory = tempdir().expect("a directory");
    let agent = directory.path().join("agent.so");
    if let Err(reason) = super::load::compile(&agent) {
        return skip(&reason);
    }
    let namespace = Namespace::new();
    let pod = start(&namespace, image);
    let _ = inside(&pod, ["load", "--upload"]).arg(&agent).arg("hello=1").run().succeeded();
    pod.wait_for_line("app", "agent says hello=1");
    nothing_is_left(&pod);
}

#[test]
fn to_get_pods_and_to_exec_is_all_that_has_to_be_granted() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    ]);
    let directory = tempdir().expect("a directory");
    let joe = ServiceAccount::with_rules(&namespace, "joe", &rules).kubeconfig().write(directory.path());
    let _ = by(&joe, &pod, ["threaddump"]).run().succeeded().prints("Full thread dump");
    // Whoever may not do it the usual way is told of this one.
    let refused = pod.plugin_by(&joe, ["threaddump"]).run().ended_with(4).explains();
    let _ = refused.says(&format!("--via=exec pod/{} threaddump", pod.name));
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let ann = ServiceAccount::with_rules(&namespace, "ann", &rules).kubeconfig().write(directory.path());
    let _ = by(&ann, &pod, ["threaddump"]).run().ended_with(4).explains().says("pods/exec");
    nothing_is_left(&pod);
}

#[test]
fn a_static_pod_is_served() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let annotate = namespace.kubectl_program().args(["annotate", "pod", "x", "kubernetes.io/config.mirror=abc"]).run();
    if annotate.code() != Some(0) {
        return skip("this API server marks none but the kubelet's pods as static");
    }
    let refused = pod.jattach(["threaddump"]).ended_with(3).explains().says("is a static pod");
    let _ = refused.says("--via=exec pod/x threaddump");
    let _ = inside(&pod, ["threaddump"]).run().succeeded().prints("Full thread dump");
    nothing_is_left(&pod);
}

#[test]
fn an_entrypoint_that_drops_to_another_uid_is_served() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let start =
        "exec /bin/setpriv --reuid 10001 --regid 10001 --clear-groups java -Xmx96m -XX:+UseSerialGC -cp /app App";
    let pod = namespace.start(&manifest::pod("x", &[manifest::container("app", image, &["sh", "-c", start])]));
    let _ = inside(&pod, ["threaddump"]).run().succeeded().prints("Full thread dump");
    let listed = inside(&pod, ["ps", "-o", "json"]).run().succeeded().json();
    assert_eq!(listed[0]["uid"], 10001, "{listed:#}");
    nothing_is_left(&pod);
}

#[test]
fn an_image_without_a_shell_is_refused() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = inside(&pod, ["threaddump"]).run().ended_with(5).is_error("JAT-160.no-shell");
    jvm::answers(&pod, "app");
}

#[test]
fn a_container_without_a_writable_place_to_run_it_from_is_refused() {
    let namespace = Namespace::new();
    // A /dev/shm of its own: in the usual one a program may be run where runc is 1.2 or newer.
    let mut app = manifest::mounting(app(shell_image_or_skip!()), "sealed", "/dev/shm");
    app["volumeMounts"][0]["readOnly"] = true.into();
    app["securityContext"]["readOnlyRootFilesystem"] = true.into();
    let pod = namespace.start(&manifest::with_volume(manifest::pod("x", &[app]), "sealed"));
    let refused = inside(&pod, ["threaddump"]).run().ended_with(5).explains();
    let _ = refused.says("Read-only file system").says("no place to run a program from");
    nothing_is_left(&pod);
}

/// The first part of the target's id, which every name has.
fn id(pod: &Pod<'_>) -> String {
    let pod = pod.get();
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().expect("an id");
    id.rsplit("//").next().expect("an id")[..12].to_owned()
}

#[test]
fn what_was_put_in_its_way_is_neither_followed_nor_touched() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    // A link in the place of the names to come, which end with process ids: each `ln` takes one, and so does a ready one.
    let plant = format!(
        "mkdir /tmp/victim; echo mine > /tmp/victim/injector; n=$(($$ + 300)); \
         until [ $n -gt $(($$ + 600)) ]; do busybox ln -s /tmp/victim /tmp/.jattach-in-{}-$n; n=$((n + 1)); done",
        id(&pod)
    );
    let _ = sh(&pod, &plant);
    // It goes elsewhere, or says that it cannot.
    let ran = inside(&pod, ["threaddump", "-v"]).run();
    let elsewhere = ran.stderr.contains("directory=") && !ran.stderr.contains("directory=/tmp/");
    assert!(elsewhere || ran.stderr.contains("File exists"), "no link was in the way\n{ran}");
    assert_eq!(sh(&pod, "cat /tmp/victim/*; ls -A /tmp/victim"), "mine\ninjector\n");
    assert_eq!(sh(&pod, "find /tmp -name '.jattach-in-*' -type l | grep -c ."), "301\n");
    jvm::answers(&pod, "app");
}

#[test]
fn what_one_that_was_killed_has_left_the_next_one_removes() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let old = format!("/tmp/.jattach-in-{}-4194303", id(&pod));
    let _ = sh(&pod, &format!("mkdir {old} /tmp/.jattach-in-another-1 && touch {old}/injector"));
    let _ = inside(&pod, ["clean"]).run().succeeded();
    // Another container's, in a /tmp that they share, is none of its own.
    assert_eq!(sh(&pod, "ls -A /tmp | grep jattach-in; rmdir /tmp/.jattach-in-another-1"), ".jattach-in-another-1\n");
    nothing_is_left(&pod);
}

#[test]
fn two_clients_at_once_do_not_disturb_each_other() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let running: Vec<_> = (0..2).map(|_| inside(&pod, ["threaddump"]).start()).collect();
    for one in running {
        let _ = one.wait().succeeded().prints("Full thread dump");
    }
    nothing_is_left(&pod);
}

/// A pod whose dump takes a while, and the plugin's command through a proxy.
fn dump_through<'n>(namespace: &'n Namespace, image: &str, proxy: &Proxy, directory: &Path) -> (Pod<'n>, Program) {
    let mut app = manifest::restricted(manifest::jvm_with("app", &["--heap-mb", "48", "--content", "random"]));
    app["image"] = image.into();
    let pod = namespace.start(&manifest::pod("x", &[app]));
    let config = Kubeconfig::admin().through(&proxy.url()).write(directory);
    let program = by(&config, &pod, ["dumpheap", "x.hprof", "--yes"]).directory(directory);
    (pod, program)
}

/// More than the upload has, and less than the dump.
const UNDER_WAY: u64 = 8 << 20;

#[test]
fn a_client_that_is_killed_leaves_nothing() {
    let image = shell_image_or_skip!();
    let (namespace, directory) = (Namespace::new(), tempdir().expect("a directory"));
    let proxy = Proxy::start().with(Fault::Rate(8 << 20));
    let (pod, program) = dump_through(&namespace, image, &proxy, directory.path());
    let running = program.start();
    proxy.wait_until_passed(UNDER_WAY);
    running.kill();
    nothing_is_left(&pod);
}

#[test]
fn a_client_that_is_interrupted_leaves_nothing_and_promises_nothing() {
    let image = shell_image_or_skip!();
    let (namespace, directory) = (Namespace::new(), tempdir().expect("a directory"));
    let proxy = Proxy::start().with(Fault::Rate(8 << 20));
    let (pod, program) = dump_through(&namespace, image, &proxy, directory.path());
    let running = program.start();
    proxy.wait_until_passed(UNDER_WAY);
    running.signal(Signal::INT);
    let ran = running.wait().ended_with(130);
    assert!(!ran.stderr.contains("Go on with"), "{ran}");
    nothing_is_left(&pod);
}

#[test]
fn what_does_not_arrive_whole_is_not_run_and_leaves_nothing() {
    const SCRIPT: &str = include_str!("../../../../plugin/src/inside/enter.sh");
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let whole = sh(&pod, "printf 'exit 7' | sha256sum");
    let hash = whole.split(' ').next().expect("a hash");
    for (sent, last) in [
        // Its client ends before, within, and after the program; then one that is damaged.
        (String::new(), "at "),
        (format!("6 {hash}\nexit"), "damaged"),
        (format!("6 {hash}\nexit 7"), "whole"),
        (format!("6 {hash}\nexit 8run\n"), "damaged"),
        (format!("6 {hash}\nexit 7no\n"), "whole"),
    ] {
        let exec = namespace.kubectl_program().args(["exec", "-i", "x", "-c", "app", "--"]);
        let ran = exec.args(["sh", "-c", SCRIPT, "jattach", &id(&pod)]).stdin(sent).run().ended_with(1);
        assert!(ran.text().lines().last().is_some_and(|line| line.starts_with(last)), "{last}: {ran}");
        nothing_is_left(&pod);
    }
}

#[test]
fn the_fourth_version_of_exec_is_enough() {
    let namespace = Namespace::new();
    let pod = start(&namespace, shell_image_or_skip!());
    let directory = tempdir().expect("a directory");
    let way = WithoutV5::start();
    let (relay, config) = (&way.relay, &way.config);
    let _ = by(config, &pod, ["threaddump"]).run().succeeded().prints("Full thread dump");
    let file = directory.path().join("x.hprof");
    let _ = by(config, &pod, ["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    assert!(relay.count() >= 2, "{} offers of the fifth version", relay.count());
    nothing_is_left(&pod);
}
