//! What breaks while a heap dump is on its way, and what is left of it here and there.

use std::fs;

use jattach_e2e::run::Signal;
use jattach_e2e::{Fault, Namespace, Pod, dump, jvm, manifest, shell_image_or_skip};
use tempfile::tempdir;

use crate::transfer::{BRIEFLY, SOME, Transfer, start_large};

/// A dump without a proxy succeeds, by the injector that is there, and nothing of this one or an earlier one is left.
#[track_caller]
fn the_next_one_is_whole(pod: &Pod<'_>, flags: &[&str]) {
    the_next_one_is_whole_by(pod, flags, 1);
}

/// The same, and so many containers there are then.
#[track_caller]
fn the_next_one_is_whole_by(pod: &Pod<'_>, flags: &[&str], containers: usize) {
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("next.hprof");
    let _ = pod.plugin(["dumpheap"]).arg(&file).args(flags).run().succeeded();
    dump::verify(&file);
    assert_eq!(pod.ephemeral_containers().len(), containers);
    jvm::answers(pod, "app");
    assert_eq!(jvm::leftovers(pod, "app"), [""; 0]);
}

#[test]
fn a_connection_that_is_cut_leaves_a_part_and_the_next_dump_is_whole() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::CutAfter(SOME));
    let ran = transfer
        .program
        .clone()
        .args(BRIEFLY)
        .arg("--no-resume")
        .run()
        .ended_with(8)
        .is_error_however_seen("JAT-015.connection-cut");
    let _ = ran.says("x.hprof.part");
    transfer.is_kept_as_part();
    the_next_one_is_whole(&pod, &["--wait"]);
}

#[test]
fn a_connection_that_stands_still_is_given_up() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::StallAfter(SOME));
    let _ = transfer.program.clone().args(BRIEFLY).arg("--no-resume").run().ended_with(8).explains();
    transfer.is_kept_as_part();
    drop(transfer);
    the_next_one_is_whole(&pod, &["--wait"]);
}

#[test]
fn a_connection_that_stands_still_for_a_moment_brings_everything() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::StallAfter(SOME));
    let running = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    transfer.proxy.release();
    let _ = running.wait().succeeded();
    dump::verify(&transfer.file());
}

#[test]
fn a_slow_connection_brings_everything() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(12 << 20));
    let _ = transfer.program.clone().run().succeeded();
    dump::verify(&transfer.file());
    assert_eq!(transfer.names(), ["x.hprof"]);
}

#[test]
fn an_interrupted_dump_leaves_nothing_in_the_pod() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().args(BRIEFLY).start();
    transfer.proxy.wait_until_passed(SOME);
    running.signal(Signal::INT);
    let _ = running.wait().ended_with(130).is_error("JAT-017.interrupted");
    transfer.is_kept_as_part();
    the_next_one_is_whole(&pod, &["--wait"]);
}

#[test]
fn an_interrupted_dump_to_a_pipe_is_kept_for_nobody() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::to_nowhere(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().arg("-").start();
    transfer.proxy.wait_until_passed(SOME);
    running.signal(Signal::INT);
    let _ = running.wait().ended_with(130).says("interrupted");
    the_next_one_is_whole(&pod, &["--wait"]);
}

#[test]
fn a_client_that_is_killed_leaves_nothing_in_the_pod() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().args(BRIEFLY).start();
    transfer.proxy.wait_until_passed(SOME);
    running.kill();
    transfer.is_kept_as_part();
    the_next_one_is_whole(&pod, &["--wait"]);
}

#[test]
fn a_client_that_was_stopped_does_not_keep_the_jvm_from_others() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().args(BRIEFLY).start();
    transfer.proxy.wait_until_passed(SOME);
    running.signal(Signal::STOP);
    the_next_one_is_whole(&pod, &["--wait"]);
    // It wakes up to find that it was taken for dead, and that nobody has kept its dump for it: whether another pause may be
    // is not its decision.
    running.signal(Signal::CONT);
    let _ = running.wait().ended_with(8).explains();
    transfer.is_kept_as_part();
    let _ = transfer.program.clone().run().succeeded().says("cannot be gone on with").says("starting afresh");
    dump::verify(&transfer.file());
}

#[test]
fn a_second_command_is_told_what_the_injector_is_busy_with_or_waits() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let first = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    let _ = pod
        .jattach(["threaddump"])
        .ended_with(9)
        .is_error_however_seen("JAT-013.heap-dump")
        .says("heap dump")
        .says("--wait");
    // Nobody is attached to for a list.
    let _ = pod.jattach(["ps"]).succeeded().prints("App");
    let waiting = pod.plugin(["threaddump", "--wait"]).start();
    let _ = pod.jattach(["threaddump"]).ended_with(9);
    transfer.proxy.release();
    let _ = waiting
        .wait()
        .succeeded()
        .says("Waiting for another job of the injector: heap dump")
        .prints("Full thread dump");
    let _ = first.wait().succeeded();
    dump::verify(&transfer.file());
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn an_injector_that_was_told_to_end_gives_its_dump_up_and_another_one_takes_the_next() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let first = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    let _ = pod.jattach(["clean"]).succeeded();
    let ran = first.wait().ended_with(130).says("the heap dump was ended").says("x.hprof.part");
    assert!(!ran.stderr.contains("Go on with"), "{ran}");
    transfer.is_kept_as_part();
    the_next_one_is_whole_by(&pod, &[], 2);
}

#[test]
fn a_pod_that_is_killed_in_mid_dump_leaves_no_file_of_that_name() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    pod.delete();
    let ran = running.wait();
    assert!(matches!(ran.code(), Some(3 | 8)), "{ran}");
    let _ = ran.explains();
    transfer.is_kept_as_part();
}

