//! What may do harm is asked about on a terminal, and refused in a script. A disk that is too small can be had anywhere: a tmpfs in
//! a mount namespace of the command's own. So can a liveness probe that allows too little: one whose turn never comes.

use std::path::Path;

use jattach_e2e::{Namespace, Pod, Program, Ran, cluster, dump, jvm, manifest, skip};
use rustix::process::geteuid;
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// Runs a shell's words, to which `$@` are the plugin's, in a directory of so many MiB. Then it lists what is there.
pub(crate) fn on_a_disk_of(megabytes: u32, script: &str) -> Option<(Program, TempDir)> {
    let unshare = Program::new(Path::new("unshare")).arg("--mount");
    let unshare = if geteuid().is_root() { unshare } else { unshare.arg("--map-root-user") };
    if unshare.clone().arg("true").run().code() != Some(0) {
        skip("no mount namespace can be had on this machine");
        return None;
    }
    let directory = tempdir().expect("a directory");
    let mount = format!("mount -t tmpfs -o size={megabytes}m tmpfs . && cd \"$PWD\"");
    let script = format!("{mount} && {script}; code=$?; echo \"left: $(ls -A)\"; exit $code");
    Some((unshare.args(["sh", "-c", &script, "sh"]).directory(directory.path()), directory))
}

/// Nothing was asked of the JVM, and nothing is left here.
#[track_caller]
fn was_not_dumped(pod: &Pod<'_>, ran: Ran) {
    let ran = ran.ended_with(1).prints("left: \n");
    let told = ran.text() + &ran.stderr;
    assert!(told.contains("there may be too little room here for the heap dump"), "{ran}");
    assert!(!told.contains("receiving"), "{ran}");
    assert_eq!(jvm::leftovers(pod, "app"), [""; 0]);
}

#[test]
fn a_disk_that_is_too_small_is_refused_in_a_script_and_tried_where_that_is_wanted() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let Some((starter, _directory)) = on_a_disk_of(4, "\"$@\"") else { return };
    let dump = pod.plugin(["dumpheap", "x.hprof"]);
    was_not_dumped(&pod, dump.clone().under(starter.clone()).run().is_error("JAT-190.small-disk"));
    // What does not fit is found out then, and what came is kept.
    let ran = dump.arg("-y").under(starter).run().ended_with(1).says("Go on with: ");
    let _ = ran.says("the heap dump would fill the disk").prints("left: x.hprof.part\n");
}

#[test]
fn a_disk_that_others_fill_meanwhile_is_said_to_be_full_and_what_came_is_kept() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    // Stopped while it is filled: it would be done before.
    let script = "{ \"$@\" 2>&1 & plugin=$!; }; \
        until [ \"$(stat -c %s x.hprof.part 2>/dev/null || echo 0)\" -gt 1000000 ]; do kill -0 $plugin || break; done; \
        kill -STOP $plugin; dd if=/dev/zero of=filler bs=64k 2>/dev/null; kill -CONT $plugin; wait $plugin";
    let Some((starter, _directory)) = on_a_disk_of(256, script) else { return };
    let ran = pod.plugin(["dumpheap", "x.hprof", "--yes"]).under(starter).run().ended_with(1).prints("Go on with: ");
    let _ = ran.prints("No space left on device").prints("left: filler\nx.hprof.part\n");
}

/// The plugin's command line for a shell.
pub(crate) fn as_a_line(namespace: &str, words: &str) -> String {
    let cluster = cluster();
    let mut line = vec![format!("'{}' --kubeconfig '{}'", cluster.plugin.display(), cluster.kubeconfig.display())];
    line.extend(cluster.context.iter().map(|context| format!("--context '{context}'")));
    line.push(format!("--image '{}' --image-pull-policy {}", cluster.injector_image, cluster.pull_policy));
    line.push(format!("-n {namespace} {words}"));
    line.join(" ")
}

#[test]
fn a_disk_that_is_too_small_is_asked_about_on_a_terminal() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    if !Path::new("/usr/bin/script").exists() {
        return skip("no /usr/bin/script gives a terminal");
    }
    let Some((starter, _directory)) = on_a_disk_of(4, "script -qec \"$LINE\" /dev/null") else { return };
    let line = as_a_line(&pod.namespace.name, &format!("pod/{} dumpheap x.hprof", pod.name));
    let asked = |answer: &str| starter.clone().env("LINE", &line).stdin(answer).run();
    let ran = asked("n\n").prints("Go ahead? [y/N]");
    was_not_dumped(&pod, ran);
    let _ = asked("y\n").ended_with(1).prints("Go ahead? [y/N]").prints("the heap dump would fill the disk");
}

/// More of it than a second is enough for to collect and to write, and less than one is to write alone.
const HEAP_MB: &str = "208";

#[test]
fn a_pause_that_the_liveness_probe_does_not_allow_is_refused_in_a_script() {
    let namespace = Namespace::new();
    let java = manifest::java("app", &["-Xmx384m", "-cp", "/app", "App", "--heap-mb", HEAP_MB]);
    let mut container = manifest::restricted(java);
    // Its first turn is a day away: what counts is what it would allow.
    container["livenessProbe"] = json!({
        "exec": {"command": ["java", "-version"]},
        "initialDelaySeconds": 24 * 60 * 60,
        "timeoutSeconds": 1,
        "failureThreshold": 1,
    });
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let directory = tempdir().expect("a directory");
    let dump = |flags: &[&str]| pod.plugin(["dumpheap", "x.hprof"]).args(flags).directory(directory.path()).run();
    let _ = dump(&[]).ended_with(1).is_error("JAT-194.liveness");
    assert_eq!(dump::names(directory.path()), [""; 0]);
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
    // As the remedies say.
    for flags in [&["--yes"][..], &["--all", "--force"]] {
        let _ = dump(flags).succeeded();
        dump::verify(&directory.path().join("x.hprof"));
    }
}
