//! deploy/policy.yaml: what holders of the published Role may do under it, and nobody else may not.

use std::path::Path;

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Namespace, Pod, Program, Ran, cluster, manifest};
use serde_json::{Value, json};

/// By digest, as the policy wants it; the server does not ask whether it exists.
const IMAGE: &str =
    "ghcr.io/kubectl-jattach/injector@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The published policies, for one namespace and under names of its own: nobody else's tests are concerned.
struct Policies {
    names: Vec<String>,
}

impl Policies {
    fn apply(namespace: &Namespace) -> Policies {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policy.yaml");
        let read = cluster().kubectl().args(["create", "--dry-run=client", "-o", "json", "-f"]).arg(path);
        let objects = read.run().succeeded();
        let mut names = Vec::new();
        // One document after the other.
        for object in serde_json::Deserializer::from_slice(objects.bytes()).into_iter::<Value>() {
            let mut object = object.expect("an object");
            let own = |name: &Value| format!("{}-{}", name.as_str().expect("a name"), namespace.name);
            object["metadata"]["name"] = own(&object["metadata"]["name"]).into();
            let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
            if object["kind"] == "ValidatingAdmissionPolicyBinding" {
                object["spec"]["policyName"] = own(&object["spec"]["policyName"]).into();
                object["spec"]["matchResources"] =
                    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}});
            }
            namespace.create(&object);
            names.push(format!("{}/{name}", object["kind"].as_str().expect("a kind")));
        }
        assert_eq!(names.len(), 4);
        Policies { names }
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let _ = cluster().kubectl().args(["delete", "--wait=false"]).args(&self.names).run();
    }
}

/// Adds an ephemeral container as that user would by hand; kubectl reads before it patches.
fn add(pod: &Pod<'_>, user: &str, change: &Value) -> Program {
    let mut container = json!({
        "name": "jattach-bcdfg", "image": IMAGE, "command": ["/injector", "hold"], "targetContainerName": "app",
    });
    container.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
    let words = ["patch", "pod", &pod.name, "--subresource=ephemeralcontainers", "--dry-run=server", "-p", &patch];
    pod.namespace.kubectl_program().args(words).args(["--as", user])
}

/// Waits until the server has taken the policies up: until then what they forbid is allowed.
fn refused(pod: &Pod<'_>, user: &str, change: &Value) -> Ran {
    std::iter::repeat_with(|| add(pod, user, change).run()).find(|ran| ran.code() != Some(0)).expect("it never ends")
}

#[test]
#[ignore = "it wants a server with ValidatingAdmissionPolicy: `cargo xtask e2e --kubeconfig FILE … -- policy:: --ignored`"]
fn who_holds_the_role_may_add_the_injector_and_talk_to_it_and_nothing_else() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::with_volume(manifest::pod("x", &[manifest::jvm("app")]), "data"));
    let jane = ServiceAccount::with_published_role(&namespace, "jane");
    let reads = json!([{"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["get"]}]);
    jane.grant("reads", &reads);
    // An injector that was there before, added by somebody else.
    let _ = pod.jattach(["ps"]).succeeded();
    let _policies = Policies::apply(&namespace);

    for (change, words) in [
        (json!({"image": "busybox"}), "the image has to be ghcr.io/kubectl-jattach/injector@sha256:"),
        (json!({"image": "ghcr.io/kubectl-jattach/injector:0.1.0"}), "the image has to be"),
        (json!({"image": "evil.example/ghcr.io/kubectl-jattach/injector@sha256:e3"}), "the image has to be"),
        (json!({"command": ["sh"]}), "the container has to run the injector"),
        (json!({"args": ["1", "jcmd"]}), "the container has to run the injector"),
        (json!({"env": [{"name": "A", "value": "b"}]}), "no volumes and no environment"),
        (json!({"envFrom": [{"secretRef": {"name": "s"}}]}), "no volumes and no environment"),
        (json!({"volumeMounts": [{"name": "data", "mountPath": "/v"}]}), "no volumes and no environment"),
        (json!({"securityContext": {"privileged": true}}), "neither privileged nor unconfined"),
        (json!({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}), "add no capabilities"),
        (json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}), "neither privileged nor unconfined"),
        (json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}), "neither privileged nor unconfined"),
    ] {
        let ran = refused(&pod, &jane.user(), &change);
        assert!(ran.stderr.contains(words), "{change}: {ran}");
    }
    let _ = add(&pod, &jane.user(), &json!({})).run().succeeded();

    let plugin = || namespace.plugin().args(["--as", &jane.user(), "pod/x", "ps", "--dry-run=server"]);
    let _ = plugin().args(["--image", IMAGE]).run().succeeded();
    let _ = plugin()
        .args(["--image", "busybox"])
        .run()
        .ended_with(4)
        .explains()
        .says("error[JAT-106]")
        .says("the image has to be");

    let injector = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    let exec = |container: &str, program: &str| {
        let words = ["exec", "x", "-c", container, "--as", &jane.user(), "--", program, "list"];
        namespace.kubectl_program().args(words).run()
    };
    let _ = exec(&injector, "/injector").succeeded();
    let ran = exec(&injector, "/bin/sh").says("only the injector may be run");
    assert_ne!(ran.code(), Some(0));
    let ran = exec("app", "java").says("only an injector may be talked to");
    assert_ne!(ran.code(), Some(0));

    // Who may do everything holds the mark as well.
    let admin = namespace.kubectl_program().args(["exec", "x", "-c", "app", "--", "java", "-version"]);
    let _ = admin.run().succeeded();
}
