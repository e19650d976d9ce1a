//! The table: what the target has, what is asked for, and the context that follows from both.

use super::*;
use crate::debugger::recorded;
use crate::error::Exit;
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "the tables below read better with their json by value")]
fn pod(pod_context: Value, container_context: Value, uid: i64) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "x"},
        "spec": {
            "securityContext": pod_context,
            "containers": [{"name": "app", "securityContext": container_context}],
        },
        "status": {"containerStatuses": [{
            "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "user": {"linux": {"uid": uid, "gid": uid}},
        }]},
    }))
    .unwrap()
}

fn asking(profile: Profile) -> Injector {
    Injector { profile, ..recorded::injector("i") }
}

fn shown(chosen: Result<Chosen>) -> Value {
    serde_json::to_value(chosen.unwrap().context).unwrap()
}

fn of(profile: Profile, pod: &Pod) -> Value {
    shown(first(pod, "app", &asking(profile)))
}

#[test]
fn a_user_is_served_by_the_same_context_up_to_baseline() {
    let pod = pod(Value::Null, Value::Null, 10001);
    let restricted = json!({
        "runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    for profile in [Profile::Auto, Profile::Restricted, Profile::Baseline] {
        assert_eq!(of(profile, &pod), restricted, "{profile:?}");
    }
}

#[test]
fn general_traces_as_a_root_that_can_become_the_user_and_nothing_else() {
    let seccomp = json!({"type": "RuntimeDefault"});
    let general = json!({
        "runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false, "seccompProfile": seccomp,
        "capabilities": {"drop": ["ALL"], "add": ["SETGID", "SETUID", "SYS_PTRACE"]},
    });
    assert_eq!(of(Profile::General, &pod(Value::Null, Value::Null, 10001)), general);
    let non_root = of(Profile::General, &pod(json!({"runAsNonRoot": true}), Value::Null, 10001));
    assert_eq!(non_root["runAsNonRoot"], false, "{non_root}");
}

#[test]
fn general_adds_one_capability_to_those_of_root() {
    let add = |container_context| of(Profile::General, &pod(Value::Null, container_context, 0))["capabilities"].clone();
    assert_eq!(add(Value::Null), json!({"add": ["SYS_PTRACE"]}));
    assert_eq!(
        add(json!({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}})),
        json!({"drop": ["ALL"], "add": ["CHOWN", "SYS_PTRACE"]})
    );
    assert_eq!(
        add(json!({"capabilities": {"drop": ["KILL", "SYS_PTRACE"]}})),
        json!({"drop": ["KILL"], "add": ["SYS_PTRACE"]})
    );
    let has_it = json!({"capabilities": {"add": ["CAP_SYS_PTRACE"]}});
    assert_eq!(add(has_it.clone()), has_it["capabilities"]);
    assert_eq!(add(json!({"privileged": true})), json!({"add": ["ALL"]}));
}

#[test]
fn baseline_leaves_out_what_that_level_forbids() {
    let own = json!({
        "capabilities": {"add": ["SYS_ADMIN", "CAP_CHOWN", "net_admin"]},
        "appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {"type": "spc_t"},
    });
    let got = of(Profile::Baseline, &pod(Value::Null, own, 0));
    let expected = json!({
        "runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_CHOWN"]},
    });
    assert_eq!(got, expected);
    let privileged = of(Profile::Baseline, &pod(Value::Null, json!({"privileged": true}), 0));
    assert_eq!(privileged, json!({"runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false}));
    let labelled = json!({"seLinuxOptions": {"type": "container_t", "level": "s0:c1,c2"}});
    let kept = of(Profile::Baseline, &pod(Value::Null, labelled.clone(), 0));
    assert_eq!(kept["seLinuxOptions"], labelled["seLinuxOptions"]);
}

#[test]
fn restricted_has_no_root() {
    let pod = pod(Value::Null, Value::Null, 0);
    let refused = first(&pod, "app", &asking(Profile::Restricted)).unwrap_err();
    assert_eq!(refused.exit(), Exit::Attach);
    assert!(refused.remedy.contains("--run-as-user"), "{refused}");
    // The JVM of a root entrypoint that has dropped to a user, whom the caller knows.
    let known = Injector { run_as_user: Some(4242), ..asking(Profile::Restricted) };
    assert_eq!(shown(first(&pod, "app", &known))["runAsUser"], 4242);
}

#[test]
fn sysadmin_gives_the_injector_no_more_than_general() {
    for uid in [0, 10001] {
        let pod = pod(Value::Null, Value::Null, uid);
        assert_eq!(of(Profile::Sysadmin, &pod), of(Profile::General, &pod));
    }
}

#[test]
fn a_privileged_container_is_confined_by_nothing_that_the_pod_names() {
    let of = |pod: &Pod| serde_json::to_value(privileged(pod, "app").context).unwrap();
    let sealed = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let plain = json!({"privileged": true, "runAsUser": 0, "runAsGroup": 0});
    assert_eq!(of(&pod(Value::Null, sealed, 10001)), plain);
    let confined = json!({"runAsNonRoot": true, "appArmorProfile": {"type": "RuntimeDefault"}});
    let got = of(&pod(confined, Value::Null, 10001));
    assert_eq!((&got["runAsNonRoot"], &got["appArmorProfile"]["type"]), (&json!(false), &json!("Unconfined")));
}

#[test]
fn ids_of_the_users_own_are_taken_and_never_found_out() {
    let pod = pod(Value::Null, Value::Null, 10001);
    let ids = |user, group| {
        let injector = Injector { run_as_user: user, run_as_group: group, ..asking(Profile::Auto) };
        let Chosen { context, basis, .. } = first(&pod, "app", &injector).unwrap();
        assert_eq!(basis.is_final(), user.or(group).is_some());
        (context.run_as_user.unwrap(), context.run_as_group.unwrap(), context.run_as_non_root)
    };
    assert_eq!(ids(None, None), (10001, 10001, Some(true)));
    assert_eq!(ids(Some(5), None), (5, 5, Some(true)));
    assert_eq!(ids(Some(5), Some(6)), (5, 6, Some(true)));
    assert_eq!(ids(None, Some(6)), (10001, 6, Some(true)));
    assert_eq!(ids(Some(0), None), (0, 0, None));
}

#[test]
fn a_second_container_is_shaped_by_the_same_profile() {
    let pod = pod(Value::Null, json!({"capabilities": {"add": ["SYS_TIME"]}}), 0);
    let identity = |uid, capabilities| Identity { uid, gid: uid, capabilities };
    let second = |profile, identity| second(&pod, "app", identity, &asking(profile));
    let user = shown(second(Profile::General, identity(7, 0)));
    assert_eq!(user["capabilities"]["add"], json!(["SETGID", "SETUID", "SYS_PTRACE"]));
    assert_eq!(shown(second(Profile::Restricted, identity(7, 0)))["runAsUser"], 7);
    assert!(second(Profile::Restricted, identity(0, 0)).unwrap_err().cause.contains("has no root"));
    let lacking = second(Profile::Baseline, identity(0, 1 << 25)).unwrap_err();
    assert!(lacking.cause.ends_with("the profile leaves out: SYS_TIME"), "{lacking}");
    assert_eq!(shown(second(Profile::Auto, identity(0, 1 << 25)))["capabilities"]["add"], json!(["SYS_TIME"]));
}
