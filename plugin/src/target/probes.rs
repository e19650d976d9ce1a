//! How long a container may stand still before the kubelet does something about it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

/// From the beginning of a pause, at the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budgets {
    /// Until the container is killed; `None` where nothing kills it.
    pub(crate) liveness: Option<Duration>,
    /// Until the pod is taken out of its Services.
    pub(crate) readiness: Option<Duration>,
}

impl Budgets {
    /// Those of a container.
    pub(crate) fn of(container: &Container) -> Budgets {
        Budgets {
            liveness: container.liveness_probe.as_ref().map(budget),
            readiness: container.readiness_probe.as_ref().map(budget),
        }
    }
}

/// The kubelet acts on the last of `failureThreshold` failures in a row, the first of which may have begun with the pause; of
/// which kind the probe is makes no difference. What a probe leaves out has the API server's defaults.
fn budget(probe: &Probe) -> Duration {
    let number = |value: Option<i32>, default: u32| {
        let given = value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
        given.unwrap_or(default)
    };
    let (failures, period) = (number(probe.failure_threshold, 3), number(probe.period_seconds, 10));
    let seconds = u64::from(failures - 1) * u64::from(period) + u64::from(number(probe.timeout_seconds, 1));
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn budgets(container: serde_json::Value) -> (Option<u64>, Option<u64>) {
        let container: Container = serde_json::from_value(container).expect("a container");
        let Budgets { liveness, readiness } = Budgets::of(&container);
        (liveness.map(|limit| limit.as_secs()), readiness.map(|limit| limit.as_secs()))
    }

    #[test]
    fn the_budget_ends_with_the_last_failure_of_a_row_that_began_with_the_pause() {
        let http = json!({"httpGet": {"port": 8080}});
        assert_eq!(budgets(json!({"name": "a", "livenessProbe": http})), (Some(21), None));
        let quick = json!({"exec": {}, "periodSeconds": 2, "failureThreshold": 1, "timeoutSeconds": 4});
        let slow = json!({"grpc": {"port": 1}, "periodSeconds": 30, "failureThreshold": 5, "timeoutSeconds": 3});
        let both = json!({"name": "a", "livenessProbe": quick, "readinessProbe": slow});
        assert_eq!(budgets(both), (Some(4), Some(123)));
        assert_eq!(budgets(json!({"name": "a", "startupProbe": http})), (None, None));
    }
}
