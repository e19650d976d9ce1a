//! Heap dumps whose transfer breaks, and that are gone on with: by the same run, or by the next one with the same FILE.

use std::path::Path;

use jattach_e2e::faults::seed::{Dice, seeds};
use jattach_e2e::run::Signal;
use jattach_e2e::{Fault, Namespace, Pod, Program, Ran, cluster, dump, jvm, manifest};

use crate::transfer::{SOME, Transfer, start_large};

/// The dump is whole, of one job, and the JVM is as it was.
#[track_caller]
fn is_whole(pod: &Pod<'_>, transfer: &Transfer, ran: &Ran) {
    assert!(!ran.stderr.contains("afresh"), "{ran}");
    dump::verify(&transfer.file());
    assert_eq!(transfer.names(), ["x.hprof"]);
    assert_eq!(pod.ephemeral_containers().len(), 1);
    jvm::answers(pod, "app");
}

#[test]
fn a_dump_whose_connection_is_cut_anywhere_goes_on_by_itself() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    for seed in seeds() {
        // From the first bytes of the conversation on, and at the least three times before all of the dump has come.
        let cut = Dice::new(seed, "resume").between(64 << 10, 12 << 20);
        println!("JATTACH_E2E_SEED={seed}: cut at {cut}");
        let transfer = Transfer::of(&pod, Fault::None);
        transfer.proxy.set(Fault::CutAfter(cut));
        let running = transfer.program.clone().start();
        transfer.proxy.wait_until_passed(cut);
        // Less than a block in every connection would be no progress.
        transfer.proxy.set(Fault::CutAfter(cut.max(3 << 20)));
        let ran = running.wait().succeeded().says("going on at");
        is_whole(&pod, &transfer, &ran);
    }
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn a_connection_that_stands_still_is_replaced_by_another() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::of(&pod, Fault::StallAfter(SOME));
    let running = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(SOME);
    transfer.proxy.set(Fault::None);
    let ran = running.wait().succeeded().says("the connection to the injector is dead: going on at");
    is_whole(&pod, &transfer, &ran);
}

/// Kills the client in the middle of a dump, or has a signal end it.
fn broken(pod: &Pod<'_>, end: impl FnOnce(jattach_e2e::Running) -> Option<Ran>) -> (Transfer, Option<Ran>) {
    let transfer = Transfer::of(pod, Fault::Rate(2 * SOME));
    let running = transfer.program.clone().start();
    transfer.proxy.wait_until_passed(3 * SOME);
    let ran = end(running);
    transfer.is_kept_as_part();
    (transfer, ran)
}

#[test]
fn a_client_that_was_killed_goes_on_when_it_is_started_again() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    transfer.proxy.set(Fault::None);
    let before = transfer.proxy.bytes();
    let ran = transfer.program.clone().run().succeeded().says("Going on with");
    is_whole(&pod, &transfer, &ran);
    // Only what was missing came.
    let (second, whole) = (transfer.proxy.bytes() - before, transfer.file().metadata().expect("the dump").len());
    assert!(second < whole - SOME, "{second} bytes of {whole} came the second time");
}

#[test]
fn the_line_that_an_interrupted_dump_prints_goes_on_with_it() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, ran) = broken(&pod, |running| {
        running.signal(Signal::INT);
        Some(running.wait().ended_with(130).says(" arrived and are in "))
    });
    let ran = ran.expect("it has ended");
    let line = ran.stderr.lines().find_map(|line| line.strip_prefix("Go on with: kubectl jattach "));
    let line = line.unwrap_or_else(|| panic!("no line: {ran}"));
    transfer.proxy.set(Fault::None);
    let shell = Program::new(Path::new("sh")).arg("-c").arg(format!("exec \"$0\" {line}")).arg(&cluster().plugin);
    let ran = shell.run().succeeded().says("Going on with");
    is_whole(&pod, &transfer, &ran);
}

#[test]
fn a_dump_that_is_not_to_be_gone_on_with_is_begun_anew() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    transfer.proxy.set(Fault::None);
    // The injector still has the first one, and is told that nobody will ask for it.
    let ran = transfer.program.clone().arg("--no-resume").run().succeeded();
    assert!(!ran.stderr.contains("Going on"), "{ran}");
    dump::verify(&transfer.file());
    assert_eq!(transfer.names(), ["x.hprof"]);
}

