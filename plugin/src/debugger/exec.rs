//! An exec stream into the injector's container.

use kube::api::{AttachParams, AttachedProcess};

use super::Debugger;
use crate::catalogue::Id;
use crate::client::explain::{Call, CallError, answer};
use crate::client::{Cluster, Place};
use crate::error::{Failure, Result};

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
    let params = AttachParams::default()
        .container(&debugger.container)
        .stdin(true)
        .max_stdin_buf_size(STDIN)
        .max_stdout_buf_size(STDOUT)
        .max_stderr_buf_size(STDERR);
    let call = Call::new("exec", "pods/exec", &debugger.pod);
    let pods = cluster.pods();
    let request = pods.exec(&debugger.pod, argv.iter().copied(), &params);
    cluster.attempt(&call, request).await.map_err(|error| explain(&error, &call, &debugger.container, cluster.place()))
}

pub(super) fn explain(error: &CallError, call: &Call, container: &str, place: &Place) -> Failure {
    let pod = &call.name;
    let upgrade = |error: &CallError| match error {
        CallError::Call(inner) => matches!(**inner, kube::Error::UpgradeConnection(_)),
        _ => false,
    };
    match error.status() {
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

fn error_chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |&error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}
