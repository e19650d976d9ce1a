//! deploy/policy.yaml: what holders of the published Role may do under it, and nobody else may not.

use std::path::Path;
use std::time::{Duration, Instant};

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Namespace, Pod, Program, cluster, manifest};
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
    let mut container = manifest::restricted(json!({
        "name": "jattach-bcdfg", "image": IMAGE, "command": ["/injector", "hold"], "targetContainerName": "app",
    }));
    container.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
    let words = ["patch", "pod", &pod.name, "--subresource=ephemeralcontainers", "--dry-run=server", "-p", &patch];
    pod.namespace.kubectl_program().args(words).args(["--as", user])
}

/// Waits until the server has taken the policies up, as it does within seconds: until then what they forbid is allowed.
fn wait_until_in_force(pod: &Pod<'_>, user: &str) {
    let forbidden = json!({"image": "busybox"});
    let asked = Instant::now();
    while add(pod, user, &forbidden).run().code() == Some(0) {
        assert!(asked.elapsed() < Duration::from_secs(60), "nothing is forbidden");
    }
}

/// What nobody may add beside a target as most are, and by which words that is refused.
fn forbidden() -> Vec<(Value, &'static str)> {
    let context = |change: Value| {
        let mut context = manifest::restricted(json!({}))["securityContext"].clone();
        context.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        json!({"securityContext": context})
    };
    vec![
        (json!({"image": "busybox"}), "the image has to be ghcr.io/kubectl-jattach/injector@sha256:"),
        (json!({"image": "ghcr.io/kubectl-jattach/injector:0.1.0"}), "the image has to be"),
        (json!({"image": "evil.example/ghcr.io/kubectl-jattach/injector@sha256:e3"}), "the image has to be"),
        (json!({"command": ["sh"]}), "the container has to run the injector"),
        (json!({"args": ["1", "jcmd"]}), "the container has to run the injector"),
        (json!({"targetContainerName": null}), "the container has to name its target"),
        (json!({"env": [{"name": "A", "value": "b"}]}), "no volumes and no environment"),
        (json!({"envFrom": [{"secretRef": {"name": "s"}}]}), "no volumes and no environment"),
        (json!({"volumeMounts": [{"name": "data", "mountPath": "/v"}]}), "no volumes and no environment"),
        (context(json!({"privileged": true, "allowPrivilegeEscalation": null})), "may not be privileged"),
        (
            context(json!({"capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}})),
            "no capabilities that its target has not",
        ),
        (context(json!({"capabilities": {"drop": ["NET_RAW"]}})), "no capabilities that its target has not"),
        (context(json!({"allowPrivilegeEscalation": true})), "no capabilities that its target has not"),
        (context(json!({"runAsUser": 0, "runAsNonRoot": false})), "root only where its target may be"),
        (context(json!({"seLinuxOptions": {"type": "spc_t"}})), "no security profile that its target has not"),
        (context(json!({"seccompProfile": {"type": "Unconfined"}})), "no security profile that its target has not"),
        (context(json!({"seccompProfile": null})), "no security profile that its target has not"),
        (json!({"workingDir": "/proc/self/fd/7"}), "no working directory"),
        // hostProcess itself the server refuses before it asks: in no pod of Linux' could it stand.
        (context(json!({"windowsOptions": {"runAsUserName": "ContainerAdministrator"}})), "no options for Windows"),
        (context(json!({"appArmorProfile": {"type": "Unconfined"}})), "no security profile that its target has not"),
    ]
}

/// What a target has its injector may have too, and no more than that.
fn as_the_target_alone(namespace: &Namespace, user: &str) {
    let with = |name: &str, context: &Value| {
        let mut container = manifest::no_jvm("app");
        container["securityContext"] = context.clone();
        // Nobody has to run it.
        namespace.create(&manifest::pod(name, &[container]));
        namespace.pod(name)
    };
    let own = json!({
        "capabilities": {"add": ["SYS_PTRACE"], "drop": ["NET_RAW"]},
        "runAsUser": 0,
        "seccompProfile": {"type": "Unconfined"},
        "allowPrivilegeEscalation": false,
    });
    let root = with("root", &own);
    let mut quiet = own.clone();
    quiet.as_object_mut().expect("an object").remove("seccompProfile");
    for context in [&own, &quiet] {
        let _ = add(&root, user, &json!({"securityContext": context})).run().succeeded();
    }
    for (name, value) in [
        ("capabilities", json!({"add": ["SYS_PTRACE"]})),
        ("capabilities", json!({"add": ["SYS_PTRACE", "SYS_ADMIN"], "drop": ["NET_RAW"]})),
        ("allowPrivilegeEscalation", json!(true)),
    ] {
        let mut more = own.clone();
        more[name] = value;
        let ran = add(&root, user, &json!({"securityContext": more})).run();
        assert_ne!(ran.code(), Some(0), "{more}: {ran}");
        assert!(ran.stderr.contains("no capabilities that its target has not"), "{more}: {ran}");
    }
    // What its image says nobody knows here; that it begins as root its spec may forbid all the same.
    let change = json!({"securityContext": {"runAsUser": 0, "runAsNonRoot": false}});
    let ran = add(&with("user", &json!({"runAsNonRoot": true})), user, &change).run();
    assert_ne!(ran.code(), Some(0), "{ran}");
    assert!(ran.stderr.contains("root only where its target may be"), "{ran}");
}

#[test]
#[ignore = "it wants a server with ValidatingAdmissionPolicy: `cargo xtask e2e --kubeconfig FILE … -- policy:: --ignored`"]
fn who_holds_the_role_may_add_the_injector_and_talk_to_it_and_nothing_else() {
    let namespace = Namespace::new();
    let jvm = manifest::restricted(manifest::jvm("app"));
    let pod = namespace.start(&manifest::with_volume(manifest::pod("x", &[jvm]), "data"));
    let jane = ServiceAccount::with_published_role(&namespace, "jane");
    let reads = json!([{"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["get"]}]);
    jane.grant("reads", &reads);
    // An injector that was there before, added by somebody else.
    let _ = pod.jattach(["ps"]).succeeded();
    let _policies = Policies::apply(&namespace);

    wait_until_in_force(&pod, &jane.user());

    for (change, words) in forbidden() {
        let ran = add(&pod, &jane.user(), &change).run();
        assert_ne!(ran.code(), Some(0), "{change}: {ran}");
        assert!(ran.stderr.contains(words), "{change}: {ran}");
    }
    let _ = add(&pod, &jane.user(), &json!({})).run().succeeded();
    as_the_target_alone(&namespace, &jane.user());

    let plugin = || namespace.plugin().args(["--as", &jane.user(), "pod/x", "ps", "--dry-run=server"]);
    let _ = plugin().args(["--image", IMAGE]).run().succeeded();
    let _ = plugin()
        .args(["--image", "busybox"])
        .run()
        .ended_with(4)
        .explains()
        .says("error[JAT-106]")
        .says("the image has to be");

    // The injector that is there serves her.
    let _ = namespace.plugin().args(["--as", &jane.user(), "pod/x", "ps"]).run().succeeded();

    let injector = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    let exec = |container: &str, program: &str| {
        let words = ["exec", "x", "-c", container, "--as", &jane.user(), "--", program, "list"];
        namespace.kubectl_program().args(words).run()
    };
    for program in ["/injector", "/bin/sh"] {
        let ran = exec(&injector, program).says("only a session of the injector may be run");
        assert_ne!(ran.code(), Some(0));
    }
    let ran = exec("app", "java").says("only an injector may be talked to");
    assert_ne!(ran.code(), Some(0));

    // Who may do everything holds the mark as well.
    let admin = namespace.kubectl_program().args(["exec", "x", "-c", "app", "--", "java", "-version"]);
    let _ = admin.run().succeeded();
}
