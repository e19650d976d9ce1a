//! Every recorded refusal, as a person reads it (tests/errors). `SNAPSHOTS=overwrite` writes the snapshots anew: read the
//! difference.

use serde_json::Value;

use super::recorded::{injector, patched, recording, refused, target_named};
use super::wanted::{Beyond, Wanted};
use super::{create, exec, security};
use crate::catalogue::Id;
use crate::catalogue::seen::assert_seen;
use crate::client::Place;
use crate::client::explain::Call;
use crate::error::{Exit, Failure};

/// The parts of a recorded request's path: namespace, pod.
fn names(recording: &Value) -> (String, String) {
    let path = recording["request"]["path"].as_str().unwrap().split('?').next().unwrap().to_owned();
    let mut parts = path.split('/').skip(4);
    let namespace = parts.next().unwrap().to_owned();
    (namespace, parts.nth(1).unwrap().to_owned())
}

fn place(namespace: &str) -> Place {
    Place { namespace: namespace.to_owned(), server: "https://k8s.example:6443".to_owned() }
}

fn patch_refusal(name: &str) -> Failure {
    let recording = recording(name);
    let (namespace, pod) = names(&recording);
    let mut target = target_named(&namespace, &pod);
    let all = wanted(&recording);
    target.container = all[0].container.target_container_name.clone().unwrap();
    create::explain(&refused(&recording), &target, &all, &place(&namespace))
}

/// The container of a recorded patch, as its target calls for it.
fn wanted(recording: &Value) -> [Wanted; 1] {
    [Wanted { container: patched(recording), beyond: Beyond::default() }]
}

/// The same, but that what our own container has not was asked for by name.
fn asked_for_refusal(name: &str) -> Failure {
    let recording = recording(name);
    let (namespace, pod) = names(&recording);
    let target = target_named(&namespace, &pod);
    let chosen = security::first(&target.pod, &target.container, &injector("i")).unwrap();
    let wanted = Wanted::of(patched(&recording), &injector("i"), &target, &chosen).unwrap();
    create::explain(&refused(&recording), &target, &[wanted], &place(&namespace))
}

fn exec_in_target_refusal(name: &str) -> Failure {
    let recording = recording(name);
    let (namespace, pod) = names(&recording);
    let call = Call::new("exec", "pods/exec", pod);
    exec::explain_in_target(&refused(&recording), &call, "app", &place(&namespace))
}

fn exec_refusal(name: &str) -> Failure {
    let recording = recording(name);
    let (namespace, pod) = names(&recording);
    let call = Call::new("exec", "pods/exec", pod);
    exec::explain(&refused(&recording), &call, "jattach-bcdfg", &place(&namespace))
}

fn get_refusal(name: &str) -> Failure {
    let recording = recording(name);
    let (namespace, pod) = names(&recording);
    refused(&recording).explain(&Call::get("pods", &pod), &place(&namespace))
}

fn check(name: &str, failure: &Failure, exit: Exit) {
    assert_eq!(failure.exit(), exit, "{name}: {failure}");
    assert_seen(name, failure);
}

macro_rules! refusals {
    ($($test:ident: $explain:ident $name:literal $exit:ident;)*) => {$(
        #[test]
        fn $test() {
            check($name, &$explain($name), Exit::$exit);
        }
    )*};
}

