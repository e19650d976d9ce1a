//! Whom a request wants to be taken for, and whether it may: first in the constrained modes of KEP-5284, on by default
//! from Kubernetes 1.36, then as it was before. A refused request is told the first refusal, so a right that only
//! the old way asks for is never named.
//!
//! Left out are the modes for nodes (nobody in a test is one), uids and extra fields.
//! <https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/5284-constrained-impersonation>

use http::HeaderMap;

use crate::{
    auth::User,
    http::request::Target,
    rbac::{self, Attributes, MASTERS},
    status::{Answer, Failure},
    store::Store,
};

/// How the rights to be somebody are named: the verb, and the API group of users and groups.
#[derive(Debug, Clone, Copy)]
struct Rights {
    verb: &'static str,
    group: &'static str,
}

const LEGACY: Rights = Rights { verb: "impersonate", group: "" };

/// A constrained mode, and the prefix of the verb that it asks for on the request itself.
const SERVICE_ACCOUNT: (Rights, &str) =
    (Rights { verb: "impersonate:serviceaccount", group: "authentication.k8s.io" }, "impersonate-on:serviceaccount:");
const USER_INFO: (Rights, &str) =
    (Rights { verb: "impersonate:user-info", group: "authentication.k8s.io" }, "impersonate-on:user-info:");

/// The user whom `real` asks to be taken for in a request for `target`; `real` itself where it asks nothing.
pub fn impersonate(headers: &HeaderMap, real: User, target: &Target, store: &Store) -> Answer<User> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
    };
    let groups = values("impersonate-group");
    let Some(name) = values("impersonate-user").into_iter().next() else {
        if groups.is_empty() {
            return Ok(real);
        }
        return Err(Failure::bad_request(format!("requested {groups:?} without impersonating a user name")));
    };
    let mut wanted = User { name, groups };
    let legacy = || may_be(&wanted, LEGACY, &real, store);
    match constrained_mode(&wanted) {
        None => legacy()?,
        Some((rights, prefix)) => may_do(target, prefix, &real, store)
            .and_then(|()| may_be(&wanted, rights, &real, store))
            .or_else(|first| legacy().map_err(|_second| first))?,
    }
    if wanted.groups.is_empty()
        && let Some((namespace, account)) = wanted.as_service_account()
    {
        wanted = User::service_account(namespace, account);
    }
    let User { name, groups } = wanted;
    if name == "system:anonymous" { Ok(User::anonymous()) } else { Ok(User::authenticated(name, groups)) }
}

fn constrained_mode(wanted: &User) -> Option<(Rights, &'static str)> {
    match wanted.as_service_account() {
        // Groups of a service account are not for others to choose.
        Some(_) => wanted.groups.is_empty().then_some(SERVICE_ACCOUNT),
        None => (!wanted.name.starts_with("system:node:")).then_some(USER_INFO),
    }
}

/// Whether the request itself may be made by somebody who only pretends.
fn may_do(target: &Target, prefix: &str, real: &User, store: &Store) -> Answer<()> {
    match target {
        Target::Path { path, verb } => rbac::require_path(store, real, &format!("{prefix}{verb}"), path),
        Target::Resource(request) => {
            rbac::require(store, real, &request.attributes(&format!("{prefix}{}", request.verb)))
        }
    }
}

