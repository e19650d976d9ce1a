//! Images that a node cannot pull: what keeps it from that is the kubelet's to say, in the pod's status or, before Kubernetes
//! 1.32, in its events alone.

use jattach_e2e::{Namespace, Pod, Program, cluster};

/// A name that is none anywhere (RFC 6761, 6.4). A kubelet is certain of it, and the plugin waits for no other try.
const NOWHERE: &str = "registry.invalid/jattach/none:1";

/// An address that is nobody's (RFC 5737). That may pass, for all that a kubelet knows: what fails is the next try.
const SILENT: &str = "192.0.2.1/jattach/none:1";

fn with_image(pod: &Pod<'_>, image: &str, words: &[&str]) -> Program {
    let program = cluster().bare_plugin_of_admin().args(["--image", image, "--image-pull-policy", "IfNotPresent"]);
    program.args(["-n", &pod.namespace.name, &format!("pod/{}", pod.name)]).args(words)
}

#[test]
fn a_registry_that_nobody_knows_is_named_with_what_the_kubelet_says_of_it() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = with_image(&pod, NOWHERE, &["ps"]).run().ended_with(5).is_error("JAT-151.no-such-host");
    // What follows is the node's: a server that knows no such host, or no way to a server.
    let _ = ran.says(NOWHERE).says("dial tcp: lookup registry.invalid");
    let ran = with_image(&pod, NOWHERE, &["doctor"]).run().ended_with(5).prints("\nfail  injector");
    let _ = ran.prints(NOWHERE).prints("failed to resolve image").prints("because \"injector\" failed");
}

#[test]
fn a_registry_that_does_not_answer_is_told_of_by_the_events_where_the_status_says_no_more_than_to_wait() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = with_image(&pod, SILENT, &["ps"]).run().ended_with(5).explains();
    // The status names it while the node tries, and a kubelet before 1.32 not while it waits.
    let evidence = ran.stderr.split("evidence: ").nth(1).unwrap_or_default();
    // A node without a way out is told so at once; any other waits for an answer until its time is over.
    let names_the_cause =
        |evidence: &str| evidence.contains("i/o timeout") || evidence.contains("network is unreachable");
    assert!(evidence.contains("ImagePullBackOff") && names_the_cause(evidence), "{ran}");
    let ran = with_image(&pod, SILENT, &["doctor", "-o", "json"]).run().ended_with(5);
    let report = ran.json();
    let failed = report["checks"].as_array().into_iter().flatten().find(|check| check["result"] == "fail");
    let failed = failed.unwrap_or_else(|| panic!("no check failed\n{ran}"));
    assert_eq!((&failed["check"], &failed["id"]), (&"injector".into(), &"JAT-151".into()), "{ran}");
    assert!(failed["evidence"].as_str().is_some_and(names_the_cause), "{ran}");
}
