//! What kubectl would send for a user.

use super::*;
use serde_json::{Value, json};

fn user(fields: Value) -> AuthInfo {
    serde_json::from_value(fields).expect("a user")
}

fn settled(fields: Value) -> Result<AuthInfo> {
    let mut user = user(fields);
    settle(&mut user, false).map(|()| user)
}

/// The token that is taken, and whether its file is read again later.
fn token_of(file: &str, token: Option<&str>) -> (Option<String>, bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, file).unwrap();
    let user = settled(json!({"token": token, "tokenFile": path})).unwrap();
    (user.token.map(|token| token.expose_secret().to_owned()), user.token_file.is_some())
}

#[test]
fn a_token_file_counts_before_a_token_and_without_its_line_feed() {
    assert_eq!(token_of("filed", Some("inline")), (None, true));
    assert_eq!(token_of("filed\n", Some("inline")), (Some("filed".into()), false));
}

#[test]
fn a_token_file_that_is_missing_matters_only_without_a_token() {
    let missing = |token: &str| settled(json!({"token": token, "tokenFile": "/no/such/token"}));
    let failure = missing("").unwrap_err();
    assert!(failure.cause.contains("/no/such/token"), "an empty token is none: {failure}");
    assert!(missing("inline").unwrap().token_file.is_none());
}

#[test]
fn a_name_alone_has_an_empty_password_and_beside_a_token_it_is_refused() {
    let alone = settled(json!({"username": "jane"})).unwrap();
    assert_eq!(alone.password.map(|password| password.expose_secret().to_owned()), Some(String::new()));
    let failure = settled(json!({"username": "jane", "password": "p", "token": "t"})).unwrap_err();
    assert!(failure.cause.contains("a token and a password"), "{failure}");
    assert!(settled(json!({"username": "", "token": "t"})).unwrap().username.is_none());
}

#[test]
fn an_auth_provider_that_kubectl_has_removed_is_refused_whatever_it_has_left_behind() {
    let config = json!({"access-token": "t", "expiry": "2100-01-01T00:00:00Z", "cmd-path": "true"});
    for (name, plugin) in [("gcp", "gke-gcloud-auth-plugin"), ("azure", "kubelogin"), ("openstack", "plugin")] {
        let failure = settled(json!({"auth-provider": {"name": name, "config": config}})).unwrap_err();
        assert!(failure.cause.contains(name) && failure.remedy.contains(plugin), "{failure}");
    }
    assert!(settled(json!({"auth-provider": {"name": "oidc", "config": {"id-token": "t"}}})).is_ok());
}

#[test]
fn a_credential_plugin_asks_nobody_where_there_is_no_terminal() {
    let exec = |mode: Value, terminal: bool| {
        let mut user = user(json!({"exec": {"command": "login", "interactiveMode": mode}}));
        settle(&mut user, terminal).map(|()| user.exec.unwrap().interactive_mode)
    };
    for mode in [json!(null), json!("IfAvailable"), json!("Never")] {
        assert_eq!(exec(mode, false).unwrap(), Some(ExecInteractiveMode::Never));
    }
    assert_eq!(exec(json!("IfAvailable"), true).unwrap(), Some(ExecInteractiveMode::IfAvailable));
    assert_eq!(exec(json!("Always"), true).unwrap(), Some(ExecInteractiveMode::Always));
    let failure = exec(json!("Always"), false).unwrap_err();
    assert!(failure.cause.contains("no terminal"), "{failure}");
}

fn impersonated(fields: Value, name: Option<&str>, groups: &[&str]) -> Result<(Option<String>, Option<Vec<String>>)> {
    let connection = Connection {
        impersonate: name.map(str::to_owned),
        impersonate_groups: groups.iter().map(|&group| group.to_owned()).collect(),
        kubeconfig: None,
        context: None,
        cluster: None,
        user: None,
        namespace: None,
        request_timeout: None,
        may_ask: true,
    };
    let mut user = user(fields);
    impersonate(&mut user, &connection).map(|()| (user.impersonate, user.impersonate_groups))
}

#[test]
fn impersonation_by_a_flag_replaces_that_field_of_the_file() {
    let (jane, filed) = (Some("jane".to_owned()), Some("filed".to_owned()));
    let (g, h) = (Some(vec!["g".to_owned()]), Some(vec!["h".to_owned()]));
    let file = || json!({"as": "filed", "as-groups": ["g"]});
    assert_eq!(impersonated(file(), None, &[]).unwrap(), (filed.clone(), g.clone()));
    assert_eq!(impersonated(file(), Some("jane"), &[]).unwrap(), (jane.clone(), g));
    assert_eq!(impersonated(file(), None, &["h"]).unwrap(), (filed, h.clone()));
    assert_eq!(impersonated(json!({}), Some("jane"), &["h"]).unwrap(), (jane, h));
}

#[test]
fn groups_without_a_user_are_not_impersonated() {
    assert!(impersonated(json!({}), None, &["h"]).unwrap_err().remedy.contains("--as"));
    for file in [json!({"as-groups": ["g"]}), json!({"as-uid": "7"}), json!({"as-user-extra": {"k": ["v"]}})] {
        assert!(impersonated(file.clone(), None, &[]).is_err(), "{file}");
        assert!(impersonated(file, Some("jane"), &[]).is_ok());
    }
}
