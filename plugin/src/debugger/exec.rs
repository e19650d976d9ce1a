//! An exec stream into the injector's container.

use kube::api::{AttachParams, AttachedProcess};
use kube::core::Status;

use super::Debugger;
use super::admission::is_by_our_policy;
use crate::catalogue::Id;
use crate::client::explain::{Call, CallError, answer};
use crate::client::{Cluster, Place};
use crate::error::{DESCRIBE, ENDED, Failure, Result};
use crate::kubectl;
use crate::target::Target;

/// kube's pipes hold 1 KiB unless told otherwise. The server sends at most 32 KiB a frame; a pipe that takes many keeps
/// the socket read while a block is being written to disk.
const STDOUT: usize = 4 << 20;
const STDIN: usize = 256 << 10;
const STDERR: usize = 64 << 10;

/// Starts a program in the injector's container, with stdin, stdout and stderr and no terminal. There is no limit on how
/// long it may run.
///
/// stdin stays open for as long as the program is to believe that somebody is there; stderr has to be drained, or stdout
/// stops too.
///
/// # Errors
/// 4 if RBAC refuses, 5 if the container has ended, 3 if the pod is gone.
pub(crate) async fn exec(cluster: &Cluster, debugger: &Debugger, argv: &[&str]) -> Result<AttachedProcess> {
    let container = &debugger.container;
    let started = start(cluster, &debugger.pod, container, argv).await;
    started.map_err(|(error, call)| explain(&error, &call, container, cluster.place()))
}

/// The same in the target's own container.
///
/// # Errors
/// 4 if RBAC refuses, 3 if the pod is gone or the container does not run.
pub(crate) async fn exec_in_target(cluster: &Cluster, target: &Target, argv: &[&str]) -> Result<AttachedProcess> {
    let started = start(cluster, target.pod_name(), &target.container, argv).await;
    started.map_err(|(error, call)| explain_in_target(&error, &call, &target.container, cluster.place()))
}

pub(super) fn explain_in_target(error: &CallError, call: &Call, container: &str, place: &Place) -> Failure {
    let pod = &call.name;
    let describe = kubectl::line_in(&place.namespace, format_args!("describe pod {pod}"));
    match error.status() {
        Some(status) if status.message.contains("container not found") => {
            Failure::new(Id::ContainerNotRunning, format!("container \"{container}\" of pod/{pod} has ended"))
                .evidence(answer(status))
                .remedy(ENDED.replace(DESCRIBE, &describe))
        }
        // A pod of the same name has taken the place of the one that was looked at.
        Some(status) if status.message.contains("is not valid for pod") => {
            Failure::new(Id::NoContainerAnyMore, format!("pod/{pod} has no container \"{container}\" any more"))
                .evidence(answer(status))
                .remedy("name one of its containers with -c")
        }
        Some(status) if is_by_our_policy(status) => explain(error, call, container, place).remedy(
            "leave --via=exec out: what the policy admits is a debug container with the injector's image, named by its digest \
             (--image)",
        ),
        _ => explain(error, call, container, place),
    }
}

async fn start(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    argv: &[&str],
) -> std::result::Result<AttachedProcess, (CallError, Call)> {
    let params = AttachParams::default()
        .container(container)
        .stdin(true)
        .max_stdin_buf_size(STDIN)
        .max_stdout_buf_size(STDOUT)
        .max_stderr_buf_size(STDERR);
    let call = Call::new("exec", "pods/exec", pod);
    let pods = cluster.pods();
    let request = pods.exec(pod, argv.iter().copied(), &params);
    cluster.attempt(&call, request).await.map_err(|error| (error, call))
}

pub(super) fn explain(error: &CallError, call: &Call, container: &str, place: &Place) -> Failure {
    let pod = &call.name;
    let upgrade = |error: &CallError| match error {
        CallError::Call(inner) => matches!(**inner, kube::Error::UpgradeConnection(_)),
        _ => false,
    };
    match error.status() {
        Some(status) if is_of_node(status) => no_exec(&answer(status)),
        Some(status)
            if status.message.contains("container not found") || status.message.contains("is not valid for pod") =>
        {
            Failure::new(Id::InjectorEnded, format!("the injector \"{container}\" of pod/{pod} has ended"))
                .evidence(answer(status))
                .remedy("try again: a new one is started")
        }
        None if upgrade(error) => Failure::new(Id::NoWebSockets, "the way to the API server does not take WebSockets")
            .evidence(error_chain(error))
            .remedy("a proxy or load balancer before it has to pass Upgrade: websocket on"),
        _ => error.explain(call, place),
    }
}

/// Whether a node answers so that serves no exec. What the API server itself answers is a Status; this is the node's own text:
/// of a virtual kubelet (`node/api/server.go` of virtual-kubelet), of a kubelet without its debugging handlers. None of them is
/// recorded.
fn is_of_node(status: &Status) -> bool {
    let is_text = status.reason.is_empty() || status.reason.starts_with("Failed to parse");
    is_text && (matches!(status.code, 404 | 405 | 501) || is_without_exec(&status.message))
}

/// Whether a message passes such an answer on: an API server that speaks SPDY to the node tells of it in a Status at the
/// stream's end (`unable to upgrade connection: 404 page not found`).
pub(crate) fn is_without_exec(message: &str) -> bool {
    let answers =
        ["404 page not found", "404 request not found", "501 not implemented", "Debug endpoints are disabled"];
    message.contains("unable to upgrade connection") && answers.iter().any(|answer| message.contains(answer))
}

/// The node has no exec, as `evidence` shows.
pub(crate) fn no_exec(evidence: &str) -> Failure {
    Failure::new(Id::NoExec, "the node that the pod runs on serves no exec").evidence(evidence).remedy(
        "virtual nodes (serverless, burst to a cloud) often have none, nor has a kubelet with enableDebuggingHandlers: false: \
         attach to a replica on another node",
    )
}

fn error_chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |&error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: u16, message: &str, reason: &str) -> Failure {
        let status = Status::failure(message, reason).with_code(code);
        let place = Place { namespace: "shop".to_owned(), server: "https://k8s.example".to_owned() };
        let error = CallError::from(kube::Error::Api(status.boxed()));
        explain(&error, &Call::new("exec", "pods/exec", "x"), "jattach-bcdfg", &place)
    }

    #[test]
    fn a_node_without_exec_is_told_from_a_pod_that_is_not_there_and_from_a_server_that_fails() {
        let text = "Failed to parse error data";
        for (code, answer) in [
            (501, "501 not implemented\n"),
            (404, "404 page not found\n"),
            (404, "404 request not found\n"),
            (405, "Debug endpoints are disabled.\n"),
            (500, "unable to upgrade connection: 404 page not found"),
        ] {
            let failure = explained(code, answer, text);
            assert_eq!(failure.id, Id::NoExec, "{failure}");
            assert!(failure.evidence.contains(answer.trim()), "{failure}");
        }
        assert_eq!(explained(404, "pods \"x\" not found", "NotFound").id, Id::NotFound);
        assert_eq!(explained(500, "rpc error: code = Unknown", text).id, Id::ServerFailed);
        assert_eq!(explained(405, "the server does not allow this method", "MethodNotAllowed").id, Id::ServerRefused);
    }

    #[test]
    fn a_status_that_passes_the_nodes_answer_on_is_known_by_it() {
        assert!(is_without_exec("Internal error occurred: unable to upgrade connection: 404 page not found"));
        assert!(!is_without_exec("Internal error occurred: unable to upgrade connection: Unauthorized"));
        assert!(!is_without_exec("command terminated with exit code 1: 404 page not found"));
    }
}
