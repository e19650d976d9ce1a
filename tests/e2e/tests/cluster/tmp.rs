//! Where the JVM cannot be attached to because it has no /tmp to meet in.

use jattach_e2e::{Namespace, jvm, manifest};

#[test]
fn without_a_writable_tmp_the_jvm_is_refused_before_it_is_signalled() {
    let namespace = Namespace::new();
    let mut container = manifest::restricted(manifest::jvm("app"));
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let ran = pod.jattach(["threaddump"]).ended_with(6).explains().says("/tmp");
    assert!(ran.bytes().is_empty(), "{ran}");
    let _ = pod.jattach(["ps"]).succeeded().prints("no: the target's /tmp is not writable");
    jvm::answers(&pod, "app");
    // A signal without a listener would have had the JVM print its threads to its own output.
    let log = namespace.kubectl(["logs", "x"]).text();
    assert!(!log.contains("Full thread dump"), "{log}");
}