refusals! {
    who_may_not_get_the_pod: get_refusal "rbac-denied-get-pod" Refused;
    a_pod_that_is_not_there: get_refusal "pod-get-missing" Target;

    who_may_not_add_the_container: patch_refusal "rbac-denied-ephemeral" Refused;
    a_pod_that_has_gone_before_the_patch: patch_refusal "ephemeral-patch-missing-pod" Target;
    a_level_that_refuses_what_was_sent: patch_refusal "ephemeral-patch-psa-restricted-denied" Refused;
    a_level_that_refuses_a_capability: asked_for_refusal "ephemeral-patch-psa-baseline-sysptrace-denied" Refused;
    a_policy_that_wants_another_image: patch_refusal "ephemeral-patch-policy-denied" Refused;
    a_container_that_has_gone_before_the_patch: patch_refusal "ephemeral-patch-bad-target" Target;
    a_name_that_is_none: patch_refusal "ephemeral-patch-bad-name" Injector;
    a_name_that_is_taken: patch_refusal "ephemeral-patch-name-of-container" Injector;
    a_container_that_was_to_be_changed: patch_refusal "ephemeral-patch-same-name-changed" Injector;
    ports_that_no_ephemeral_container_has: patch_refusal "ephemeral-patch-ports" Injector;
    resources_that_no_ephemeral_container_has: patch_refusal "ephemeral-patch-resources" Injector;

    who_may_not_exec: exec_refusal "rbac-denied-exec" Refused;
    who_may_only_create_exec: exec_refusal "rbac-exec-create-only" Refused;
    who_may_only_get_exec: exec_refusal "rbac-exec-get-only" Refused;
    a_policy_that_forbids_this_exec: exec_in_target_refusal "exec-policy-denied" Refused;
    a_container_that_has_gone_before_the_exec_in_it: exec_in_target_refusal "exec-no-such-container" Target;
    whom_the_server_does_not_know: exec_refusal "unauthorized" Refused;
    a_pod_that_has_gone_before_the_exec: exec_refusal "exec-no-such-pod" Target;
    a_container_that_the_pod_never_had: exec_refusal "exec-no-such-container" Injector;
    a_container_that_has_ended: exec_refusal "exec-container-exited" Injector;
    an_answer_that_is_no_status: exec_refusal "exec-no-stream" Other;
    a_node_that_does_not_answer_the_server: exec_refusal "exec-node-gone" Other;
}

#[test]
fn a_server_that_knows_no_such_resource() {
    let call = Call::new("patch", "pods/ephemeralcontainers", "x");
    check("no-such-resource", &refused(&recording("no-such-resource")).explain(&call, &place("shop")), Exit::Other);
}

#[test]
fn a_target_that_has_ended_before_the_exec_in_it() {
    check("meanwhile", &exec_in_target_refusal("exec-container-exited"), Exit::Target);
}

/// The answer was another API's: any server that is not there is answered for so.
#[test]
fn a_server_that_is_not_there() {
    let failure = refused(&recording("unavailable")).explain(&Call::get("pods", "x"), &place("shop"));
    check("unavailable", &failure, Exit::Other);
}

#[test]
fn an_older_debug_container_that_breaks_the_level_is_named_as_the_cause() {
    let mut recording = recording("ephemeral-patch-psa-restricted-denied");
    let message = recording["response"]["body"]["message"].as_str().unwrap().replace("jattach-a", "debugger-x");
    recording["response"]["body"]["message"] = message.into();
    let target = target_named("fx-restricted", "user");
    let all = wanted(&recording);
    let failure = create::explain(&refused(&recording), &target, &all, &place("fx-restricted"));
    assert!(failure.remedy.starts_with("an earlier debug container"), "{failure}");
    assert_seen("older-debug-container", &failure);
}

/// What becomes of a refusal with that status, reason and message. Where they were not recorded they are put together as the
/// file of Kubernetes' does that the test names.
fn refusal_of(code: u16, reason: &str, message: &str) -> Failure {
    let mut recording = recording("rbac-denied-ephemeral");
    let body = &mut recording["response"]["body"];
    (body["code"], body["reason"], body["message"]) = (code.into(), reason.into(), message.into());
    let target = target_named("fx", "root");
    create::explain(&refused(&recording), &target, &wanted(&recording), &place("fx"))
}

/// staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go: `ToStatusErr`. The status is the webhook's
/// choice, 403 unless it says another (Kyverno's 400); newer servers put in front whatever was forbidden. The reason given is
/// Gatekeeper's for a debug container.
#[test]
fn a_webhooks_own_words_are_the_evidence() {
    let why = "[psp-readonlyrootfilesystem] only read-only root filesystem container is allowed: jattach-bcdfg";
    let denied = format!("admission webhook \"validation.gatekeeper.sh\" denied the request: {why}");
    let failure = refusal_of(403, "Forbidden", &denied);
    assert_eq!((failure.exit(), failure.evidence.as_str()), (Exit::Refused, why));
    assert_seen("webhook", &failure);
    let alike = [
        refusal_of(403, "Forbidden", &format!("pods \"root\" is forbidden: {denied}")),
        refusal_of(400, "BadRequest", &denied),
        refusal_of(500, "InternalError", &format!("Internal error occurred: {denied}")),
    ];
    for other in alike {
        assert_eq!((other.id, other.to_string()), (failure.id, failure.to_string()));
    }
    let silent =
        refusal_of(403, "Forbidden", "admission webhook \"v.example.com\" denied the request without explanation");
    assert_eq!(silent.evidence, "without explanation");
    let dry = refusal_of(400, "BadRequest", "admission webhook \"v.example.com\" does not support dry run");
    assert_eq!(dry.cause, "the cluster's admission webhook \"v.example.com\" cannot be asked by a dry run");
    assert_eq!(dry.evidence, "it does not support dry run");
}

/// staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go words the first so.
#[test]
fn only_the_servers_own_words_say_that_a_webhook_takes_no_dry_run() {
    for said in
        ["attempted to modify the object, which is not supported for this operation", "does not support dry run yet"]
    {
        let message = format!("admission webhook \"v.example.com\" {said}");
        let other = refusal_of(500, "InternalError", &message);
        assert_eq!(other.cause, "the cluster's admission webhook \"v.example.com\" refuses the injector's container");
        assert_eq!(other.evidence, message);
    }
    let sentence = refusal_of(403, "Forbidden", "forbidden: ask the admission webhook team to register the image");
    assert!(sentence.id != Id::Webhook && sentence.evidence.contains("webhook team"), "{sentence}");
}

/// staging/src/k8s.io/apiserver/pkg/util/webhook/error.go: `ErrCallingWebhook`, which the dispatchers of
/// pkg/admission/plugin/webhook answer as an internal error.
#[test]
fn a_webhook_that_does_not_answer_is_told_from_a_server_that_fails() {
    let message = "Internal error occurred: failed calling webhook \"validate.kyverno.svc-fail\": failed to call webhook: Post \
                   \"https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s\": dial tcp 10.0.64.198:443: connect: \
                   connection refused";
    let failure = refusal_of(500, "InternalError", message);
    assert_eq!(failure.exit(), Exit::Refused, "{failure}");
    assert_seen("without-an-answer", &failure);
}

/// staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go: `CheckRequest`. Kubernetes' own plugin counts no
/// ephemeral container (pkg/quota/v1/evaluator/core/pods.go: `Handles`), so what it says of a pod stands for the words of one that
/// does.
#[test]
fn a_used_up_quota_is_named() {
    let message = "pods \"root\" is forbidden: exceeded quota: compute, requested: limits.memory=1Gi,pods=1, used: \
                   limits.memory=8Gi,pods=10, limited: limits.memory=8Gi,pods=10";
    let failure = refusal_of(403, "Forbidden", message);
    assert!(failure.cause.contains("quota") && failure.evidence.starts_with("compute, requested"), "{failure}");
    assert_seen("quota", &failure);
}

#[test]
fn a_static_pod_says_so_also_when_only_the_server_knows() {
    let recording = recording("ephemeral-patch-static-pod");
    let target = target_named("fx", "static-realnode");
    let failure = create::explain(&refused(&recording), &target, &wanted(&recording), &place("fx"));
    assert_eq!(failure.exit(), Exit::Target);
    assert!(failure.cause.contains("static pod"), "{failure}");
    assert_seen("static-pod-by-the-server", &failure);
}
