//! The table: what the pod shows, and the context that follows from it.

use super::*;
use crate::catalogue::seen::assert_seen;
use crate::debugger::recorded::target;
use crate::error::Exit;
use jattach_protocol::Identity;
use serde_json::{Value, json};

/// A pod with a container "app" whose parts are these; `user` is what the kubelet reports, if it does.
#[expect(clippy::needless_pass_by_value, reason = "the tables below read better with their json by value")]
fn pod(pod_context: Value, container_context: Value, user: Value) -> Pod {
    let pod = json!({
        "metadata": {"name": "x"},
        "spec": {
            "securityContext": pod_context,
            "containers": [{"name": "app", "securityContext": container_context}],
        },
        "status": {"containerStatuses": [{
            "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "user": user,
        }]},
    });
    serde_json::from_value(pod).unwrap()
}

fn user(uid: i64, gid: i64) -> Value {
    json!({"linux": {"uid": uid, "gid": gid, "supplementalGroups": [gid]}})
}

fn shown(derived: &Derived) -> (Value, Basis) {
    (serde_json::to_value(&derived.context).unwrap(), derived.basis)
}

/// What passes `restricted`, for these ids.
fn restricted(uid: i64, gid: i64) -> Value {
    json!({
        "runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn derived(pod_context: Value, container_context: Value, user: Value) -> (Value, Basis) {
    shown(&derive(&pod(pod_context, container_context, user), "app"))
}

#[test]
fn the_recorded_pods() {
    let cases = [
        ("pod-get-user", restricted(10001, 10001)),
        ("pod-get-podlevel-nonroot", restricted(10001, 10001)),
        ("pod-get-root", json!({"runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false})),
    ];
    for (name, expected) in cases {
        assert_eq!(shown(&derive(&target(name).pod, "app")), (expected, Basis::Reported), "{name}");
    }
}

#[test]
fn what_is_derived_for_the_recorded_restricted_pod_was_admitted_there() {
    let recording = crate::debugger::recorded::recording("ephemeral-patch-psa-restricted-ok");
    let admitted = crate::debugger::recorded::patched(&recording).security_context.unwrap();
    let pod: Pod = serde_json::from_value(recording["response"]["body"].clone()).unwrap();
    assert_eq!(derive(&pod, "app").context, admitted);
}

#[test]
fn what_the_kubelet_reports_counts_before_what_the_spec_asks_for() {
    let got = derived(json!({"runAsUser": 1}), json!({"runAsUser": 2, "runAsGroup": 3}), user(1000, 2000));
    assert_eq!(got, (restricted(1000, 2000), Basis::Reported));
}

#[test]
fn without_a_report_the_spec_counts_and_the_container_before_the_pod() {
    let declared = |pod_context, container_context| derived(pod_context, container_context, Value::Null);
    let both = declared(json!({"runAsUser": 1, "runAsGroup": 2}), json!({"runAsUser": 3, "runAsGroup": 4}));
    assert_eq!(both, (restricted(3, 4), Basis::Declared));
    let mixed = declared(json!({"runAsUser": 1, "runAsGroup": 2}), json!({"runAsUser": 3}));
    assert_eq!(mixed, (restricted(3, 2), Basis::Declared));
    let pod_alone = declared(json!({"runAsUser": 1, "runAsGroup": 2}), Value::Null);
    assert_eq!(pod_alone, (restricted(1, 2), Basis::Declared));
    let no_group = declared(Value::Null, json!({"runAsUser": 3}));
    assert_eq!(no_group, (restricted(3, 3), Basis::Declared));
}

#[test]
fn without_any_uid_a_first_look_is_taken_as_nobody() {
    assert_eq!(derived(Value::Null, Value::Null, Value::Null), (restricted(65532, 65532), Basis::Unknown));
    assert_eq!(derived(json!({"runAsNonRoot": true}), Value::Null, Value::Null).1, Basis::Unknown);
    let no_status: Pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "app"}]}})).unwrap();
    assert_eq!(shown(&derive(&no_status, "app")), (restricted(65532, 65532), Basis::Unknown));
}

