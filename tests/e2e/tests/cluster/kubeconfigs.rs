//! The kubeconfig as kubectl takes it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jattach_e2e::kubeconfig::{self, CLUSTER, CONTEXT, USER};
use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Program, Proxy, cluster, dump, manifest, skip};
use serde_json::{Value, json};
use tempfile::tempdir;

/// `ps` of the pod, told the cluster by the environment or by more words.
fn ps(pod: &Pod<'_>) -> Program {
    cluster().plugin_of_image().args(["-n", &pod.namespace.name, &format!("pod/{}", pod.name), "ps"])
}

fn ps_with(pod: &Pod<'_>, kubeconfig: &Path) -> Program {
    ps(pod).arg("--kubeconfig").arg(kubeconfig)
}

#[test]
fn several_files_are_one_kubeconfig() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let whole = Kubeconfig::admin().document();
    let part = |name: &str, fields: &[&str]| {
        let mut part = json!({"apiVersion": "v1", "kind": "Config"});
        for field in fields {
            part[field] = whole[field].clone();
        }
        kubeconfig::write(directory.path(), name, &part)
    };
    let files = [
        part("users", &["users"]),
        directory.path().join("not-there"),
        part("clusters", &["clusters"]),
        part("contexts", &["contexts", "current-context"]),
    ];
    let joined: OsString = std::env::join_paths(files).expect("paths");
    let _ = ps(&pod).env("KUBECONFIG", joined).run().succeeded().prints("App");
}

#[test]
fn context_cluster_and_user_are_taken_by_their_names() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut document = Kubeconfig::admin().document();
    let add = |list: &mut Value, entry: Value| list.as_array_mut().expect("a list").push(entry);
    // RFC 5737: an address that leads nowhere. Port 1 of this machine refuses at once.
    add(&mut document["clusters"], json!({"name": "dead", "cluster": {"server": "https://127.0.0.1:1"}}));
    add(&mut document["users"], json!({"name": "nobody", "user": {"token": "nonsense"}}));
    add(&mut document["contexts"], json!({"name": "wrong", "context": {"cluster": "dead", "user": "nobody"}}));
    document["current-context"] = "wrong".into();
    let file = kubeconfig::write(directory.path(), "config", &document);
    let run = |flags: &[&str]| ps_with(&pod, &file).args(flags).run();
    let _ = run(&["--context", CONTEXT]).succeeded().prints("App");
    let _ = run(&["--cluster", CLUSTER, "--user", USER]).succeeded().prints("App");
    let _ = run(&["--cluster", CLUSTER]).ended_with(4).explains();
    let _ = run(&["--user", USER]).ended_with(1).explains().says("127.0.0.1:1");
    let _ = run(&["--context", "nope"]).ended_with(1).explains().says("nope").says(CONTEXT);
}

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
    let _ = ps_with(&pod, &config).run().succeeded().prints("App");
}

#[test]
fn a_client_certificate_may_lie_in_files() {
    let admin = Kubeconfig::admin();
    let data = ["client-certificate-data", "client-key-data"].map(|field| admin.user_data(field));
    let [Some(certificate), Some(key)] = data else { return skip("the kubeconfig has no client certificate") };
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let write = |name: &str, content: &[u8]| {
        fs::write(directory.path().join(name), content).expect("a file");
    };
    write("me.crt", &certificate);
    write("me.key", &key);
    // A path in a kubeconfig is relative to it.
    let user = json!({"client-certificate": "me.crt", "client-key": "me.key"});
    let config = Kubeconfig { user, ..admin }.write(directory.path());
    let _ = ps_with(&pod, &config).run().succeeded().prints("App");
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
    let _ = ps_with(&pod, &config).run().succeeded().prints("App");
    assert!(calls(directory.path()) > 0);
    credential(directory.path(), "nonsense", None);
    let _ = ps_with(&pod, &config).run().ended_with(4).explains();
    fs::remove_file(directory.path().join("credential.json")).expect("the file is there");
    let _ = ps_with(&pod, &config).run().ended_with(1).says("credentials");
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
        let _ = ps_with(&pod, &config).run().succeeded().prints("App");
        calls(directory.path()) - before
    };
    let (for_ever, expired) = (calls_of_a_run("2100-01-01T00:00:00Z"), calls_of_a_run("2000-01-01T00:00:00Z"));
    assert!(expired > for_ever, "{expired} calls where it has expired, {for_ever} where it has not");
}

#[test]
fn a_credential_that_ends_in_mid_transfer_does_not_end_the_transfer() {
    let namespace = Namespace::new();
    let app = manifest::restricted(manifest::jvm_with("app", &["--heap-mb", "40", "--content", "random"]));
    let _pod = namespace.start(&manifest::pod("x", &[app]));
    let directory = tempdir().expect("a directory");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let proxy = Proxy::start().with(Fault::StallAfter(4 << 20));
    credential(directory.path(), &account.token(), None);
    let config = with_credential_plugin(directory.path()).through(&proxy.url()).write(directory.path());
    let file = directory.path().join("x.hprof");
    let plugin = cluster().plugin_of_image().arg("--kubeconfig").arg(config).args(["-n", &namespace.name]);
    let dumping = plugin.args(["pod/x", "dumpheap"]).arg(&file).start();
    proxy.wait_until_passed(4 << 20);
    account.delete();
    proxy.release();
    let _ = dumping.wait().succeeded();
    dump::verify(&file);
}

#[test]
fn a_proxy_of_the_kubeconfig_is_gone_through() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let proxy = Proxy::start();
    let config = Kubeconfig::admin().through(&proxy.url()).write(directory.path());
    let _ = ps_with(&pod, &config).env("NO_PROXY", "*").run().succeeded().prints("App");
    assert!(proxy.connections() > 0);
    drop(proxy);
    let _ = ps_with(&pod, &config).run().ended_with(1).explains().says("proxy");
}

#[test]
fn a_proxy_of_the_environment_is_gone_through_and_the_certificate_is_that_of_the_named_server() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut config = Kubeconfig::admin();
    let (host, port) = config.host_and_port();
    // A name that only the proxy knows: this machine's own addresses are never behind a proxy of the environment.
    let proxy = Proxy::start_to(&format!("{host}:{port}"));
    config.cluster["server"] = "https://cluster.invalid:6443".into();
    let without_name = kubeconfig::write(directory.path(), "without-name", &config.document());
    config.cluster["tls-server-name"] = config.cluster["tls-server-name"].as_str().unwrap_or(&host).into();
    let with_name = kubeconfig::write(directory.path(), "with-name", &config.document());
    let run = |config: &Path| ps_with(&pod, config).env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", "").run();
    let _ = run(&with_name).succeeded().prints("App");
    assert!(proxy.connections() > 0);
    let _ = run(&without_name).ended_with(1).explains().says("certificate");
}