#[test]
fn a_part_that_was_changed_is_begun_anew_and_its_dump_in_the_injector_given_up() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    transfer.proxy.set(Fault::None);
    std::fs::write(transfer.file().with_extension("hprof.part"), "JAVA PROFILE 1.0.2").expect("room");
    let _ = transfer.program.clone().run().succeeded().says("starting afresh");
    dump::verify(&transfer.file());
    assert_eq!(transfer.names(), ["x.hprof"]);
}

#[test]
fn a_part_of_a_dump_with_other_flags_is_left_as_it_is() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    transfer.proxy.set(Fault::None);
    let _ = transfer
        .program
        .clone()
        .arg("--all")
        .run()
        .ended_with(2)
        .is_error("JAT-002.another-dump-is-kept")
        .says("--no-resume");
    let ran = transfer.program.clone().run().succeeded().says("Going on with");
    is_whole(&pod, &transfer, &ran);
}

#[test]
fn who_finds_a_dump_waiting_for_its_client_is_told_for_whom_and_how_to_give_it_up() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (_transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    let line = loop {
        // hold notices that the client has gone.
        let ran = pod.jattach(["threaddump"]).ended_with(9).explains().says("asked for at").says("by kubectl-jattach ");
        if ran.stderr.contains("waiting for its client to come back") {
            let ran = ran.says("goes on with it").says("it is kept for");
            let text = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = text.split('`').find_map(|line| line.strip_prefix("kubectl jattach "));
            break line.unwrap_or_else(|| panic!("no line: {ran}")).to_owned();
        }
    };
    let shell = Program::new(Path::new("sh")).arg("-c").arg(format!("exec \"$0\" {line}")).arg(&cluster().plugin);
    let _ = shell.run().succeeded().says("ends.");
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
}

#[test]
fn a_dump_of_a_pod_that_was_replaced_is_begun_anew_and_told_of() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    pod.delete();
    namespace.kubectl(["wait", "--for=delete", "--timeout=60s", "pod/x"]);
    let pod = start_large(&namespace);
    transfer.proxy.set(Fault::None);
    let _ = transfer.program.clone().run().succeeded().says("pod/x is another one by now): starting afresh");
    dump::verify(&transfer.file());
    assert_eq!((transfer.names(), pod.ephemeral_containers().len()), (vec!["x.hprof".to_owned()], 1));
}

#[test]
fn a_dump_whose_injector_has_ended_is_begun_anew_and_told_of() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let (transfer, _) = broken(&pod, |running| {
        running.kill();
        None
    });
    let _ = pod.jattach(["clean"]).succeeded();
    let injector = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    pod.wait_for("jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0");
    transfer.proxy.set(Fault::None);
    let _ = transfer.program.clone().run().succeeded().says(&format!("({injector} has ended): starting afresh"));
    dump::verify(&transfer.file());
    assert_eq!(transfer.names(), ["x.hprof"]);
}

#[test]
fn standard_output_goes_on_where_the_connection_was_cut() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let transfer = Transfer::to_nowhere(&pod, Fault::CutAfter(SOME));
    let ran = transfer.program.clone().arg("-").run().succeeded().says("going on at");
    assert!(dump::read(ran.bytes()).ended);
    assert_eq!(transfer.names(), [""; 0]);
}

#[test]
fn a_part_whose_target_has_ended_tells_how_much_it_holds_and_of_no_way_to_go_on() {
    let namespace = Namespace::new();
    let app = manifest::jvm_with("app", &["--heap-mb", "40", "--content", "random"]);
    let mut manifest = manifest::pod("x", &[manifest::restricted(app)]);
    manifest["spec"]["restartPolicy"] = "Never".into();
    let pod = namespace.start(&manifest);
    let (_transfer, ran) = broken(&pod, |running| {
        pod.delete();
        Some(running.wait().ended_with(3).explains().says(" arrived and are in "))
    });
    let ran = ran.expect("it has ended");
    assert!(!ran.stderr.contains("Go on with"), "{ran}");
}