#[test]
fn neither_a_user_namespace_nor_the_nodes_processes_change_anything() {
    for uid in [0, 1000] {
        let plain = pod(Value::Null, Value::Null, user(uid, uid));
        let (mut own_users, mut nodes_processes) = (plain.clone(), plain.clone());
        own_users.spec.as_mut().unwrap().host_users = Some(false);
        nodes_processes.spec.as_mut().unwrap().host_pid = Some(true);
        for pod in [own_users, nodes_processes] {
            assert_eq!(shown(&derive(&pod, "app")), shown(&derive(&plain, "app")));
        }
    }
}

#[test]
fn root_has_the_targets_capabilities_and_no_more() {
    let root = |container_context| derived(Value::Null, container_context, user(0, 0)).0;
    let plain = json!({"runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false});
    assert_eq!(root(Value::Null), plain);
    assert_eq!(root(json!({"capabilities": {}})), plain);

    let dropped = root(json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}));
    assert_eq!(dropped["capabilities"], json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}));

    let added = root(json!({"capabilities": {"add": ["SYS_PTRACE"]}}));
    assert_eq!(added["capabilities"], json!({"add": ["SYS_PTRACE"]}));
    assert_eq!(added["allowPrivilegeEscalation"], json!(false));

    let admin = root(json!({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}));
    assert_eq!(admin.get("allowPrivilegeEscalation"), None, "the server refuses false beside SYS_ADMIN");

    assert_eq!(derived(Value::Null, Value::Null, user(0, 5)).0["runAsGroup"], json!(5));
}

#[test]
fn root_says_that_it_is_where_the_pod_says_that_nobody_is() {
    let got = derived(json!({"runAsNonRoot": true}), json!({"runAsUser": 0, "runAsNonRoot": false}), user(0, 0)).0;
    assert_eq!(got["runAsNonRoot"], json!(false));
    let got = derived(json!({"runAsNonRoot": false}), Value::Null, user(0, 0)).0;
    assert_eq!(got.get("runAsNonRoot"), None);
}

#[test]
fn a_privileged_target_is_matched_by_capabilities_without_being_privileged() {
    let got = derived(Value::Null, json!({"privileged": true}), user(0, 0)).0;
    assert_eq!(got["capabilities"], json!({"add": ["ALL"]}));
    assert_eq!(got["appArmorProfile"], json!({"type": "Unconfined"}));
    assert_eq!(got.get("privileged"), None);
    assert_eq!(got.get("allowPrivilegeEscalation"), None);
}

#[test]
fn profiles_and_labels_of_the_container_are_taken_over() {
    let context = json!({
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "app"},
        "seLinuxOptions": {"level": "s0:c1,c2"},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "app.json"},
    });
    for uid in [0, 1000] {
        let got = derived(Value::Null, context.clone(), user(uid, uid)).0;
        for part in ["appArmorProfile", "seLinuxOptions", "seccompProfile"] {
            assert_eq!(got[part], context[part], "uid {uid}");
        }
    }
}

#[test]
fn an_unconfined_seccomp_profile_is_not_taken_over() {
    let unconfined = json!({"seccompProfile": {"type": "Unconfined"}});
    let non_root = derived(Value::Null, unconfined.clone(), user(1000, 1000)).0;
    assert_eq!(non_root["seccompProfile"], json!({"type": "RuntimeDefault"}));
    assert_eq!(derived(Value::Null, unconfined, user(0, 0)).0.get("seccompProfile"), None);
}

#[test]
fn what_the_pod_says_for_all_is_inherited_and_not_repeated() {
    let labels = json!({"seLinuxOptions": {"level": "s0:c1,c2"}, "appArmorProfile": {"type": "Unconfined"}});
    assert_eq!(derived(labels, Value::Null, user(1000, 1000)).0, restricted(1000, 1000));
}

