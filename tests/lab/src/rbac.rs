//! Who may do what: roles and bindings by plain rule match. No aggregation of cluster roles, no escalation check.

use serde_json::Value;

use crate::{
    auth::{AUTHENTICATED, User},
    meta,
    resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES},
    status::{Answer, Failure, ResourceName},
    store::Store,
};

/// What is asked, as RBAC sees it.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: Option<&'a str>,
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
}

impl Attributes<'_> {
    /// `pods/exec`.
    fn combined(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_owned(),
        }
    }
}

/// The group that may do everything, whatever the roles say.
pub const MASTERS: &str = "system:masters";

/// Paths that every cluster shows to everybody who is authenticated, and those it shows to all.
const DISCOVERY: &[&str] = &["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
const PUBLIC: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];

pub fn allows(store: &Store, user: &User, asked: &Attributes<'_>) -> bool {
    if is_master(user) {
        return true;
    }
    // What system:basic-user grants.
    let reviews_itself = matches!(asked.group, "authentication.k8s.io" | "authorization.k8s.io")
        && asked.resource.starts_with("selfsubject");
    if reviews_itself && asked.verb == "create" && user.groups.iter().any(|group| group == AUTHENTICATED) {
        return true;
    }
    rules_of(store, user, asked.namespace).iter().any(|rule| resource_rule_matches(rule, asked))
}

pub fn allows_path(store: &Store, user: &User, verb: &str, path: &str) -> bool {
    let covers = |patterns: &[&str]| patterns.iter().any(|pattern| path_matches(pattern, path));
    let reads = matches!(verb, "get" | "head");
    let authenticated = user.groups.iter().any(|group| group == AUTHENTICATED);
    is_master(user)
        || reads && (covers(PUBLIC) || authenticated && covers(DISCOVERY))
        || rules_of(store, user, None).iter().any(|rule| {
            has(rule, "verbs", verb)
                && meta::items(rule, "nonResourceURLs")
                    .iter()
                    .any(|pattern| path_matches(pattern.as_str().unwrap_or_default(), path))
        })
}

/// 403 where the user may not.
pub fn require(store: &Store, user: &User, asked: &Attributes<'_>) -> Answer<()> {
    if allows(store, user, asked) { Ok(()) } else { Err(refusal(user, asked, None)) }
}

/// 403 where the user may not.
pub fn require_path(store: &Store, user: &User, verb: &str, path: &str) -> Answer<()> {
    if allows_path(store, user, verb, path) {
        return Ok(());
    }
    Err(Failure::forbidden_path(&format!("User {:?} cannot {verb} path {path:?}", user.name)))
}

/// A 403 in the API server's words.
pub fn refusal(user: &User, asked: &Attributes<'_>, reason: Option<&str>) -> Failure {
    let scope = match asked.namespace {
        Some(namespace) if !namespace.is_empty() => format!("in the namespace {namespace:?}"),
        _ => "at the cluster scope".to_owned(),
    };
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let why = format!(
        "User {:?} cannot {} resource {:?} in API group {:?} {scope}{reason}",
        user.name,
        asked.verb,
        asked.combined(),
        asked.group,
    );
    Failure::forbidden(ResourceName { group: asked.group, plural: asked.resource }, asked.name, &why)
}

fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}

/// All rules that hold for a user in a namespace.
fn rules_of(store: &Store, user: &User, namespace: Option<&str>) -> Vec<Value> {
    let mut rules = Vec::new();
    let mut add = |binding: &Value, namespace: &str| {
        let bound = meta::items(binding, "subjects").iter().any(|subject| is_subject(subject, user, namespace));
        if !bound {
            return;
        }
        let (kind, name) = (meta::text(&binding["roleRef"], "kind"), meta::text(&binding["roleRef"], "name"));
        let role = match kind {
            "Role" => store.find(&ROLES, namespace, name),
            _ => store.find(&CLUSTER_ROLES, "", name),
        };
        rules.extend(role.iter().flat_map(|role| meta::items(role, "rules")).cloned());
    };
    for binding in store.list(&CLUSTER_ROLE_BINDINGS, None).0 {
        add(&binding, "");
    }
    if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
        for binding in store.list(&ROLE_BINDINGS, Some(namespace)).0 {
            add(&binding, namespace);
        }
    }
    rules
}

fn is_subject(subject: &Value, user: &User, namespace: &str) -> bool {
    let name = meta::text(subject, "name");
    match meta::text(subject, "kind") {
        "User" => user.name == name,
        "Group" => user.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let of = Some(meta::text(subject, "namespace")).filter(|of| !of.is_empty()).unwrap_or(namespace);
            user.as_service_account() == Some((of, name))
        }
        _ => false,
    }
}

fn resource_rule_matches(rule: &Value, asked: &Attributes<'_>) -> bool {
    let combined = asked.combined();
    let resources = meta::items(rule, "resources");
    let named = meta::items(rule, "resourceNames");
    has(rule, "verbs", asked.verb)
        && has(rule, "apiGroups", asked.group)
        && resources.iter().filter_map(Value::as_str).any(|resource| {
            resource == "*"
                || resource == combined
                || asked.subresource.is_some_and(|subresource| resource.strip_prefix("*/") == Some(subresource))
        })
        && (named.is_empty() || named.iter().any(|name| name.as_str() == asked.name && asked.name.is_some()))
}

fn has(rule: &Value, list: &str, wanted: &str) -> bool {
    meta::items(rule, list).iter().filter_map(Value::as_str).any(|value| value == "*" || value == wanted)
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store_with(rules: &Value) -> Store {
        let store = Store::default();
        store.create(&ROLES, json!({"metadata": {"name": "r", "namespace": "fx"}, "rules": rules})).unwrap();
        let binding = json!({
            "metadata": {"name": "b", "namespace": "fx"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot"}],
            "roleRef": {"kind": "Role", "name": "r"},
        });
        store.create(&ROLE_BINDINGS, binding).unwrap();
        store
    }

    fn may(store: &Store, verb: &str, resource: &str, subresource: Option<&str>, namespace: &str, name: &str) -> bool {
        let user = User::service_account("fx", "robot");
        let (namespace, name) = (Some(namespace), Some(name));
        allows(store, &user, &Attributes { verb, group: "", resource, subresource, namespace, name })
    }

    #[test]
    fn a_rule_of_pods_does_not_grant_their_subresources() {
        let store = store_with(&json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]));
        assert!(may(&store, "get", "pods", None, "fx", "a"));
        assert!(!may(&store, "get", "pods", Some("exec"), "fx", "a"));
        assert!(!may(&store, "get", "pods", None, "other", "a"));
    }

    #[test]
    fn resource_names_narrow_a_rule() {
        let rule = json!([{"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": ["a"], "verbs": ["get"]}]);
        let store = store_with(&rule);
        assert!(may(&store, "get", "pods", Some("exec"), "fx", "a"));
        assert!(!may(&store, "get", "pods", Some("exec"), "fx", "b"));
        assert!(!may(&store, "create", "pods", Some("exec"), "fx", "a"));
    }

    #[test]
    fn only_discovery_and_version_are_open_without_a_role() {
        let (store, nobody) = (Store::default(), User::service_account("fx", "nobody"));
        assert!(allows_path(&store, &nobody, "get", "/apis/apps/v1"));
        assert!(allows_path(&store, &User::anonymous(), "get", "/version"));
        assert!(!allows_path(&store, &User::anonymous(), "get", "/api"));
        assert!(!allows_path(&store, &nobody, "get", "/metrics"));
    }
}
