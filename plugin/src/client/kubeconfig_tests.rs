//! Which files, which context, which credentials.

use super::*;
use std::fs;

/// A directory with these files, and the connection that the plugin has without any flag.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn no_flags() -> Connection {
    Connection {
        kubeconfig: None,
        context: None,
        cluster: None,
        user: None,
        impersonate: None,
        impersonate_groups: Vec::new(),
        namespace: None,
        request_timeout: None,
        may_ask: true,
    }
}

const WHOLE: &str = "
clusters: [{name: c, cluster: {server: 'http://c.example'}}, {name: d, cluster: {server: 'http://d.example'}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}]
current-context: x
";

async fn loaded(text: &str, change: impl FnOnce(&mut Connection)) -> Result<Config> {
    let directory = directory(&[("config", text)]);
    let mut connection = Connection { kubeconfig: Some(directory.path().join("config")), ..no_flags() };
    change(&mut connection);
    load(&connection).await
}

#[test]
fn the_flag_counts_before_the_variable_and_this_before_the_home() {
    let variable = |_: &str| Some(std::env::join_paths(["/a", "", "/b"]).unwrap());
    assert_eq!(files(Some(Path::new("/flag")), variable), [Path::new("/flag")]);
    assert_eq!(files(None, variable), [Path::new("/a"), Path::new("/b")]);
    let home = files(None, |_| None);
    assert!(home.is_empty() || home[0].ends_with(".kube/config"), "{home:?}");
}

#[test]
fn the_first_file_to_name_a_thing_wins_and_a_missing_file_is_none() {
    let directory = directory(&[
        ("one", "clusters: [{name: c, cluster: {server: 'http://one'}}]\ncurrent-context: ''"),
        ("two", "clusters: [{name: c, cluster: {server: 'http://two'}}]\ncurrent-context: x"),
    ]);
    let path = |name: &str| directory.path().join(name);
    let merged = read(&[path("missing"), path("one"), path("two")]).unwrap().unwrap();
    assert_eq!(merged.clusters.len(), 1);
    assert_eq!(merged.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("http://one"));
    assert_eq!(merged.current_context.as_deref(), Some("x"), "an empty current context names nothing");
    assert!(read(&[path("missing")]).unwrap().is_none());
}

#[test]
fn a_file_that_is_no_kubeconfig_is_named() {
    let directory = directory(&[("broken", "clusters: [")]);
    let failure = read(&[directory.path().join("broken")]).unwrap_err();
    assert!(failure.cause.ends_with("broken cannot be read"), "{failure}");
}

#[tokio::test]
async fn the_flags_choose_context_cluster_and_user() {
    let config = loaded(WHOLE, |_| ()).await.unwrap();
    assert_eq!((config.cluster_url.host(), config.default_namespace.as_str()), (Some("c.example"), "shop"));
    let config = loaded(WHOLE, |connection| connection.cluster = Some("d".into())).await.unwrap();
    assert_eq!(config.cluster_url.host(), Some("d.example"));
    let failure = loaded(WHOLE, |connection| connection.context = Some("y".into())).await.unwrap_err();
    assert!(failure.cause.contains("no context \"y\"") && failure.evidence.ends_with("contexts x"), "{failure}");
    let failure = loaded(WHOLE, |connection| connection.cluster = Some("y".into())).await.unwrap_err();
    assert!(failure.evidence.ends_with("clusters c, d"), "{failure}");
    let failure = loaded(WHOLE, |connection| connection.user = Some("y".into())).await.unwrap_err();
    assert!(failure.cause.contains("no user \"y\""), "{failure}");
}

#[tokio::test]
async fn without_a_current_context_a_cluster_is_enough() {
    let none = WHOLE.replace("current-context: x", "");
    let failure = loaded(&none, |_| ()).await.unwrap_err();
    assert!(failure.cause.contains("no current context"), "{failure}");
    let config = loaded(&none, |connection| connection.cluster = Some("d".into())).await.unwrap();
    assert_eq!(config.cluster_url.host(), Some("d.example"));
}

#[tokio::test]
async fn what_is_empty_is_not_there() {
    let empty = "
clusters: [{name: c, cluster: {server: 'http://c.example', certificate-authority: '', certificate-authority-data: '',
    proxy-url: ''}}]
users: [{name: u, user: {token: '', tokenFile: '', client-certificate: '', client-certificate-data: '', client-key: '',
    client-key-data: ''}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: ''}}]
current-context: x
";
    let config = loaded(empty, |_| ()).await.unwrap();
    assert_eq!((config.default_namespace.as_str(), config.root_cert, config.proxy_url), ("default", None, None));
    let user = config.auth_info;
    assert!(user.token.is_none() && user.token_file.is_none() && user.client_key_data.is_none());
    assert_eq!((user.client_certificate, user.client_certificate_data, user.client_key), (None, None, None));
}

#[tokio::test]
async fn a_server_without_a_scheme_speaks_http() {
    for server in ["c.example", "c.example:8080", "10.0.0.1:8080"] {
        let config = loaded(&WHOLE.replace("http://c.example", server), |_| ()).await.unwrap();
        assert_eq!(config.cluster_url.to_string(), format!("http://{server}/"));
    }
}

#[tokio::test]
async fn a_certificate_authority_beside_its_opposite_is_refused() {
    let both = "{server: 'https://c.example', insecure-skip-tls-verify: true, certificate-authority-data: ''}";
    let file = WHOLE.replace("{server: 'http://c.example'}", both);
    assert!(loaded(&file, |_| ()).await.unwrap().accept_invalid_certs);
    // What it holds does not matter.
    let failure = loaded(&file.replace("data: ''", "data: Cg=="), |_| ()).await.unwrap_err();
    assert!(failure.evidence.contains("insecure-skip-tls-verify"), "{failure}");
}

#[tokio::test]
async fn paths_are_relative_to_the_file_that_names_them() {
    let user = "{tokenFile: secret, exec: {apiVersion: v1, command: ./bin/login, interactiveMode: Never}}";
    let text = WHOLE.replace("{token: secret}", user);
    let directory = directory(&[("config", &text), ("secret", "filed")]);
    let connection = Connection { kubeconfig: Some(directory.path().join("config")), ..no_flags() };
    let user = load(&connection).await.unwrap().auth_info;
    let path = |name: &str| Some(directory.path().join(name).to_str().unwrap().to_owned());
    assert_eq!((user.token_file, user.exec.unwrap().command), (path("secret"), path("./bin/login")));
}

#[tokio::test]
async fn a_kubeconfig_that_a_flag_names_has_to_be_there() {
    let connection = Connection { kubeconfig: Some("/no/such/kubeconfig".into()), ..no_flags() };
    let failure = load(&connection).await.unwrap_err();
    assert!(failure.cause.contains("/no/such/kubeconfig does not exist"), "{failure}");
}