#[test]
fn the_old_annotation_names_the_apparmor_profile() {
    let annotated = |value: &str| {
        let mut pod = pod(Value::Null, Value::Null, user(1000, 1000));
        let key = "container.apparmor.security.beta.kubernetes.io/app".to_owned();
        pod.metadata.annotations = Some([(key, value.to_owned())].into());
        serde_json::to_value(derive(&pod, "app").context).unwrap().get("appArmorProfile").cloned()
    };
    assert_eq!(annotated("localhost/app"), Some(json!({"type": "Localhost", "localhostProfile": "app"})));
    assert_eq!(annotated("runtime/default"), Some(json!({"type": "RuntimeDefault"})));
    assert_eq!(annotated("unconfined"), Some(json!({"type": "Unconfined"})));
    assert_eq!(annotated("nonsense"), None);
}

/// What [`exact`] makes of such a claim about a root container with these parts.
fn claimed(container_context: Value, uid: u32, capabilities: u64) -> crate::error::Result<Value> {
    let pod = pod(Value::Null, container_context, user(0, 0));
    exact(&pod, "app", Identity { uid, gid: uid, capabilities }).map(|derived| {
        assert_eq!(derived.basis, Basis::Exact);
        serde_json::to_value(derived.context).unwrap()
    })
}

const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;
const CHOWN: u64 = 1;
const NET_BIND_SERVICE: u64 = 1 << 10;
const SYS_PTRACE: u64 = 1 << 19;

#[test]
fn a_jvm_behind_gosu_gets_its_own_ids() {
    assert_eq!(claimed(Value::Null, 1000, 0).unwrap(), restricted(1000, 1000));
    let dropped = json!({"capabilities": {"drop": ["ALL"]}});
    assert_eq!(claimed(dropped, 1000, 0).unwrap(), restricted(1000, 1000));
}

#[test]
fn a_root_jvm_gets_what_its_container_has() {
    let plain = json!({"runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false});
    assert_eq!(claimed(Value::Null, 0, DEFAULT_CAPABILITIES).unwrap(), plain);
    // One that has given up capabilities is content with a container that has more: the injector gives them up too.
    assert_eq!(claimed(Value::Null, 0, 0).unwrap(), plain);
    let added = json!({"capabilities": {"add": ["SYS_PTRACE"]}});
    let got = claimed(added, 0, DEFAULT_CAPABILITIES | SYS_PTRACE).unwrap();
    assert_eq!(got["capabilities"], json!({"add": ["SYS_PTRACE"]}));
    let got = claimed(json!({"privileged": true}), 0, u64::MAX).unwrap();
    assert_eq!((&got["capabilities"], got.get("privileged")), (&json!({"add": ["ALL"]}), None));
}

#[test]
fn a_jvm_with_capabilities_but_not_root_is_reached_from_root() {
    let got = claimed(Value::Null, 1000, NET_BIND_SERVICE).unwrap();
    assert_eq!(got, json!({"runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false}));
    let few = json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "SETGID", "SETUID"]});
    let got = claimed(json!({"capabilities": few}), 1000, NET_BIND_SERVICE).unwrap();
    assert_eq!((&got["runAsUser"], &got["capabilities"]), (&json!(0), &few));
}

#[test]
fn no_injector_talks_us_into_a_capability_that_the_targets_container_has_not() {
    let containers = [
        Value::Null,
        json!({"capabilities": {"drop": ["ALL"]}}),
        json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
        json!({"capabilities": {"drop": ["NET_RAW"], "add": ["SYS_PTRACE"]}}),
        json!({"allowPrivilegeEscalation": false}),
        json!({"privileged": true}),
    ];
    let has = |context: &Value| {
        let context: SecurityContext = serde_json::from_value(context.clone()).unwrap_or_default();
        if context.privileged == Some(true) { Set::ALL } else { Set::of_container(context.capabilities.as_ref()) }
    };
    for container in containers {
        for (uid, bit) in (0..64).flat_map(|bit| [(0, bit), (1000, bit)]) {
            let Ok(got) = claimed(container.clone(), uid, 1 << bit) else { continue };
            let more = has(&got).without(has(&container));
            assert!(more.is_empty(), "{uid} with bit {bit} in {container}: {more} in {got}");
            let asked = Set::from_bits(1 << bit).without(has(&container));
            assert!(asked.is_empty(), "{uid} with bit {bit} in {container}: it cannot do for {asked}");
        }
    }
}

#[test]
fn a_claim_of_more_than_the_container_has_is_refused_by_name() {
    let dropped = json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}});
    let refused = claimed(dropped, 0, SYS_PTRACE | CHOWN | NET_BIND_SERVICE).unwrap_err();
    assert_eq!(refused.exit(), Exit::Attach);
    assert!(refused.cause.ends_with(": CHOWN, SYS_PTRACE"), "{refused}");
    assert!(refused.evidence.contains("0:0 with CHOWN, NET_BIND_SERVICE, SYS_PTRACE; by"), "{refused}");
    assert!(refused.evidence.ends_with("container app has NET_BIND_SERVICE"), "{refused}");
    assert_seen("capabilities", &refused);
    for words in ["securityContext.capabilities.add", "trust nothing"] {
        assert!(refused.remedy.contains(words), "{refused}");
    }
}

