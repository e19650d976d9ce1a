//! JVMs whose dump is a file, and which cannot be made to wait. Others do not pass these tests.

use jattach_e2e::{Namespace, dump, jvm};
use tempfile::tempdir;

#[test]
#[ignore = "it wants `cargo xtask e2e --jdk 8`"]
fn a_jvm_that_cannot_be_made_to_wait_is_not_dumped_where_it_would_have_to() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    for (case, limit, remedy) in
        [("jdk-8", "--spool-limit=0", "--spool-limit"), ("max-pause", "--max-pause=1m", "do without --max-pause")]
    {
        let ran = pod
            .plugin(["dumpheap", limit, "x.hprof"])
            .directory(directory.path())
            .run()
            .ended_with(1)
            .is_error(&format!("JAT-014.{case}"));
        let _ = ran.says("cannot be made to wait").says("(JDK 8)").says(remedy);
        assert_eq!(dump::names(directory.path()), [""; 0]);
    }
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
#[ignore = "it wants `cargo xtask e2e --jdk 8`"]
fn that_what_is_redacted_lies_in_the_pod_for_a_while_is_said_before() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let ran = pod.plugin(["dumpheap", "--redact"]).arg(&file).run().succeeded();
    let _ = ran.says("a file in the pod, which is not redacted: it lies there until it was read");
    dump::verify(&file);
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}
