//! What is said beside an answer never holds a secret, however much of it is asked for: every command at kubectl's highest
//! verbosity, on a JVM whose environment and properties, and by a user whose token, can be told from everything else. Nor does the
//! pod hold one of that user's afterwards.

use std::path::Path;

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Kubeconfig, Namespace, Pod, Program, Ran, cluster, manifest};
use serde_json::json;
use tempfile::tempdir;

const ENVIRONMENT: &str = "mark-of-the-environment-5f1c";
const PROPERTY: &str = "mark-of-the-properties-77ab";
/// The injector's own, by `--custom`.
const CUSTOM: &str = "mark-of-the-injector-c09e";

/// Whether a command's answer is, or may be, what the properties are.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    HoldsNone,
    /// As it has to: who asks for the properties wants to see them.
    Properties,
    /// What would be sent, with what its user has put there.
    Patch,
}
use Answer::{HoldsNone, Patch, Properties};

/// Every command that asks something of a JVM or of its pod, in an order in which one does not spoil the next.
const COMMANDS: [(&[&str], Answer); 20] = [
    (&["ps"], HoldsNone),
    (&["ps", "-o", "json"], HoldsNone),
    (&["doctor"], HoldsNone),
    (&["doctor", "--fix-rbac"], HoldsNone),
    (&["threaddump"], HoldsNone),
    (&["threaddump", "--locks"], HoldsNone),
    (&["threaddump", "--via-log"], HoldsNone),
    (&["inspectheap", "--all", "--top", "3"], HoldsNone),
    (&["jcmd", "VM.uptime"], HoldsNone),
    (&["jcmd", "No.such_command"], HoldsNone),
    (&["jcmd", "VM.system_properties"], Properties),
    (&["properties"], Properties),
    (&["agentProperties"], Properties),
    (&["datadump"], HoldsNone),
    (&["setflag", "HeapDumpOnOutOfMemoryError", "true"], HoldsNone),
    (&["printflag", "HeapDumpOnOutOfMemoryError"], HoldsNone),
    (&["load", "no-such-agent"], HoldsNone),
    (&["ps", "--dry-run=client"], Patch),
    (&["ps", "--dry-run=server", "-o", "json"], Patch),
    (&["clean"], HoldsNone),
];

fn marked_pod(namespace: &Namespace) -> Pod<'_> {
    let property = format!("-Dmark={PROPERTY}");
    let mut app = manifest::restricted(manifest::java("app", &[&property, "-cp", "/app", "App"]));
    // Where the image has a shell the injector can also go into the container itself.
    if let Some(image) = &cluster().jvm_shell_image {
        app["image"] = image.as_str().into();
    }
    app["env"] = json!([{"name": "MARK", "value": ENVIRONMENT}]);
    namespace.start(&manifest::pod("x", &[app]))
}

/// Who asks, and what of that nobody else is to know.
struct Asker {
    kubeconfig: std::path::PathBuf,
    secrets: Vec<String>,
}

impl Asker {
    fn with_token(token: &str, directory: &Path) -> Asker {
        let kubeconfig = Kubeconfig::of_user(json!({"token": token})).write(directory);
        // A part of it would do for a guess.
        let signature = token.rsplit('.').next().expect("a token has parts");
        let secrets = [signature, ENVIRONMENT, PROPERTY, CUSTOM].map(str::to_owned).into();
        Asker { kubeconfig, secrets }
    }

    /// The token's: nobody else can make it.
    fn signature(&self) -> &str {
        &self.secrets[0]
    }

    fn on(&self, pod: &Pod<'_>, words: &[&str]) -> Program {
        pod.plugin_by(&self.kubeconfig, ["-v=10"]).args(words)
    }

    /// Checks that nothing secret was said beside the answer, nor in one that is to hold none.
    #[track_caller]
    fn is_discreet(&self, ran: &Ran, answer: Answer) {
        assert!(ran.stderr.contains("requesting") || ran.stderr.contains("DEBUG"), "nothing was logged at all\n{ran}");
        for secret in &self.secrets {
            assert!(!ran.stderr.contains(secret), "{secret} is on stderr\n{ran}");
            let may_be_there = match answer {
                HoldsNone => false,
                Properties => secret == PROPERTY,
                Patch => secret == CUSTOM,
            };
            assert!(may_be_there || !ran.text().contains(secret), "{secret} is on stdout\n{ran}");
        }
    }
}

