use serde_json::{Value, json};

use super::violation;

fn judged(level: &str, pod: &Value) -> Option<String> {
    let namespace = json!({"metadata": {"labels": {super::ENFORCE: level}}});
    violation(&namespace, pod)
}

fn pod(context: &Value, containers: &[Value]) -> Value {
    json!({"spec": {"securityContext": context, "containers": containers}})
}

/// A container that `restricted` takes, but for the fields that `changed` sets.
fn restricted(name: &str, changed: &Value) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    for (field, value) in changed.as_object().into_iter().flatten() {
        context[field] = value.clone();
    }
    json!({"name": name, "securityContext": context})
}

#[test]
fn a_namespace_without_the_label_takes_anything() {
    let privileged = pod(&json!({}), &[json!({"name": "a", "securityContext": {"privileged": true}})]);
    assert_eq!(violation(&json!({"metadata": {}}), &privileged), None);
    assert_eq!(judged("privileged", &privileged), None);
}

#[test]
fn a_hardened_pod_passes_both_levels() {
    let good = pod(&json!({}), &[restricted("a", &json!({"runAsUser": 10001}))]);
    assert_eq!(judged("baseline", &good), None);
    assert_eq!(judged("restricted", &good), None);
}

#[test]
fn what_the_pod_sets_its_containers_need_not() {
    let context = json!({"runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}});
    let container = restricted("a", &json!({"runAsNonRoot": null, "seccompProfile": null}));
    assert_eq!(judged("restricted", &pod(&context, &[container])), None);
}

#[test]
fn each_way_to_more_privilege_is_named_as_the_api_server_names_it() {
    let container = |context: Value| pod(&json!({}), &[json!({"name": "a", "securityContext": context})]);
    let cases = [
        (json!({"spec": {"hostPID": true, "hostNetwork": true}}), "host namespaces (hostNetwork=true, hostPID=true)"),
        (json!({"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}), "hostPath volumes (volume \"v\")"),
        (
            json!({"spec": {"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}}),
            "hostPort (container \"a\" uses hostPort 80)",
        ),
        (
            container(json!({"privileged": true})),
            "privileged (container \"a\" must not set securityContext.privileged=true)",
        ),
        (
            container(json!({"procMount": "Unmasked"})),
            "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            container(json!({"seccompProfile": {"type": "Unconfined"}})),
            "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            container(json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
            "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may \
             not be set)",
        ),
        (pod(&json!({"sysctls": [{"name": "kernel.msgmax"}]}), &[]), "forbidden sysctls (kernel.msgmax)"),
    ];
    for (bad, finding) in cases {
        assert_eq!(judged("baseline", &bad), Some(format!("violates PodSecurity \"baseline:latest\": {finding}")));
    }
}

#[test]
fn an_ephemeral_container_counts_like_any_other() {
    let mut bad = pod(&json!({}), &[restricted("a", &json!({}))]);
    bad["spec"]["ephemeralContainers"] = json!([restricted("e", &json!({"runAsUser": 0, "runAsNonRoot": false}))]);
    assert_eq!(
        judged("restricted", &bad).unwrap(),
        "violates PodSecurity \"restricted:latest\": runAsNonRoot != true (container \"e\" must not set \
         securityContext.runAsNonRoot=false), runAsUser=0 (container \"e\" must not set runAsUser=0)"
    );
}