#[test]
fn a_jvm_that_ends_in_mid_dump_is_told_of_and_its_successor_is_dumped() {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let mut app = manifest::jvm_with("app", &["--heap-mb", "40", "--content", "random"]);
    app["image"] = image.into();
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(app)]));
    let transfer = Transfer::of(&pod, Fault::Rate(SOME));
    let running = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    // Its end may be quicker than the answer to who asked for it.
    let _ = pod.exec("app", ["kill", "1"]);
    let ran = running.wait();
    assert!(matches!(ran.code(), Some(3 | 8)), "{ran}");
    let _ = ran.explains();
    transfer.is_kept_as_part();

    pod.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1");
    pod.wait_for("condition=Ready");
    pod.wait_for_line("app", "ready");
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("next.hprof");
    let _ = pod.plugin(["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    // The first injector ended with the process namespace that it was in.
    assert_eq!(pod.ephemeral_containers().len(), 2);
}

/// Kills the JVM as soon as it has the file of a dump open.
const KILL_THE_WRITER: &str = "jvm=$(busybox pidof java)
    until ls -l /proc/$jvm/fd | grep -q /.jattach-; do :; done
    kill -KILL $jvm";

/// A pod in which the JVM is no first process, which could not be killed from inside: `start` starts it, and the pod may
/// share its process namespace.
fn is_told_of_a_jvm_killed_while_it_writes(start: &str, shared: bool) {
    let image = shell_image_or_skip!();
    let namespace = Namespace::new();
    let java = "java -Xmx96m -XX:+UseSerialGC -cp /app App --heap-mb 40 --content random";
    let app = manifest::container("app", image, &["sh", "-c", &start.replace("JAVA", java)]);
    let mut pod = manifest::pod("x", &[manifest::restricted(app)]);
    pod["spec"]["shareProcessNamespace"] = shared.into();
    let pod = namespace.start(&pod);
    let directory = tempdir().expect("a directory");
    let exec = namespace.kubectl_program().args(["exec", "x", "-c", "app", "--", "sh", "-c", KILL_THE_WRITER]);
    let killer = exec.start();
    // A dump that is over before it was seen has harmed nobody: the next one will be seen.
    let file = directory.path().join("x.hprof");
    let dump = || {
        let _ = fs::remove_file(&file);
        pod.plugin(["dumpheap"]).arg(&file).run()
    };
    let ran = std::iter::repeat_with(dump).take(20).find(|ran| ran.code() != Some(0));
    let ran = ran.expect("a dump during which the JVM was killed").ended_with(3).explains().says("error[JAT-006]: ");
    // The shell itself may have ended with the process namespace.
    killer.kill();
    assert_eq!(dump::names(directory.path()), [""; 0], "{ran}");
}

#[test]
fn a_jvm_that_is_killed_while_it_writes_the_dump_is_told_of() {
    is_told_of_a_jvm_killed_while_it_writes("JAVA & wait; exec sleep 86400", false);
}

#[test]
fn a_container_that_ends_while_its_jvm_writes_the_dump_is_told_of() {
    is_told_of_a_jvm_killed_while_it_writes("JAVA & wait", false);
}

#[test]
fn a_jvm_that_is_killed_beside_a_process_namespace_that_stays_is_told_of() {
    is_told_of_a_jvm_killed_while_it_writes("exec JAVA", true);
}

#[test]
fn a_command_that_takes_longer_than_its_limit_is_ended() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::StallAfter(SOME));
    let _ = transfer
        .program
        .clone()
        .args(["--timeout", "5s"])
        .run()
        .ended_with(1)
        .is_error("JAT-018.timeout")
        .says("--timeout");
    transfer.is_kept_as_part();
    let transfer = Transfer::of(&pod, Fault::StallAfter(0));
    let _ = transfer
        .program
        .clone()
        .args(["--request-timeout", "1s"])
        .run()
        .ended_with(1)
        .is_error("JAT-116.request-timeout")
        .says("--request-timeout");
    assert!(transfer.names().is_empty());
}

#[test]
fn a_stream_without_a_status_is_not_believed() {
    let namespace = Namespace::new();
    let app = manifest::restricted(manifest::jvm("app"));
    let mut pod = manifest::pod("x", &[app]);
    // Asked of the lab; other clusters do not know it.
    pod["metadata"]["annotations"] = serde_json::json!({"lab.jattach/drop-exec-status": "true"});
    let pod = namespace.start(&pod);
    if status_comes(&pod) {
        return jattach_e2e::skip("this cluster does not drop the Status of an exec on demand");
    }
    let _ = pod.jattach(["threaddump"]).ended_with(8).says("without a status");
    let directory = tempdir().expect("a directory");
    let dump = pod.plugin(["dumpheap", "x.hprof"]).directory(directory.path());
    let _ = dump.run().ended_with(8).explains().says("x.hprof.part");
    // All of it came, and still nothing may have its name.
    assert!(!directory.path().join("x.hprof").exists());
    // Until it is asked for again: then nobody is needed for what is here.
    let _ =
        pod.plugin(["dumpheap", "x.hprof"]).directory(directory.path()).run().succeeded().says("all of it was here");
    dump::verify(&directory.path().join("x.hprof"));
    assert_eq!(dump::names(directory.path()), ["x.hprof"]);
}

/// Whether an exec that fails is seen to fail.
fn status_comes(pod: &Pod<'_>) -> bool {
    pod.exec("app", ["java", "-Xmx16m", "NoSuchClass"]).code() == Some(1)
}
