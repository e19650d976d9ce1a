//! An injector that does not start, and the reason.

use jattach_e2e::{Namespace, cluster};

/// A reference that no registry can have: its host's name cannot exist (RFC 2606).
const NOWHERE: &str = "registry.invalid/jattach/none:1";

#[test]
fn an_image_that_does_not_exist_is_named_at_once() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let plugin = cluster().plugin().args(["-n", &namespace.name, "--image", NOWHERE, "pod/x", "threaddump"]);
    let failed = plugin.run().ended_with(5).explains().says(NOWHERE);
    // The command that needs no image, as this user has to give it.
    let _ = failed.says("--via=exec pod/x threaddump").says(&format!("--namespace={}", namespace.name));
    jattach_e2e::jvm::answers(&pod, "app");
}

#[test]
fn an_image_that_must_not_be_pulled_and_is_not_there_is_named() {
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let flags = ["--image", NOWHERE, "--image-pull-policy", "Never"];
    let plugin = cluster().plugin().args(["-n", &namespace.name]).args(flags).args(["pod/x", "threaddump"]);
    let _ = plugin.run().ended_with(5).explains().says("ErrImageNeverPull").says("--via=exec pod/x threaddump");
}

#[test]
fn an_image_that_holds_no_injector_is_named() {
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let flags = ["--image", &cluster().jvm_image];
    let plugin = cluster().plugin().args(["-n", &namespace.name]).args(flags).args(["pod/x", "threaddump"]);
    let _ = plugin.run().ended_with(5).explains();
}
