//! Hostile injectors among those of several pods: none of them keeps another one's answer from being printed, or fills this
//! machine.

use std::io::Read;
use std::process::ChildStdout;

use jattach_e2e::hostile::{BEGUN, FORGED, Mode};
use jattach_e2e::run::Signal;
use jattach_e2e::{Namespace, Program, cluster, manifest, skip};
use serde_json::Value;

use super::{Site, name};
use crate::fleet::{failures, headers, labelled};

/// The most of an answer that waits, and of all of them: when so much waits no other answer is begun.
const LONGEST: usize = 64 << 20;
const ENOUGH: usize = 256 << 20;

/// What stands around an answer.
const AROUND: usize = 100;

/// Pods and their injectors' modes.
type Modes<'m> = [(&'m str, Mode)];

/// Pods of anything that runs, which none of these injectors ever looks at.
fn start(namespace: &Namespace, modes: &Modes<'_>) {
    let manifests: Vec<_> = modes.iter().map(|(pod, _)| labelled(pod, manifest::no_jvm("app"))).collect();
    manifests.iter().for_each(|manifest| namespace.create(manifest));
    manifests.iter().for_each(|manifest| drop(namespace.started(manifest)));
}

/// The command on all of them.
fn on_all(site: &Site, namespace: &Namespace, modes: &Modes<'_>, words: &[&str]) -> Program {
    let modes: Vec<_> = modes.iter().map(|(pod, mode)| format!("{pod}={}", name(*mode))).collect();
    let program = namespace.plugin().args(["-l", "tier=web", "--all-pods"]).args(words);
    site.hostile(program, &modes.join(" "))
}

/// Waits until the pod's turn has come.
fn is_begun(namespace: &Namespace, pod: &str) {
    namespace.pod(pod).wait_for("jsonpath={.spec.ephemeralContainers[0].targetContainerName}=app");
}

#[test]
fn an_answer_without_end_takes_a_limited_part_of_the_disk_and_the_next_one_is_printed() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let modes = [("a", Mode::Output), ("b", Mode::Early)];
    start(&namespace, &modes);
    let ran = site.measured(on_all(&site, &namespace, &modes, &["threaddump"])).run().ended_with(8);
    site.is_unharmed(&ran);
    let ran = ran.says("[pod/a] error[JAT-015]: the answer is longer than may wait").says("1 of 2 pods done, 1 failed");
    assert!(ran.bytes().len() < LONGEST + AROUND, "{} bytes", ran.bytes().len());
    assert!(ran.bytes().ends_with(b"\n==> pod/b <==\nearly\n"), "{ran}");
}

/// Behind an answer that does not come the others wait, each as long as one may be.
#[test]
fn answers_without_end_take_a_limited_part_of_the_disk_together() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let full = ENOUGH / LONGEST;
    let endless: Vec<_> = (1..=full + 2).map(|number| format!("b{number}")).collect();
    let endless = endless.iter().map(|pod| (pod.as_str(), Mode::Output));
    let modes: Vec<_> = [("a", Mode::Heartbeats)].into_iter().chain(endless).collect();
    start(&namespace, &modes);
    // In that time as many again could have been begun.
    let words = ["threaddump", "--parallel", "2", "--timeout=50s"];
    let ran = site.measured(on_all(&site, &namespace, &modes, &words)).run();
    // Without the answers in what is said of a failure.
    let (code, length, stderr) = (ran.code(), ran.bytes().len(), &ran.stderr);
    assert_eq!(code, Some(8), "{stderr}");
    assert!((ENOUGH..ENOUGH + (full + 1) * AROUND).contains(&length), "{length} bytes\n{stderr}");
    assert!(stderr.contains("0 of 7 pods done, 4 failed, 1 broken off, 2 not begun"), "{stderr}");
    site.is_unharmed(&ran);
}

#[test]
fn jobs_without_end_are_told_of_once_and_nobody_speaks_in_anothers_name() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let modes = [("a", Mode::Jobs), ("b", Mode::Early)];
    start(&namespace, &modes);
    let ran = site.measured(on_all(&site, &namespace, &modes, &["threaddump", "--timeout=8s"])).run().ended_with(1);
    site.is_unharmed(&ran);
    let ran = ran.prints(&format!("==> pod/a <==\n{BEGUN}\n==> pod/b <==\nearly\n"));
    assert_eq!(ran.stderr.matches("[pod/a] Waiting for another job of the injector: ").count(), 1, "{ran}");
    assert!(!ran.stderr.contains(FORGED) && ran.stderr.lines().count() < 12, "{ran}");
    assert_eq!(failures(&ran.stderr), [("a", "1")], "{ran}");
}

#[test]
fn a_limit_on_time_loses_no_answer_and_the_worst_failure_is_the_exit_code() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let modes = [("a", Mode::Heartbeats), ("b", Mode::Early), ("c", Mode::Kind)];
    start(&namespace, &modes);
    let ran = on_all(&site, &namespace, &modes, &["threaddump", "--timeout=12s"]).run().ended_with(8);
    let ran = ran.says("error[JAT-018]: not done within 12 s").says("1 of 3 pods done, 1 failed, 1 broken off");
    let ran = ran.prints(&format!("==> pod/a <==\n{BEGUN}\n==> pod/b <==\nearly\n")).says("its answer is not whole");
    assert_eq!(failures(&ran.stderr), [("a", "1"), ("c", "8")], "{ran}");
}

#[test]
fn a_list_that_is_broken_off_has_what_there_is() {
    let site = Site::new(hostile_image_or_skip!());
    let modes = [("a", Mode::Heartbeats), ("b", Mode::Names), ("c", Mode::Heartbeats)];
    for command in ["ps", "doctor"] {
        let namespace = Namespace::new();
        start(&namespace, &modes);
        let running = on_all(&site, &namespace, &modes, &[command, "-o", "json", "--parallel", "2"]).start();
        // Only once b has made room for it.
        is_begun(&namespace, "c");
        running.signal(Signal::TERM);
        let ran = running.wait().ended_with(130).says("broken off");
        let list = ran.json();
        let listed: Vec<_> = list.as_array().expect("a list").iter().map(|row| &row["pod"]).collect();
        assert_eq!(listed, [&Value::from("b")], "{ran}");
    }
}

/// Reads until that has come.
#[track_caller]
fn read_to(from: &mut ChildStdout, wanted: &[u8]) {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(wanted) {
        assert_eq!(from.read(&mut byte).expect("a pipe"), 1, "{}", read.escape_ascii());
        read.extend(byte);
    }
}

#[test]
fn with_the_second_ctrl_c_nobody_waits_for_who_does_not_read() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let modes = [("a", Mode::Heartbeats), ("b", Mode::Output), ("c", Mode::Early), ("d", Mode::Heartbeats)];
    start(&namespace, &modes);
    let mut running = on_all(&site, &namespace, &modes, &["threaddump", "--parallel", "2"]).start();
    let mut stdout = running.take_stdout();
    is_begun(&namespace, "d");
    running.signal(Signal::INT);
    // It is longer than a pipe, and nobody reads on.
    read_to(&mut stdout, b"==> pod/b <==\n");
    running.signal(Signal::INT);
    let ran = running.wait().ended_with(130).says(" answers not printed");
    assert_eq!(ran.stderr.matches("error[JAT-017]").count(), 1, "{ran}");
    assert_eq!(headers(&ran.text()), [""; 0]);
}
