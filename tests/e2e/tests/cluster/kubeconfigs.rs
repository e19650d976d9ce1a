//! The kubeconfig as kubectl takes it: which files, which cluster, which user.

use std::ffi::OsString;
use std::fs;

use jattach_e2e::kubeconfig::{self, CLUSTER, CONTEXT, USER};
use jattach_e2e::{Kubeconfig, Namespace, skip};
use serde_json::{Value, json};
use tempfile::tempdir;

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
    let _ = pod.plugin_of_image(["ps"]).env("KUBECONFIG", joined).run().succeeded().prints("App");
}

#[test]
fn context_cluster_and_user_are_taken_by_their_names() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut document = Kubeconfig::admin().document();
    let add = |list: &mut Value, entry: Value| list.as_array_mut().expect("a list").push(entry);
    // Nobody listens on port 1.
    add(&mut document["clusters"], json!({"name": "dead", "cluster": {"server": "https://127.0.0.1:1"}}));
    add(&mut document["users"], json!({"name": "nobody", "user": {"token": "nonsense"}}));
    add(&mut document["contexts"], json!({"name": "wrong", "context": {"cluster": "dead", "user": "nobody"}}));
    document["current-context"] = "wrong".into();
    let file = kubeconfig::write(directory.path(), "config", &document);
    let run = |flags: &[&str]| pod.plugin_by(&file, ["ps"]).args(flags).run();
    let _ = run(&["--context", CONTEXT]).succeeded().prints("App");
    let _ = run(&["--cluster", CLUSTER, "--user", USER]).succeeded().prints("App");
    let _ = run(&["--cluster", CLUSTER]).ended_with(4).is_error("JAT-102.no-login");
    let _ = run(&["--user", USER]).ended_with(1).is_error("JAT-138.refused").says("127.0.0.1:1");
    let _ = run(&["--context", "nope"]).ended_with(1).explains().says("nope").says(CONTEXT);
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
    let _ = pod.plugin_by(&config, ["ps"]).run().succeeded().prints("App");
}

#[test]
fn a_server_is_believed_unchecked_only_where_the_kubeconfig_says_so() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut config = Kubeconfig::admin();
    let cluster = config.cluster.as_object_mut().expect("a cluster");
    cluster.remove("certificate-authority-data");
    cluster.insert("insecure-skip-tls-verify".to_owned(), true.into());
    // A name that the certificate does not have.
    cluster.insert("tls-server-name".to_owned(), "cluster.invalid".into());
    let unchecked = kubeconfig::write(directory.path(), "unchecked", &config.document());
    let _ = pod.plugin_by(&unchecked, ["ps"]).run().succeeded().prints("App");
    config.cluster["insecure-skip-tls-verify"] = false.into();
    let checked = kubeconfig::write(directory.path(), "checked", &config.document());
    let _ = pod.plugin_by(&checked, ["ps"]).run().ended_with(1).is_error("JAT-132.unknown-authority");
}
