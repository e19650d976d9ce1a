//! Why a stream broke: the injector dies with the target's pid 1, and a stream that is cut looks the same either way. So the
//! pod is asked what became of the two.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::Context;
use crate::debugger::Debugger;
use crate::error::{ENDED, Exit, Failure};
use crate::target;

/// The kubelet tells the API server of a container's end within about a second. Polled, because who may exec may not be
/// allowed to watch.
const POLL: Duration = Duration::from_millis(250);
const POLLS: u32 = 12;

/// The failure of a conversation, made more exact where the pod tells more.
pub(super) async fn examine(context: &Context, debugger: &Debugger, failure: Failure) -> Failure {
    if failure.exit != Exit::Transfer {
        return failure;
    }
    for _ in 0..POLLS {
        let pod = match target::pod(&context.cluster, context.target.pod_name()).await {
            Ok(pod) => pod,
            Err(gone) if gone.exit == Exit::Target => return ended(&failure, &gone.evidence),
            // The API server itself is out of reach: the failure stands as it is.
            Err(_) => return failure,
        };
        if let Some(fate) = fate(context, &pod) {
            return ended(&failure, &fate);
        }
        if let Some(end) = injector_end(&pod, &debugger.container) {
            let evidence = format!("{end}; {}", failure.evidence);
            return failure.evidence(evidence);
        }
        tokio::time::sleep(POLL).await;
    }
    failure
}

/// Whether the injector's container has ended, by what the pod says of it within [`POLLS`] looks.
pub(super) async fn injector_ended(context: &Context, container: &str) -> bool {
    for _ in 0..POLLS {
        match target::pod(&context.cluster, context.target.pod_name()).await {
            Ok(pod) if injector_end(&pod, container).is_some() => return true,
            Ok(_) => tokio::time::sleep(POLL).await,
            Err(failure) => return failure.exit == Exit::Target,
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
    let now = target::status_of(pod, &target.container)?.container_id.as_deref()?;
    (Some(now) != target.container_id()).then(|| format!("the container was restarted: it is {now} now"))
}

fn ended(failure: &Failure, fate: &str) -> Failure {
    Failure::new(Exit::Target, "the target ended").evidence(format!("{fate}; {}", failure.evidence)).remedy(ENDED)
}

/// How the injector's own container ended, if it did.
fn injector_end(pod: &Pod, container: &str) -> Option<String> {
    let statuses = pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?;
    let own: &ContainerStatus = statuses.iter().find(|status| status.name == container)?;
    let end = own.state.as_ref()?.terminated.as_ref()?;
    let reason = end.reason.as_deref().unwrap_or("no reason given");
    let message = end.message.as_deref().unwrap_or_default();
    Some(
        format!("the injector's container ended: {reason}, exit code {} {message}", end.exit_code)
            .trim_end()
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_injectors_own_end_is_read_from_its_status() {
        let status = |state: serde_json::Value| -> Pod {
            let status = json!({"name": "jattach-abcde", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": state});
            serde_json::from_value(json!({"status": {"ephemeralContainerStatuses": [status]}})).expect("a pod")
        };
        let killed = status(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}));
        assert_eq!(
            injector_end(&killed, "jattach-abcde").as_deref(),
            Some("the injector's container ended: OOMKilled, exit code 137")
        );
        assert_eq!(injector_end(&killed, "jattach-other"), None);
        assert_eq!(injector_end(&status(json!({"running": {}})), "jattach-abcde"), None);
    }
}
