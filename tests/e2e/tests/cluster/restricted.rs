//! A namespace that enforces the Pod Security level "restricted": where most clusters are going.

use jattach_e2e::{Namespace, dump, jvm, manifest, skip};
use tempfile::tempdir;

#[test]
fn a_restricted_namespace_lets_everything_be_done() {
    let namespace = Namespace::enforcing("restricted");
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let _ = pod.jattach(["ps"]).succeeded().prints("App");
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    let file = directory.path().join("x.hprof");
    let _ = pod.plugin(["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);

    let containers = pod.ephemeral_containers();
    let [container] = &containers[..] else { panic!("{containers:#?}") };
    let context = &container["securityContext"];
    assert_eq!((&context["runAsUser"], &context["runAsGroup"]), (&10001.into(), &10001.into()), "{context:#}");
    assert_eq!(context["capabilities"], serde_json::json!({"drop": ["ALL"]}));
}

#[test]
fn a_restricted_pod_with_a_read_only_root_and_its_own_tmp_is_dumped() {
    let namespace = Namespace::enforcing("restricted");
    let mut container = manifest::mounting(manifest::restricted(manifest::jvm("app")), "tmp", "/tmp");
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    let pod = namespace.start(&manifest::with_volume(manifest::pod("x", &[container]), "tmp"));
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let _ = pod.plugin(["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn an_injector_whose_root_admission_makes_read_only_serves_and_is_used_again() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    let context = &pod.ephemeral_containers()[0]["securityContext"];
    if context["readOnlyRootFilesystem"] != true {
        return skip("this cluster's admission changes no ephemeral container");
    }
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let _ = pod.plugin(["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    assert_eq!(pod.ephemeral_containers().len(), 1, "what admission has changed is ours still");
    jvm::answers(&pod, "app");
}
