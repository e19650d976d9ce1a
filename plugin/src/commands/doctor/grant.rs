//! `doctor --fix-rbac`: the Role and the RoleBinding that are missing, for somebody who may grant them.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::permissions::{self, MARK, Missing, Right};
use crate::catalogue::Id;
use crate::client::Cluster;
use crate::client::explain::Call;
use crate::error::{Exit, Failure, Result};
use crate::options::OutputFormat;
use crate::render::document::document;

/// The text to print; `None` where nothing is missing.
///
/// # Errors
/// 4 where the API server does not say who asks, or what they may.
pub(super) async fn text(cluster: &Cluster, pod: Option<&str>, format: Option<OutputFormat>) -> Result<Option<String>> {
    let missing = permissions::missing(cluster, pod).await?;
    if missing.0.is_empty() {
        return Ok(None);
    }
    let user = who(cluster).await?;
    document(&list(&missing, &user, cluster.namespace()), format.unwrap_or(OutputFormat::Yaml)).map(Some)
}

/// Whom the API server takes us for.
async fn who(cluster: &Cluster) -> Result<String> {
    let call = Call::new("create", "selfsubjectreviews.authentication.k8s.io", "");
    let reviews = cluster.unnamespaced::<SelfSubjectReview>();
    let answer = cluster.call(&call, reviews.create(&PostParams::default(), &SelfSubjectReview::default())).await;
    let answer = answer.map_err(|failure| match failure.exit() {
        // Before 1.28 nobody can be asked.
        Exit::Other => failure.remedy("bind deploy/role.yaml of this project to the user by hand"),
        _ => failure,
    })?;
    answer.status.and_then(|status| status.user_info?.username).ok_or_else(|| {
        Failure::new(Id::Other, "the API server does not say who asks")
            .remedy("bind deploy/role.yaml of this project to the user by hand")
    })
}

/// Both, as a List: one document in either format. It can be applied beside whatever Roles there are, because rights add up.
fn list(missing: &Missing, user: &str, namespace: &str) -> Value {
    let name = name(missing, user);
    let metadata =
        || ObjectMeta { name: Some(name.clone()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
    let role = Role { metadata: metadata(), rules: Some(rules(missing)) };
    let binding = RoleBinding {
        metadata: metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![subject(user)]),
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
}

/// Another name for another user or other rights: to apply it must not take away what was granted under the same name before.
fn name(missing: &Missing, user: &str) -> String {
    format!("jattach-{:016x}", xxh3_64(format!("{user} {:?}", missing.0).as_bytes()))
}

fn rules(missing: &Missing) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    for Right { group, resource, verb } in missing.0.iter().chain([&MARK]) {
        let (groups, resources) = (Some(vec![(*group).to_owned()]), Some(vec![(*resource).to_owned()]));
        match rules.iter_mut().find(|rule| rule.api_groups == groups && rule.resources == resources) {
            Some(rule) => rule.verbs.push((*verb).to_owned()),
            None => rules.push(PolicyRule {
                api_groups: groups,
                resources,
                verbs: vec![(*verb).to_owned()],
                ..PolicyRule::default()
            }),
        }
    }
    rules
}

fn subject(user: &str) -> Subject {
    let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    match account {
        Some((namespace, name)) => Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
            api_group: None,
        },
        None => Subject {
            kind: "User".to_owned(),
            name: user.to_owned(),
            namespace: None,
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::permissions::RIGHTS;
    use super::*;

    #[test]
    fn what_is_missing_and_nothing_else_is_granted_to_who_asks() {
        let missing = Missing(vec![RIGHTS[2], RIGHTS[3], RIGHTS[6]]);
        let list = list(&missing, "jane", "shop");
        let (role, binding) = (&list["items"][0], &list["items"][1]);
        assert_eq!((&role["apiVersion"], &role["kind"]), (&json!("rbac.authorization.k8s.io/v1"), &json!("Role")));
        assert_eq!(
            role["rules"],
            json!([
                {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
                {"apiGroups": ["kubectl-jattach"], "resources": ["injectors"], "verbs": ["add"]},
            ])
        );
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
        assert_eq!(
            (&role["metadata"]["namespace"], &binding["metadata"]["namespace"]),
            (&json!("shop"), &json!("shop"))
        );
        let user = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"});
        assert_eq!(binding["subjects"], json!([user]));
    }

    #[test]
    fn a_service_account_is_a_subject_of_its_own_kind() {
        let account = json!({"kind": "ServiceAccount", "name": "ci", "namespace": "build"});
        assert_eq!(json!(subject("system:serviceaccount:build:ci")), account);
    }

    #[test]
    fn to_grant_more_does_not_replace_what_was_granted_before() {
        let name = |rights: &[Right], user: &str| name(&Missing(rights.to_vec()), user);
        let first = name(&RIGHTS[..2], "jane");
        assert_eq!(first, name(&RIGHTS[..2], "jane"), "to print it again is no other grant");
        assert_ne!(first, name(&RIGHTS[..3], "jane"));
        assert_ne!(first, name(&RIGHTS[..2], "joe"));
    }
}