fn may_be(wanted: &User, rights: Rights, real: &User, store: &Store) -> Answer<()> {
    let asked = Attributes {
        verb: rights.verb,
        group: rights.group,
        resource: "users",
        subresource: None,
        namespace: None,
        name: Some(&wanted.name),
    };
    let of_user = match wanted.as_service_account() {
        Some((namespace, name)) => {
            Attributes { resource: "serviceaccounts", namespace: Some(namespace), name: Some(name), ..asked }
        }
        None => asked,
    };
    rbac::require(store, real, &of_user)?;
    let of_group = |name| Attributes { resource: "groups", name: Some(name), ..asked };
    if rights.verb != LEGACY.verb && wanted.groups.iter().any(|group| group == MASTERS) {
        let why = "impersonating the system:masters group is not allowed";
        return Err(rbac::refusal(real, &of_group(MASTERS), Some(why)));
    }
    wanted.groups.iter().try_for_each(|group| rbac::require(store, real, &of_group(group)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method, Uri};
    use serde_json::json;

    use super::*;
    use crate::{
        http::request::Query,
        resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES},
    };

    const POD: &str = "/api/v1/namespaces/fx/pods/a";

    /// What the service account `robot` with rules of (verb, API group, resource) gets for a GET of `uri` as
    /// `NAME` or `NAME+GROUP`: the name it is taken for, or the message.
    fn asked(rules: &[(&str, &str, &str)], uri: &str, wanted: &str) -> Result<String, String> {
        let store = Store::default();
        let rules: Vec<_> = rules
            .iter()
            .map(|(verb, group, resource)| json!({"verbs": [verb], "apiGroups": [group], "resources": [resource]}))
            .collect();
        store.create(&CLUSTER_ROLES, json!({"metadata": {"name": "r"}, "rules": rules})).unwrap();
        let binding = json!({
            "metadata": {"name": "b"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "fx"}],
            "roleRef": {"kind": "ClusterRole", "name": "r"},
        });
        store.create(&CLUSTER_ROLE_BINDINGS, binding).unwrap();
        let uri: Uri = uri.parse().unwrap();
        let target = Target::parse(&Method::GET, &uri, &Query::of(&uri)).unwrap();
        let names = ["impersonate-user", "impersonate-group"].map(HeaderName::from_static);
        let headers = names.into_iter().zip(wanted.split('+').map(|value| HeaderValue::from_str(value).unwrap()));
        let robot = User::service_account("fx", "robot");
        let user = impersonate(&headers.collect(), robot, &target, &store);
        user.map(|user| user.name).map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn the_first_refusal_is_told_in_the_words_of_the_constrained_mode() {
        let on = ("impersonate-on:user-info:get", "", "pods");
        let to_be = ("impersonate:user-info", "authentication.k8s.io", "users");
        let groups = ("impersonate:user-info", "authentication.k8s.io", "groups");
        for (rules, uri, wanted, subject, refused) in [
            (
                &[][..],
                POD,
                "eve",
                "pods \"a\" is ",
                "impersonate-on:user-info:get resource \"pods\" in API group \"\" in the namespace \"fx\"",
            ),
            (&[], "/version", "eve", "", "impersonate-on:user-info:get path \"/version\""),
            (
                &[on],
                POD,
                "eve",
                "users.authentication.k8s.io \"eve\" is ",
                "impersonate:user-info resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope",
            ),
            (
                &[on, to_be, groups],
                POD,
                "eve+system:masters",
                "groups.authentication.k8s.io \"system:masters\" is ",
                "impersonate:user-info resource \"groups\" in API group \"authentication.k8s.io\" at the cluster scope: \
                 impersonating the system:masters group is not allowed",
            ),
            (
                &[],
                POD,
                "system:serviceaccount:other:x",
                "pods \"a\" is ",
                "impersonate-on:serviceaccount:get resource \"pods\" in API group \"\" in the namespace \"fx\"",
            ),
            (
                &[],
                POD,
                "system:serviceaccount:other:x+g",
                "serviceaccounts \"x\" is ",
                "impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"other\"",
            ),
        ] {
            let expected = format!("{subject}forbidden: User \"system:serviceaccount:fx:robot\" cannot {refused}");
            assert_eq!(asked(rules, uri, wanted), Err(expected), "{rules:?}");
        }
    }

    #[test]
    fn the_rights_of_either_way_are_enough() {
        let constrained =
            [("impersonate-on:user-info:get", "", "pods"), ("impersonate:user-info", "authentication.k8s.io", "users")];
        for rules in [&constrained[..], &[("impersonate", "", "users")]] {
            assert_eq!(asked(rules, POD, "eve"), Ok("eve".to_owned()), "{rules:?}");
        }
    }
}
