//! What a partial container may say.

use super::*;
use serde_json::json;
use std::io::Write;

fn custom(text: &str) -> Result<Custom> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Custom::read(file.path())
}

fn refused(text: &str) -> Failure {
    custom(text).expect_err(text)
}

fn container(value: Value) -> EphemeralContainer {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_part_of_a_container_is_laid_over_the_injectors_own() {
    let own = container(json!({
        "name": "jattach-bcdfg", "image": "i", "command": ["/injector", "hold"],
        "securityContext": {"runAsUser": 10001, "capabilities": {"drop": ["ALL"], "add": ["KILL"]},
                            "seccompProfile": {"type": "RuntimeDefault"}},
    }));
    let yaml = "env: [{name: A, value: b}]\n\
                securityContext:\n  runAsUser: 0\n  seccompProfile: null\n  capabilities: {add: [SYS_PTRACE]}\n";
    let json_of_it = "{\n\t\"env\": [{\"name\": \"A\", \"value\": \"b\"}],\n\t\"securityContext\": {\"runAsUser\": 0, \
                      \"seccompProfile\": null, \"capabilities\": {\"add\": [\"SYS_PTRACE\"]}}\n}";
    let expected = container(json!({
        "name": "jattach-bcdfg", "image": "i", "command": ["/injector", "hold"],
        "env": [{"name": "A", "value": "b"}],
        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}},
    }));
    for text in [yaml, json_of_it] {
        assert_eq!(custom(text).unwrap().over(&own).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_makes_it_an_injector_is_not_to_be_set() {
    for field in
        ["name: x", "command: [sh]", "args: [x]", "image: x", "imagePullPolicy: Never", "targetContainerName: x"]
    {
        let failure = refused(field);
        let name = field.split(':').next().unwrap();
        assert!(failure.cause.ends_with(&format!("{name} is not to be set there")), "{failure}");
        assert!(!failure.remedy.is_empty(), "{failure}");
    }
    for field in ["ports: []", "resources: {limits: {cpu: 1}}", "lifecycle: {}", "volumeDevices: []"] {
        assert!(refused(field).remedy.contains("ephemeral container has none"), "{field}");
    }
}

#[test]
fn a_misspelt_field_is_named_and_not_left_out_in_silence() {
    for (text, field) in [
        ("securityContxt: {}", "securityContxt"),
        ("securityContext: {runAsUsr: 1}", "securityContext.runAsUsr"),
        ("volumeMounts: [{name: v, mountPath: /v, readonly: true}]", "volumeMounts[0].readonly"),
        ("spec: {containers: []}", "spec"),
    ] {
        assert!(refused(text).cause.ends_with(&format!("a container has no {field}")), "{}", refused(text));
    }
}

#[test]
fn what_is_no_part_of_a_container_is_refused_with_the_parsers_words() {
    for (text, evidence) in [("[1]", "expected a map"), ("env: x", "expected"), ("a: [", "")] {
        let failure = refused(text);
        assert!(failure.evidence.contains(evidence) && failure.remedy.contains("securityContext"), "{text}: {failure}");
    }
    let missing = Custom::read(Path::new("/nonexistent/custom.yaml")).unwrap_err();
    assert!(missing.cause.contains("/nonexistent/custom.yaml: cannot be read"), "{missing}");
}

#[test]
fn of_a_file_that_is_too_long_no_part_is_used() {
    let limit = usize::try_from(MAX_CUSTOM).expect("a small number");
    let whole = format!("env: []\n{}", "#".repeat(limit - 8));
    assert!(custom(&whole).is_ok());
    let failure = refused(&(whole + "#"));
    assert!(failure.evidence.contains("more than 2097152 bytes"), "{failure}");
}

#[test]
fn ids_in_it_are_the_users_own() {
    assert!(custom("securityContext: {runAsUser: 5}").unwrap().sets_ids());
    assert!(custom("securityContext: {runAsGroup: 0}").unwrap().sets_ids());
    assert!(!custom("securityContext: {privileged: true}").unwrap().sets_ids());
    assert!(!custom("env: []").unwrap().sets_ids());
}

#[test]
fn ids_that_a_profile_could_not_keep_contradict_it() {
    for (profile, user, group) in [
        (Profile::General, Some(1), None),
        (Profile::Sysadmin, Some(1), Some(1)),
        (Profile::General, None, Some(7)),
        (Profile::Restricted, Some(0), None),
    ] {
        let failure = refuse_contradiction(profile, &Source::Flag, user, group).expect_err("a contradiction");
        let flag = if user.is_some() { "--run-as-user" } else { "--run-as-group" };
        assert!(failure.cause.contains(flag) && !failure.remedy.is_empty(), "{failure}");
    }
    for (profile, user, group) in [
        (Profile::General, Some(0), Some(7)),
        (Profile::Sysadmin, None, Some(0)),
        (Profile::Restricted, None, Some(7)),
        (Profile::Auto, Some(0), Some(7)),
    ] {
        assert!(refuse_contradiction(profile, &Source::Flag, user, group).is_ok(), "{profile:?} {user:?} {group:?}");
    }
}