#[test]
fn a_container_without_the_way_from_root_to_the_jvms_user_is_not_accused() {
    let only_its_own = json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}});
    let refused = claimed(only_its_own, 1000, NET_BIND_SERVICE).unwrap_err();
    assert!(refused.cause.ends_with(": SETGID, SETUID"), "{refused}");
    assert!(refused.remedy.contains("capabilities.add") && !refused.remedy.contains("trust"), "{refused}");
}

#[test]
fn who_begins_as_a_user_and_may_not_escalate_is_never_root_nor_capable() {
    let claimed = |pod: &Pod, uid, capabilities| exact(pod, "app", Identity { uid, gid: 0, capabilities });
    let confined = json!({"allowPrivilegeEscalation": false});
    for pod in [
        pod(Value::Null, confined.clone(), user(1000, 1000)),
        pod(json!({"runAsUser": 1000}), confined.clone(), Value::Null),
        // Which uid that is, nobody shows.
        pod(json!({"runAsNonRoot": true}), confined.clone(), Value::Null),
    ] {
        for (uid, capabilities) in [(0, 0), (1000, CHOWN)] {
            let refused = claimed(&pod, uid, capabilities).unwrap_err();
            assert!(refused.cause.contains("what it cannot be") && refused.remedy.contains("trust"), "{refused}");
        }
        assert!(claimed(&pod, 1001, 0).is_ok());
    }
    // sudo, or a file with capabilities: not without being asked for.
    for pod in
        [pod(Value::Null, Value::Null, user(1000, 1000)), pod(json!({"runAsNonRoot": true}), Value::Null, Value::Null)]
    {
        for (uid, capabilities) in [(0, CHOWN), (1000, CHOWN)] {
            let refused = claimed(&pod, uid, capabilities).unwrap_err();
            assert!(refused.remedy.contains("--run-as-user 0") && refused.remedy.contains("trust"), "{refused}");
        }
    }
    // Root from the start; a uid that nobody shows.
    for pod in [
        pod(Value::Null, confined.clone(), user(0, 0)),
        pod(Value::Null, confined.clone(), Value::Null),
        pod(
            json!({"runAsNonRoot": true}),
            json!({"runAsNonRoot": false, "allowPrivilegeEscalation": false}),
            Value::Null,
        ),
    ] {
        assert!(claimed(&pod, 0, CHOWN).is_ok(), "{pod:?}");
    }
}
