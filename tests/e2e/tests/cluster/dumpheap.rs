//! Heap dumps that arrive.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jattach_e2e::{Namespace, dump, jvm};
use tempfile::tempdir;

/// What the application holds: its default of 8 MiB.
const HEAP: u64 = 8 << 20;

#[test]
fn dumpheap_writes_a_whole_dump_for_its_owner_alone() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("my.hprof");
    let ran = pod.plugin(["dumpheap"]).arg(&file).run().succeeded().says("verified to its end");
    assert!(ran.bytes().is_empty(), "{ran}");
    let summary = dump::verify(&file);
    assert!(summary.bytes > HEAP && summary.instances > 128, "{summary:?}");
    assert_eq!(file.metadata().expect("the dump").permissions().mode() & 0o777, 0o600);
    assert_eq!(dump::names(directory.path()), ["my.hprof"]);
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn dumpheap_without_a_name_names_pod_container_and_time() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let _ = pod.plugin(["dumpheap"]).directory(directory.path()).run().succeeded();
    let names = dump::names(directory.path());
    let [name] = &names[..] else { panic!("{names:?}") };
    let time = name.strip_prefix("x-app-").and_then(|rest| rest.strip_suffix("Z.hprof"));
    assert_eq!(time.map(str::len), Some("20261122T201500".len()), "{name}");
    dump::verify(&directory.path().join(name));
}

#[test]
fn dumpheap_to_a_dash_goes_to_stdout() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let ran = pod.plugin(["dumpheap", "-"]).directory(directory.path()).run().succeeded();
    assert!(dump::read(ran.bytes()).ended);
    assert!(dump::names(directory.path()).is_empty());
}

#[test]
fn dumpheap_takes_dead_objects_only_with_all() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let dumped = |flag: &str| {
        let file = directory.path().join(flag);
        let _ = pod.plugin(["dumpheap", flag]).arg(&file).run().succeeded();
        dump::verify(&file)
    };
    // In this order: --live collects what is dead.
    let (all, live) = (dumped("--all"), dumped("--live"));
    // What the start of a JVM leaves behind; two dumps of the same kind differ by some hundred bytes.
    assert!(all.bytes > live.bytes + (100 << 10), "{all:?} {live:?}");
}

#[test]
fn dumpheap_replaces_a_file_only_with_force() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("my.hprof");
    std::fs::write(&file, "precious").expect("a file");
    let run = |flags: &[&str]| pod.plugin(["dumpheap"]).arg(&file).args(flags).run();
    let _ = run(&[]).ended_with(2).says("my.hprof exists").says("--force");
    assert_eq!(std::fs::read(&file).expect("the file"), b"precious");
    // Refused before the application was made to stand still.
    assert_eq!(dump::names(directory.path()), ["my.hprof"]);
    let _ = run(&["--force"]).succeeded();
    dump::verify(&file);
}

#[test]
fn dumpheap_again_uses_the_running_injector_and_leaves_as_little() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = |n: u32| directory.path().join(format!("{n}.hprof"));
    for n in 0..3 {
        let _ = pod.plugin(["dumpheap"]).arg(file(n)).run().succeeded();
        dump::verify(Path::new(&file(n)));
    }
    assert_eq!(pod.ephemeral_containers().len(), 1);
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}
