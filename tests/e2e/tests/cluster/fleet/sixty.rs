//! Sixty pods. They take minutes and some 2 GB of memory, so they run where they are asked for:
//! `cargo xtask e2e -- fleet::sixty --ignored --nocapture`, which prints what the plugin takes of time and memory.

use std::fs;
use std::path::Path;
use std::time::Instant;

use jattach_e2e::{Namespace, Program, Ran, manifest};
use tempfile::tempdir;

use super::{dumped, headers, labelled, on_all};

const PODS: usize = 60;

/// So many start at once: a small cluster has few CPUs for their JVMs.
const WAVE: usize = 10;

/// The most that the plugin may take of memory, in KiB, however many pods there are: what eight of them have under way.
const MOST: u64 = 200 << 10;

/// The names of so many pods, each with a JVM that is as small as it gets.
fn start_many(namespace: &Namespace) -> Vec<String> {
    let small = ["-Xmx16m", "-Xshare:auto", "-cp", "/app", "App", "--heap-mb", "1"];
    let name = |number: usize| format!("pod-{number:02}");
    let manifests: Vec<_> = (0..PODS).map(|number| labelled(&name(number), manifest::java("app", &small))).collect();
    for wave in manifests.chunks(WAVE) {
        wave.iter().for_each(|manifest| namespace.create(manifest));
        wave.iter().for_each(|manifest| drop(namespace.started(manifest)));
    }
    (0..PODS).map(name).collect()
}

/// Runs a command, and prints how long it takes and the most of memory that it has.
fn measured(what: &str, program: Program) -> Ran {
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("peak");
    let begun = Instant::now();
    let ran = program.under(Program::new(Path::new(env!("CARGO_BIN_EXE_peak"))).arg(&file)).run();
    let seconds = begun.elapsed().as_secs_f64();
    let peak: u64 = fs::read_to_string(&file).expect("a peak").parse().expect("a number");
    println!("{what}: {seconds:.1} s, {} MiB at the most", peak >> 10);
    assert!(peak < MOST, "{peak} KiB\n{ran}");
    ran
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn sixty_pods_are_served_in_bounded_memory() {
    let namespace = Namespace::new();
    let names = start_many(&namespace);
    // The first command starts the injectors, too.
    let ran = measured("ps of 60 pods", on_all(&namespace, ["ps", "-o", "json"])).succeeded();
    let list = ran.json();
    let listed: Vec<_> = list.as_array().expect("a list").iter().filter_map(|jvm| jvm["pod"].as_str()).collect();
    assert_eq!(listed, names);
    let ran = measured("threaddump of 60 pods", on_all(&namespace, ["threaddump"])).succeeded();
    assert_eq!(headers(&ran.text()), names);
    assert_eq!(ran.text().matches("Full thread dump").count(), PODS);
    for parallel in ["8", "60"] {
        let directory = tempdir().expect("a directory");
        let dump = on_all(&namespace, ["dumpheap", "--parallel", parallel]).arg(directory.path());
        let ran = measured(&format!("dumpheap of 60 pods, {parallel} at once"), dump).succeeded();
        let _ = ran.says("60 of 60 pods done");
        assert_eq!(dumped(directory.path()), names);
    }
}
