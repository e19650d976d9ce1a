//! Thread dumps.

use jattach_e2e::{Namespace, jvm};

#[test]
fn threaddump_prints_the_stack_of_every_thread() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["threaddump"]).succeeded();
    let ran = ran.prints("Full thread dump ").prints("\"worker-3\"").prints("at App.answer(App.java:");
    assert!(!ran.text().contains("Locked ownable synchronizers"), "{ran}");
    jvm::answers(&pod, "app");
}

#[test]
fn threaddump_with_locks_prints_the_owned_synchronizers() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for flag in ["--locks", "-l"] {
        let _ = pod.jattach(["threaddump", flag]).succeeded().prints("Locked ownable synchronizers:");
    }
}

#[test]
fn datadump_goes_to_the_log_of_the_container() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["datadump"]).succeeded();
    assert!(ran.bytes().is_empty(), "{ran}");
    pod.wait_for_line("app", "Full thread dump ");
}
