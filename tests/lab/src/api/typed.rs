//! Bodies read through the API's types, so that a wrong type is refused and an unknown field dropped, as in the API
//! server.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    authentication::v1::{SelfSubjectReview, TokenRequest},
    authorization::v1::SelfSubjectAccessReview,
    batch::v1::Job,
    core::v1::{Namespace, Pod, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    http::request::Query,
    status::{Answer, Failure},
};

/// The object as its type has it. With `fieldValidation=Strict` unknown fields are refused.
pub(super) fn normalise(kind: &'static str, api_version: &str, object: Value, query: &Query) -> Answer<Value> {
    match kind {
        "Pod" => through::<Pod>(kind, api_version, object, query),
        "Namespace" => through::<Namespace>(kind, api_version, object, query),
        "ServiceAccount" => through::<ServiceAccount>(kind, api_version, object, query),
        "TokenRequest" => through::<TokenRequest>(kind, api_version, object, query),
        "Deployment" => through::<Deployment>(kind, api_version, object, query),
        "StatefulSet" => through::<StatefulSet>(kind, api_version, object, query),
        "DaemonSet" => through::<DaemonSet>(kind, api_version, object, query),
        "ReplicaSet" => through::<ReplicaSet>(kind, api_version, object, query),
        "Job" => through::<Job>(kind, api_version, object, query),
        "Role" => through::<Role>(kind, api_version, object, query),
        "ClusterRole" => through::<ClusterRole>(kind, api_version, object, query),
        "RoleBinding" => through::<RoleBinding>(kind, api_version, object, query),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(kind, api_version, object, query),
        "SelfSubjectReview" => through::<SelfSubjectReview>(kind, api_version, object, query),
        "SelfSubjectAccessReview" => through::<SelfSubjectAccessReview>(kind, api_version, object, query),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn through<T: Serialize + DeserializeOwned>(
    kind: &str,
    api_version: &str,
    mut object: Value,
    query: &Query,
) -> Answer<Value> {
    if !object.is_object() {
        return Err(Failure::bad_request("unexpected end of JSON input"));
    }
    for (field, wanted) in [("kind", kind), ("apiVersion", api_version)] {
        if object[field].is_null() {
            object[field] = wanted.into();
        } else if object[field] != wanted {
            let given = &object[field];
            let message = format!("the {field} in the data ({given}) does not match the expected ({wanted})");
            return Err(Failure::bad_request(message));
        }
    }
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let refused = |why: String| {
        Failure::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    let typed: T = T::deserialize(&object).map_err(|error| refused(format!("json: {error}")))?;
    let normal = serde_json::to_value(&typed).map_err(Failure::internal)?;
    if query.get("fieldValidation") == Some("Strict") {
        let mut unknown = Vec::new();
        collect_unknown("", &object, &normal, &mut unknown);
        if !unknown.is_empty() {
            return Err(refused(format!("strict decoding error: {}", unknown.join(", "))));
        }
    }
    Ok(normal)
}

fn collect_unknown(path: &str, given: &Value, known: &Value, unknown: &mut Vec<String>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (field, value) in given {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                match known.get(field) {
                    Some(known) => collect_unknown(&path, value, known, unknown),
                    None if value.is_null() => {}
                    None => unknown.push(format!("unknown field {path:?}")),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                collect_unknown(&format!("{path}[{index}]"), given, known, unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn an_unknown_field_is_dropped_or_with_strict_validation_refused() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "imgae": "x"}]}});
        let normal = normalise("Pod", "v1", pod.clone(), &query("")).unwrap();
        assert!(normal["spec"]["containers"][0]["imgae"].is_null());
        let refused = normalise("Pod", "v1", pod, &query("fieldValidation=Strict")).unwrap_err();
        assert!(refused.message().contains("unknown field \"spec.containers[0].imgae\""), "{}", refused.message());
    }

    #[test]
    fn a_wrong_type_or_kind_is_a_bad_request() {
        for wrong in [json!({"spec": {"containers": "x"}}), json!({"kind": "Secret"}), json!(null)] {
            let refused = normalise("Pod", "v1", wrong, &query("")).unwrap_err();
            assert_eq!(refused.code(), http::StatusCode::BAD_REQUEST);
        }
    }
}
