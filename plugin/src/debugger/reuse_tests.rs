//! What may be reused, and what is planted.

use super::*;
use crate::debugger::recorded::{injector, target};
use crate::debugger::wanted::{Beyond, Wanted};
use crate::options::Profile;
use serde_json::json;

const IMAGE: &str = "ghcr.io/kubectl-jattach/injector:0.1.0";

/// A pod whose ephemeral containers are these, each started after the one before, and running or not.
fn with(target: &Target, containers: &[(EphemeralContainer, bool)]) -> Pod {
    let mut pod = target.pod.clone();
    let spec = pod.spec.as_mut().unwrap();
    spec.ephemeral_containers = Some(containers.iter().map(|(container, _)| container.clone()).collect());
    let mut minute = 0;
    let mut status = |(container, runs): &(EphemeralContainer, bool)| {
        minute += 1;
        let started = format!("2026-01-01T00:{minute:02}:00Z");
        let state =
            if *runs { json!({"running": {"startedAt": started}}) } else { json!({"terminated": {"exitCode": 0}}) };
        json!({"name": container.name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    };
    let statuses = containers.iter().map(|container| serde_json::from_value(status(container)).unwrap()).collect();
    pod.status.as_mut().unwrap().ephemeral_container_statuses = Some(statuses);
    pod
}

fn wanted(target: &Target) -> EphemeralContainer {
    wanted_by(&injector(IMAGE), target)
}

fn wanted_by(injector: &Injector, target: &Target) -> EphemeralContainer {
    let context = security::first(&target.pod, &target.container, injector).unwrap().context;
    spec::container(injector, target, &context).unwrap()
}

/// The container for a JVM that runs as what the pod does not tell.
fn exact(target: &Target, identity: Identity) -> EphemeralContainer {
    let context = security::second(&target.pod, "app", identity, &injector(IMAGE)).unwrap().context;
    spec::container(&injector(IMAGE), target, &context).unwrap()
}

/// The name of what would be reused without asking the server.
fn found(target: &Target, pod: &Pod, wanted: &EphemeralContainer) -> Option<String> {
    match_any(&candidates(pod), wanted, target, &injector(IMAGE), Basis::Reported).map(|container| container.name)
}

fn planted(change: impl FnOnce(&mut EphemeralContainer)) -> Option<String> {
    let target = target("pod-get-user");
    let mut other = wanted(&target);
    change(&mut other);
    let pod = with(&target, &[(other, true)]);
    found(&target, &pod, &wanted(&target))
}

#[test]
fn the_same_container_is_reused_as_the_server_shows_it() {
    let target = target("pod-get-user");
    let mine = wanted(&target);
    let pod = with(&target, &[(spec::with_defaults(&mine), true)]);
    assert_eq!(found(&target, &pod, &wanted(&target)), Some(mine.name));
}

#[test]
fn what_the_server_showed_of_a_recorded_patch_equals_what_was_sent() {
    for name in ["ephemeral-patch-ok", "ephemeral-patch-psa-restricted-ok"] {
        let recording = crate::debugger::recorded::recording(name);
        let sent = crate::debugger::recorded::patched(&recording);
        let pod: Pod = serde_json::from_value(recording["response"]["body"].clone()).unwrap();
        let shown = ephemeral(&pod).find(|shown| shown.name == sent.name).unwrap();
        assert_ne!(*shown, sent, "{name}: the server adds its defaults");
        assert!(equal(shown, &sent), "{name}");
    }
}

#[test]
fn one_that_has_ended_is_not_reused() {
    let target = target("pod-get-user");
    let pod = with(&target, &[(wanted(&target), false)]);
    assert_eq!(found(&target, &pod, &wanted(&target)), None);
    assert_eq!(running(&pod), Vec::<String>::new());
}

#[test]
fn the_newest_of_several_is_reused() {
    let target = target("pod-get-user");
    let (old, new) = (wanted(&target), wanted(&target));
    let mut pod = with(&target, &[(old.clone(), true), (new.clone(), true), (wanted(&target), false)]);
    assert_eq!(found(&target, &pod, &wanted(&target)), Some(new.name.clone()));
    pod.spec.as_mut().unwrap().ephemeral_containers.as_mut().unwrap().reverse();
    assert_eq!(found(&target, &pod, &wanted(&target)), Some(new.name.clone()));
    assert_eq!(running(&pod), [new.name, old.name]);
}

#[test]
fn one_from_another_image_is_named_and_not_reused() {
    const ADMITTED: &str = "r.example/injector@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let target = target("pod-get-user");
    let running = wanted_by(&injector(ADMITTED), &target);
    let pod = with(&target, &[(spec::with_defaults(&running), true)]);
    assert_eq!(found(&target, &pod, &wanted(&target)), None);
    assert_eq!(from_another_image(&pod, &wanted(&target)), Some((running.name.as_str(), ADMITTED)));
    assert_eq!(from_another_image(&pod, &running), None, "it is the wanted one");
    let shell = EphemeralContainer { working_dir: Some("/x".into()), ..running };
    assert_eq!(from_another_image(&with(&target, &[(shell, true)]), &wanted(&target)), None, "its image is not all");
}

#[test]
fn what_refuses_another_image_names_the_one_that_runs() {
    use crate::client::Place;
    use crate::debugger::create::explain;
    let mut target = target("pod-get-user");
    // Whoever may patch the pod chose that, and the line is there to be copied into a shell.
    let running = wanted_by(&injector("r.example/injector:2;reboot"), &target);
    target.pod = with(&target, &[(running.clone(), true)]);
    let status = kube::core::Status::failure(
        "ValidatingAdmissionPolicy 'kubectl-jattach-container' with binding 'b' denied request: the image has to be another",
        "Invalid",
    );
    let error = kube::Error::Api(Box::new(status.with_code(422))).into();
    let place = Place { namespace: "fx".to_owned(), server: "https://k8s.example".to_owned() };
    let all = [Wanted { container: wanted(&target), beyond: Beyond::default() }];
    let failure = explain(&error, &target, &all, &place);
    let hint = format!(
        "{} runs in this pod from another image: if you trust that, --image='r.example/injector:2;reboot' uses it\n",
        running.name
    );
    assert!(failure.remedy.starts_with(&hint), "{failure}");
}

#[test]
fn a_planted_container_is_not_reused() {
    use k8s_openapi::api::core::v1::{EnvVar, VolumeMount};
    assert!(planted(|_| ()).is_some(), "the unchanged one is");
    assert_eq!(planted(|c| c.command = Some(vec!["/bin/sh".into()])), None);
    assert_eq!(planted(|c| c.args = Some(vec!["--evil".into()])), None);
    assert_eq!(planted(|c| c.image = Some("evil.example/injector:0.1.0".into())), None);
    assert_eq!(planted(|c| c.image_pull_policy = Some("Always".into())), None);
    assert_eq!(planted(|c| c.target_container_name = Some("side".into())), None);
    assert_eq!(planted(|c| c.target_container_name = None), None);
    assert_eq!(planted(|c| c.security_context = None), None);
    assert_eq!(planted(|c| c.security_context.as_mut().unwrap().privileged = Some(true)), None);
    assert_eq!(planted(|c| c.working_dir = Some("/x".into())), None);
    assert_eq!(planted(|c| c.tty = Some(true)), None);
    assert_eq!(planted(|c| c.env = Some(vec![EnvVar { name: "LD_PRELOAD".into(), ..EnvVar::default() }])), None);
    assert_eq!(planted(|c| c.volume_mounts = Some(vec![VolumeMount::default()])), None);
    assert_eq!(planted(|c| c.name = "debugger-bcdfg".into()), None);
}

#[test]
fn clean_finds_ours_by_name_and_command_whatever_their_image() {
    let target = target("pod-get-user");
    let with_image = EphemeralContainer { image: Some("r.example/old:1".into()), ..wanted(&target) };
    let with_command = EphemeralContainer { command: Some(vec!["/bin/sh".into()]), ..wanted(&target) };
    let pod = with(&target, &[(with_image.clone(), true), (with_command, true)]);
    assert_eq!(running(&pod), [with_image.name]);
}

#[test]
fn flags_that_are_set_to_their_default_make_no_difference() {
    assert!(planted(|c| c.tty = Some(false)).is_some());
    assert!(planted(|c| c.args = Some(Vec::new())).is_some());
    assert!(planted(|c| c.image_pull_policy = Some("IfNotPresent".into())).is_some());
}

#[test]
fn the_exact_container_for_another_uid_goes_before_the_first_that_did_not_fit() {
    let target = target("pod-get-root");
    let first = wanted(&target);
    let identity = Identity { uid: 1000, gid: 1000, capabilities: 0 };
    let exact = exact(&target, identity);
    let pod = with(&target, &[(first, true), (exact.clone(), true)]);
    assert_eq!(found(&target, &pod, &wanted(&target)), Some(exact.name));
}

#[test]
fn an_exact_container_of_another_jvm_is_not_taken_for_the_exact_one_that_is_wanted() {
    let target = target("pod-get-root");
    let of = |uid| exact(&target, Identity { uid, gid: uid, capabilities: 0 });
    let other = of(1000);
    let found = |wanted: &EphemeralContainer, basis| match_any(&[&other], wanted, &target, &injector(IMAGE), basis);
    assert!(found(&of(2000), Basis::Exact).is_none());
    assert_eq!(found(&of(1000), Basis::Exact).unwrap().name, other.name);
    // Nor for the one whose ids the user has chosen.
    assert!(found(&wanted(&target), Basis::Asked).is_none());
}

#[test]
fn one_of_another_profile_is_not_taken() {
    let target = target("pod-get-user");
    let asking = |profile| Injector { profile, ..injector(IMAGE) };
    let profiles = [Profile::Auto, Profile::General];
    for (running, wanted) in profiles.iter().flat_map(|one| profiles.map(|other| (*one, other))) {
        let pod = with(&target, &[(wanted_by(&asking(running), &target), true)]);
        let (asking, new) = (asking(wanted), wanted_by(&asking(wanted), &target));
        let found = match_any(&candidates(&pod), &new, &target, &asking, Basis::Reported);
        assert_eq!(found.is_some(), running == wanted, "{running:?} {wanted:?}");
    }
}
