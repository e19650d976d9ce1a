//! Where the kubeconfig's user has its credentials from, and what becomes of those that expire.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Proxy, dump, manifest};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::tempdir;

#[test]
fn a_token_may_lie_in_a_file() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let token = directory.path().join("token");
    // As editors and mounted secrets leave it.
    fs::write(&token, format!("{}\n", account.token())).expect("a file");
    let config = Kubeconfig::of_user(json!({"tokenFile": token})).write(directory.path());
    let _ = pod.plugin_by(&config, ["ps"]).run().succeeded().prints("App");
}

/// A credential plugin that prints what `credential.json` beside it holds, and a line into `calls` for each time.
fn credential_plugin(directory: &Path) -> PathBuf {
    let plugin = directory.join("credentials");
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" && echo called >> calls && cat credential.json\n";
    fs::write(&plugin, script).expect("a file");
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).expect("a mode");
    plugin
}

fn credential(directory: &Path, token: &str, expires: Option<&str>) {
    let mut status = json!({"token": token});
    if let Some(expires) = expires {
        status["expirationTimestamp"] = expires.into();
    }
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status});
    fs::write(directory.join("credential.json"), credential.to_string()).expect("a file");
}

/// How often it was called.
fn calls(directory: &Path) -> usize {
    fs::read_to_string(directory.join("calls")).map_or(0, |calls| calls.lines().count())
}

fn with_credential_plugin(directory: &Path) -> Kubeconfig {
    Kubeconfig::of_user(json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": credential_plugin(directory),
        "interactiveMode": "Never",
    }}))
}

#[test]
fn a_credential_plugin_gives_the_token() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let config = with_credential_plugin(directory.path()).write(directory.path());
    credential(directory.path(), &account.token(), None);
    let _ = pod.plugin_by(&config, ["ps"]).run().succeeded().prints("App");
    assert!(calls(directory.path()) > 0);
    credential(directory.path(), "nonsense", None);
    let _ = pod.plugin_by(&config, ["ps"]).run().ended_with(4).explains();
    fs::remove_file(directory.path().join("credential.json")).expect("the file is there");
    let _ = pod.plugin_by(&config, ["ps"]).run().ended_with(1).says("credentials");
}

#[test]
fn a_credential_that_has_expired_is_asked_for_again() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let config = with_credential_plugin(directory.path()).write(directory.path());
    let calls_of_a_run = |expires: &str| {
        let before = calls(directory.path());
        credential(directory.path(), &account.token(), Some(expires));
        let _ = pod.plugin_by(&config, ["ps"]).run().succeeded().prints("App");
        calls(directory.path()) - before
    };
    let (for_ever, expired) = (calls_of_a_run("2100-01-01T00:00:00Z"), calls_of_a_run("2000-01-01T00:00:00Z"));
    assert!(expired > for_ever, "{expired} calls where it has expired, {for_ever} where it has not");
}

/// A pod whose dump takes a while through [`SLOW`].
fn start_large(namespace: &Namespace) -> Pod<'_> {
    let app = manifest::jvm_with("app", &["--heap-mb", "40", "--content", "random"]);
    namespace.start(&manifest::pod("x", &[manifest::restricted(app)]))
}

const SLOW: Fault = Fault::Rate(1 << 20);

/// A new account of the same name and rights: the tokens of the old one are worth nothing any more.
fn renewed<'n>(account: ServiceAccount<'n>, namespace: &'n Namespace) -> ServiceAccount<'n> {
    let name = account.name.clone();
    account.delete();
    ServiceAccount::new(namespace, &name)
}

#[test]
fn a_token_that_expires_in_mid_transfer_ends_neither_that_nor_what_follows() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let old = account.token();
    let proxy = Proxy::start().with(SLOW);
    let config = with_credential_plugin(directory.path()).through(&proxy.url()).write(directory.path());
    let expires = Timestamp::now() + SignedDuration::from_secs(8);
    credential(directory.path(), &old, Some(&expires.to_string()));
    let file = directory.path().join("x.hprof");
    let dumping = pod.plugin_by(&config, ["dumpheap"]).arg(&file).start();
    // At that rate they take longer than the token is good for.
    proxy.wait_until_passed(12 << 20);
    assert!(Timestamp::now() > expires);
    let account = renewed(account, &namespace);
    proxy.release();
    let _ = dumping.wait().succeeded();
    dump::verify(&file);

    let _ = pod.plugin_by(&config, ["ps"]).run().ended_with(4).explains();
    credential(directory.path(), &account.token(), None);
    let _ = pod.plugin_by(&config, ["ps"]).run().succeeded().prints("App");
}

#[test]
fn what_is_asked_after_a_transfer_is_asked_with_the_token_of_that_time() {
    let namespace = Namespace::new();
    let pod = start_large(&namespace);
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let proxy = Proxy::start().with(SLOW);
    let config = with_credential_plugin(directory.path()).through(&proxy.url()).write(directory.path());
    credential(directory.path(), &account.token(), Some("2000-01-01T00:00:00Z"));
    let dumping = pod.plugin_by(&config, ["dumpheap"]).arg(directory.path().join("x.hprof")).start();
    proxy.wait_until_passed(4 << 20);
    let account = renewed(account, &namespace);
    credential(directory.path(), &account.token(), Some("2000-01-01T00:00:00Z"));
    pod.delete();
    // That the pod is gone only the API server can tell; whom it does not know it tells nothing.
    let _ = dumping.wait().ended_with(3).is_error_however_seen("JAT-006.pod-deleted");
}

#[test]
fn a_credential_plugin_that_is_not_there_is_named_with_the_hint_of_the_kubeconfig() {
    let namespace = Namespace::new();
    let directory = tempdir().expect("a directory");
    let exec = |fields: serde_json::Value| {
        let mut exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"});
        exec.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let config = Kubeconfig::of_user(json!({"exec": exec})).write(directory.path());
        namespace.pod("x").plugin_by(&config, ["ps"]).run().ended_with(1).explains()
    };
    let _ = exec(json!({"command": "no-such-login", "installHint": "ask the helpdesk"}))
        .says("no-such-login")
        .says("remedy: ask the helpdesk");
    let _ = exec(json!({"command": "sh", "args": ["-c", "echo please log in >&2; exit 7"]})).says("please log in");
    let _ = exec(json!({"command": "true", "interactiveMode": "Always"})).says("no terminal");
}

#[test]
fn an_auth_provider_that_kubectl_has_removed_is_refused_by_its_name() {
    let namespace = Namespace::new();
    let directory = tempdir().expect("a directory");
    let provider = json!({"name": "gcp", "config": {"access-token": "t", "expiry": "2100-01-01T00:00:00Z"}});
    let config = Kubeconfig::of_user(json!({"auth-provider": provider})).write(directory.path());
    let _ = namespace.pod("x").plugin_by(&config, ["ps"]).run().ended_with(1).is_error("JAT-131.auth-provider");
}
