//! Why a stream broke: the injector dies with the target's pid 1, and a stream that is cut looks the same either way. So the
//! pod is asked what became of the two.

use std::time::Duration;

use jattach_protocol::message::TOLD_TO_END;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::Context;
use crate::catalogue::Id;
use crate::debugger::Debugger;
use crate::error::{ENDED, Exit, Failure};
use crate::kubectl;
use crate::target;

/// The kubelet tells the API server of a container's end within about a second. Polled, because who may exec may not be
/// allowed to watch.
const POLL: Duration = Duration::from_millis(250);
const POLLS: u32 = 12;

/// The exit code of a container whose process 1 a SIGKILL has ended.
const KILLED: i32 = 128 + 9;

/// The failure of a conversation about `what`, made more exact where the pod tells more.
pub(super) async fn examine(context: &Context, debugger: &Debugger, what: &str, failure: Failure) -> Failure {
    if failure.exit() != Exit::Transfer {
        return failure;
    }
    let mut its_end = None;
    for _ in 0..POLLS {
        let pod = match target::pod(&context.cluster, context.target.pod_name()).await {
            Ok(pod) => pod,
            // Of a pod that is gone there is nothing left to describe.
            Err(gone) if gone.exit() == Exit::Target => {
                let pod = context.target.pod_name();
                let of_pod = format_args!("get events --field-selector involvedObject.name={pod}");
                let events = kubectl::line_in(context.cluster.namespace(), of_pod);
                return ended(&failure, &gone.evidence)
                    .remedy(format!("what it held in memory is gone with it; `{events}` tells why it ended"));
            }
            // The API server itself is out of reach: the failure stands as it is.
            Err(_) => return failure,
        };
        if let Some(fate) = fate(context, &pod) {
            return ended(&failure, &fate);
        }
        if let Some(end) = injector_end(&pod, &debugger.container) {
            if was_told_to(end) {
                return Failure::new(Id::Interrupted, format!("{what} was ended")).evidence(describe(end));
            }
            its_end = Some(describe(end));
            // With the target's process 1 the kernel kills all in its PID namespace, and of two containers that end at once
            // the pod may tell one after the other.
            if end.exit_code != KILLED {
                break;
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let Some(end) = its_end else { return failure };
    let evidence = format!("{end}; {}", failure.evidence);
    failure.evidence(evidence)
}

/// Whether the injector's container has ended, by what the pod says of it within [`POLLS`] looks.
pub(super) async fn injector_ended(context: &Context, container: &str) -> bool {
    for _ in 0..POLLS {
        match target::pod(&context.cluster, context.target.pod_name()).await {
            Ok(pod) if injector_end(&pod, container).is_some() => return true,
            Ok(_) => tokio::time::sleep(POLL).await,
            Err(failure) => return failure.exit() == Exit::Target,
        }
    }
    false
}

/// What has become of the target, if it is no longer the container that it was.
fn fate(context: &Context, pod: &Pod) -> Option<String> {
    let target = &context.target;
    if pod.metadata.uid.as_deref() != Some(target.pod_uid()) {
        return Some("the pod was replaced by another of its name".to_owned());
    }
    if let Some(gone) = target::vanished(pod, &target.container) {
        return Some(format!("{}: {}", gone.cause, gone.evidence));
    }
    let status = target::status_of(pod, &target.container)?;
    let now = status.container_id.as_deref()?;
    (Some(now) != target.container_id()).then(|| restarted(status))
}

/// Why there is another container now, by what the kubelet noted of the one before.
fn restarted(status: &ContainerStatus) -> String {
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let Some(last) = last else { return "the container was restarted".to_owned() };
    let reason = last.reason.as_deref().unwrap_or("no reason given");
    let at = last.finished_at.as_ref().map_or_else(String::new, |at| format!(" at {}", at.0.strftime("%H:%M:%S UTC")));
    format!("the container was restarted: the one before ended with {reason}, exit code {}{at}", last.exit_code)
}

/// How the stream broke tells nothing then that the target's end does not.
fn ended(failure: &Failure, fate: &str) -> Failure {
    tracing::info!(%failure, "the stream broke");
    Failure::new(Id::TargetEnded, "the target ended").evidence(fate).remedy(ENDED)
}

/// How the injector's own container ended, if it did.
fn injector_end<'p>(pod: &'p Pod, container: &str) -> Option<&'p ContainerStateTerminated> {
    let statuses = pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?;
    let own: &ContainerStatus = statuses.iter().find(|status| status.name == container)?;
    own.state.as_ref()?.terminated.as_ref()
}

/// Whether it ended because a client told it to, and not its node: what it has said of that to its clients need not have
/// arrived, for its end is the end of everything in its container.
fn was_told_to(end: &ContainerStateTerminated) -> bool {
    end.exit_code == 0 && end.message.as_deref().is_some_and(|message| message.starts_with(TOLD_TO_END))
}

fn describe(end: &ContainerStateTerminated) -> String {
    let reason = end.reason.as_deref().unwrap_or("no reason given");
    let message = end.message.as_deref().unwrap_or_default();
    format!("the injector's container ended: {reason}, exit code {} {message}", end.exit_code).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn why_a_container_was_restarted_is_what_the_kubelet_noted_of_the_one_before() {
        let status = |last: serde_json::Value| -> ContainerStatus {
            let status =
                json!({"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 1, "lastState": last});
            serde_json::from_value(status).expect("a status")
        };
        let last =
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-23T09:03:44Z"}});
        assert_eq!(
            restarted(&status(last)),
            "the container was restarted: the one before ended with OOMKilled, exit code 137 at 09:03:44 UTC"
        );
        assert_eq!(restarted(&status(json!({}))), "the container was restarted");
    }

    #[test]
    fn the_injectors_own_end_is_read_from_its_status() {
        let status = |state: serde_json::Value| -> Pod {
            let status = json!({"name": "jattach-abcde", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": state});
            serde_json::from_value(json!({"status": {"ephemeralContainerStatuses": [status]}})).expect("a pod")
        };
        let killed = status(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}));
        let end = injector_end(&killed, "jattach-abcde").expect("its end");
        assert_eq!(describe(end), "the injector's container ended: OOMKilled, exit code 137");
        assert!(!was_told_to(end));
        for told in [TOLD_TO_END.to_owned(), format!("{TOLD_TO_END}; the JVM is stopped")] {
            let told = json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": told}});
            assert!(injector_end(&status(told), "jattach-abcde").is_some_and(was_told_to));
        }
        let left = json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": "told to end (SIGTERM)"}});
        assert!(!injector_end(&status(left), "jattach-abcde").is_some_and(was_told_to), "its pod may be going");
        assert_eq!(injector_end(&killed, "jattach-other"), None);
        assert_eq!(injector_end(&status(json!({"running": {}})), "jattach-abcde"), None);
    }
}
