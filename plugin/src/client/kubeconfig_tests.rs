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
async fn impersonation_of_the_flags_replaces_that_of_the_file() {
    let file = WHOLE.replace("token: secret", "token: secret, as: filed, as-groups: [g]");
    let config = loaded(&file, |_| ()).await.unwrap();
    assert_eq!(config.auth_info.impersonate.as_deref(), Some("filed"));
    let config = loaded(&file, |connection| connection.impersonate = Some("jane".into())).await.unwrap();
    assert_eq!(config.auth_info.impersonate.as_deref(), Some("jane"));
    assert_eq!(config.auth_info.impersonate_groups, Some(Vec::new()));
}

#[tokio::test]
async fn a_kubeconfig_that_a_flag_names_has_to_be_there() {
    let connection = Connection { kubeconfig: Some("/no/such/kubeconfig".into()), ..no_flags() };
    let failure = load(&connection).await.unwrap_err();
    assert!(failure.cause.contains("/no/such/kubeconfig does not exist"), "{failure}");
}

fn token_of(file: &str, token: Option<&str>) -> (Option<String>, bool) {
    let directory = directory(&[("token", file)]);
    let path = directory.path().join("token").to_str().unwrap().to_owned();
    let mut user = AuthInfo { token: token.map(SecretString::from), token_file: Some(path), ..AuthInfo::default() };
    credentials(&mut user).unwrap();
    (user.token.map(|token| token.expose_secret().to_owned()), user.token_file.is_some())
}

#[test]
fn a_token_file_counts_before_a_token_and_without_its_line_feed() {
    assert_eq!(token_of("filed", Some("inline")), (None, true));
    assert_eq!(token_of("filed\n", Some("inline")), (Some("filed".into()), false));
}

#[test]
fn a_token_file_that_is_missing_matters_only_without_a_token() {
    let missing = |token: Option<&str>| {
        let mut user = AuthInfo {
            token: token.map(SecretString::from),
            token_file: Some("/no/such/token".into()),
            ..AuthInfo::default()
        };
        credentials(&mut user).map(|()| user.token_file.is_some())
    };
    assert!(missing(None).unwrap_err().cause.contains("/no/such/token"));
    assert!(missing(Some("")).is_err(), "an empty token is none");
    assert!(!missing(Some("inline")).unwrap());
}