#[test]
fn no_command_logs_tokens_environment_or_properties_at_any_verbosity() {
    let namespace = Namespace::new();
    let pod = marked_pod(&namespace);
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let asker = Asker::with_token(&account.token(), directory.path());
    let custom = directory.path().join("custom.yaml");
    std::fs::write(&custom, json!({"env": [{"name": "MARK", "value": CUSTOM}]}).to_string()).expect("room");
    let with_custom = ["--custom", custom.to_str().expect("a path")];

    for (words, answer) in COMMANDS {
        asker.is_discreet(&asker.on(&pod, words).args(with_custom).run(), answer);
    }
    let ran = asker.on(&pod, &["properties"]).args(with_custom).run().succeeded();
    let _ = ran.prints(PROPERTY);
    let file = directory.path().join("x.hprof");
    let dumped = asker.on(&pod, &["dumpheap"]).args(with_custom).arg(&file).run().succeeded();
    asker.is_discreet(&dumped, HoldsNone);
    if cluster().jvm_shell_image.is_some() {
        // Without a container of our own there is no image of it.
        let inside =
            cluster().bare_plugin().args(["-n", &namespace.name, "pod/x", "--via=exec", "-v=10", "threaddump"]);
        asker.is_discreet(&inside.arg("--kubeconfig").arg(&asker.kubeconfig).run().succeeded(), HoldsNone);
    }
    let of_all = cluster().plugin_of_image().args(["-n", &namespace.name, "-l", "app=x", "--all-pods", "-v=10", "ps"]);
    asker.is_discreet(&of_all.arg("--kubeconfig").arg(&asker.kubeconfig).run().succeeded(), HoldsNone);
}

#[test]
fn no_failure_logs_tokens_environment_or_properties_at_any_verbosity() {
    let namespace = Namespace::new();
    let pod = marked_pod(&namespace);
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let asker = Asker::with_token(&account.token(), directory.path());
    let failing: [&[&str]; 5] = [
        &["-c", "nobody", "ps"],
        &["--pid", "4711", "threaddump"],
        &["--image", "localhost/jattach-test/no-such:1", "--image-pull-policy", "Never", "threaddump"],
        &["--timeout", "1ms", "threaddump"],
        &["--run-as-user", "4711", "threaddump"],
    ];
    for words in failing {
        let ran = asker.on(&pod, words).run();
        assert_ne!(ran.code(), Some(0), "{ran}");
        asker.is_discreet(&ran, HoldsNone);
    }
    let stranger = ServiceAccount::new(&namespace, "stranger");
    let stranger = Asker::with_token(&stranger.token(), directory.path());
    stranger.is_discreet(&stranger.on(&pod, &["ps"]).run().ended_with(4), HoldsNone);
}

/// What the user's shell has exported, beside what leads to the cluster.
const EXPORTED: &str = "mark-of-the-users-shell-3d90";

#[test]
fn nothing_of_its_user_gets_into_the_pod() {
    let namespace = Namespace::new();
    let pod = marked_pod(&namespace);
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let token = account.token();
    let asker = Asker::with_token(&token, directory.path());
    let by_variables = |words: &[&str]| {
        let program = cluster().bare_plugin().args(["-n", &namespace.name, "pod/x"]).args(words);
        let program = program.args(["--image-pull-policy", &cluster().pull_policy]);
        // The last two nobody asks for: what a shell has is not passed on.
        program
            .env("KUBECONFIG", &asker.kubeconfig)
            .env("KUBECTL_JATTACH_IMAGE", &cluster().injector_image)
            .env("KUBECTL_JATTACH_MARK", EXPORTED)
            .env("AWS_SECRET_ACCESS_KEY", EXPORTED)
    };
    let _ = by_variables(&["threaddump"]).run().succeeded().prints("Full thread dump");
    let _ = by_variables(&["dumpheap"]).arg(directory.path().join("x.hprof")).run().succeeded();
    // A second container, beside the one that there is by now.
    let _ = by_variables(&["ps", "--run-as-group", "4711"]).run();

    // As the server holds it, with who has set which of its fields.
    let held = namespace.kubectl(["get", "pod", "x", "-o", "json", "--show-managed-fields"]).text();
    let file = asker.kubeconfig.to_str().expect("a path");
    let kubeconfig = std::fs::read_to_string(file).expect("the kubeconfig");
    let server = Kubeconfig::admin().cluster["server"].as_str().expect("a server").to_owned();
    let authority = Kubeconfig::admin().cluster["certificate-authority-data"].as_str().unwrap_or(file).to_owned();
    assert!(kubeconfig.contains(&token) && kubeconfig.contains(&server), "the kubeconfig is the one that was used");
    for secret in [token.as_str(), asker.signature(), file, &server, &authority, EXPORTED] {
        assert!(!held.contains(secret), "{secret} is in the pod\n{held}");
    }
    let containers = pod.ephemeral_containers();
    assert!(!containers.is_empty(), "{held}");
    for container in containers {
        let names = container.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        // No arguments, no environment, no volumes: there is nothing that could hold one.
        let known = [
            "command",
            "image",
            "imagePullPolicy",
            "name",
            "resources",
            "securityContext",
            "targetContainerName",
            "terminationMessagePath",
            "terminationMessagePolicy",
        ];
        let others: Vec<_> = names.filter(|name| !known.contains(name)).collect();
        assert_eq!(others, [""; 0], "{container:#}");
    }
}
