//! What is told, of whatever a user may ask for.

use std::io::Write;

use super::super::security::first;
use super::*;
use crate::debugger::recorded::{injector, target_of};
use crate::options::{Custom, Profile};
use serde_json::json;

const ALL: [Profile; 5] = [Profile::Auto, Profile::Restricted, Profile::Baseline, Profile::General, Profile::Sysadmin];

#[expect(clippy::needless_pass_by_value, reason = "the tables below read better with their json by value")]
fn target(context: Value, user: Value) -> Target {
    let pod = json!({
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "securityContext": context}]},
        "status": {"containerStatuses": [{
            "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "user": user,
        }]},
    });
    target_of(serde_json::from_value(pod).expect("a pod"))
}

fn user(uid: u32) -> Value {
    json!({"linux": {"uid": uid, "gid": uid}})
}

fn asking(profile: Profile) -> Injector {
    Injector { profile, ..injector("i") }
}

fn custom(text: &str) -> Injector {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("it can be written");
    Injector { custom: Some(Custom::read(file.path()).expect("a part of a container")), ..injector("i") }
}

fn beyond(injector: &Injector, target: &Target) -> Beyond {
    let chosen = first(&target.pod, &target.container, injector).expect("a context");
    Wanted::injector(injector, target, &chosen).expect("a container").beyond
}

#[test]
fn every_field_of_the_users_own_that_differs_is_told_by_its_path() {
    let target = target(json!({"seLinuxOptions": {"type": "container_t"}}), user(10001));
    for (part, expected) in [
        ("seccompProfile: {type: Unconfined}", "securityContext.seccompProfile.type Unconfined"),
        ("seccompProfile: null", "securityContext.seccompProfile.type left out"),
        ("seLinuxOptions: {type: spc_t}", "securityContext.seLinuxOptions.type spc_t"),
        ("appArmorProfile: {type: Unconfined}", "securityContext.appArmorProfile.type Unconfined"),
        ("procMount: Unmasked", "securityContext.procMount Unmasked"),
        ("runAsNonRoot: null", "securityContext.runAsNonRoot left out"),
        ("runAsUser: null", "securityContext.runAsUser left out"),
        ("allowPrivilegeEscalation: true", "securityContext.allowPrivilegeEscalation true"),
        ("capabilities: {add: [NET_ADMIN, MADE_UP]}", "securityContext.capabilities NET_ADMIN, MADE_UP"),
        ("{runAsUser: 0, runAsNonRoot: false}", "securityContext.runAsUser 0"),
        (
            "{privileged: true, allowPrivilegeEscalation: null}",
            "securityContext.allowPrivilegeEscalation left out; securityContext.privileged true",
        ),
    ] {
        let part = if part.starts_with('{') { part.to_owned() } else { format!("{{{part}}}") };
        assert_eq!(beyond(&custom(&format!("securityContext: {part}")), &target).to_string(), expected);
    }
    let secret = "env: [{name: TOKEN, value: hunter2}]\nvolumeMounts: [{name: keys, mountPath: /keys}]\nstdin: true\n";
    assert_eq!(beyond(&custom(secret), &target).to_string(), "env; stdin true; volumeMounts");
}

#[test]
fn what_is_less_is_not_told() {
    for (target, part) in [
        (target(json!({"seLinuxOptions": {"type": "spc_t"}}), user(0)), "seLinuxOptions: null"),
        (target(json!({"capabilities": {"add": ["SYS_TIME"]}}), user(0)), "capabilities: {drop: [ALL], add: [CHOWN]}"),
        (target(json!({}), user(0)), "runAsUser: 10001, runAsGroup: 10001, runAsNonRoot: true"),
        (target(json!({}), user(10001)), "readOnlyRootFilesystem: true, privileged: false"),
        // Where nothing shows the ids, somebody may know them.
        (target(json!({}), Value::Null), "runAsUser: 10001, runAsGroup: 10001"),
    ] {
        assert_eq!(beyond(&custom(&format!("securityContext: {{{part}}}")), &target).to_string(), "", "{part}");
    }
}

#[test]
fn the_ids_of_another_user_are_told() {
    let other = Injector { run_as_user: Some(7), ..injector("i") };
    let told = beyond(&other, &target(json!({}), user(10001))).to_string();
    assert_eq!(told, "securityContext.runAsGroup 7; securityContext.runAsUser 7");
    let same = Injector { run_as_user: Some(10001), ..injector("i") };
    assert!(beyond(&same, &target(json!({}), user(10001))).is_nothing());
}

#[test]
fn general_is_told_as_the_root_that_it_makes() {
    let told = |uid| beyond(&asking(Profile::General), &target(json!({}), user(uid))).to_string();
    assert_eq!(told(0), "securityContext.capabilities SYS_PTRACE");
    assert_eq!(told(10001), "securityContext.capabilities SETGID, SETUID, SYS_PTRACE; securityContext.runAsUser 0");
}

#[test]
fn nothing_exceeds_the_target_but_what_is_asked_for_by_name() {
    let contexts = [
        json!({}),
        json!({"capabilities": {"drop": ["ALL"]}}),
        json!({"capabilities": {"add": ["NET_ADMIN"], "drop": ["CHOWN"]}}),
        json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true}),
        json!({"seLinuxOptions": {"type": "spc_t"}, "appArmorProfile": {"type": "Unconfined"}}),
    ];
    for (context, uid, profile) in
        contexts.iter().flat_map(|context| [0, 10001].map(|uid| ALL.map(|profile| (context, uid, profile)))).flatten()
    {
        let target = target(context.clone(), user(uid));
        let Ok(chosen) = first(&target.pod, "app", &asking(profile)) else {
            assert_eq!((profile, uid), (Profile::Restricted, 0));
            continue;
        };
        let Wanted { beyond, .. } = Wanted::injector(&asking(profile), &target, &chosen).expect("a container");
        let is_named = matches!(profile, Profile::General | Profile::Sysadmin);
        assert_eq!(!beyond.is_nothing(), is_named, "{profile:?} for uid {uid} of {context}: {beyond}");
    }
}

#[test]
fn a_refusal_is_laid_to_who_asked_for_the_field_that_it_names() {
    let compliant = target(json!({"allowPrivilegeEscalation": false}), user(10001));
    let unconfined = beyond(&custom("securityContext: {seccompProfile: {type: Unconfined}}"), &compliant);
    let found = "seccompProfile (pod or container \"x\" must set securityContext.seccompProfile.type to …)";
    assert!(unconfined.is_among(found));
    let root = "runAsNonRoot != true (container \"x\" must not set securityContext.runAsNonRoot=false)";
    assert!(!unconfined.is_among(root), "the target's own doing");
    assert!(!beyond(&custom("env: [{name: A, value: b}]"), &compliant).is_among(found));
    assert!(!Beyond::default().is_among(found));
}
