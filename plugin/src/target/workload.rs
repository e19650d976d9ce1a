//! A workload or a selector made into its newest ready pod.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::ListParams;

use super::no_target;
use crate::client::Cluster;
use crate::client::explain::{Call, answer};
use crate::error::{Failure, Result};
use crate::kubectl;
use crate::render::Notes;

/// The kinds that own pods by a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] =
        [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::ReplicaSet, Kind::Job];

    /// kubectl's names for it: short, singular and plural, these two also with the API group.
    pub(crate) fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| {
            let (_, group) = kind.resource().split_once('.').unwrap_or_default();
            let name = word.strip_suffix(group).and_then(|name| name.strip_suffix('.')).unwrap_or(word);
            word == kind.short() || name.strip_suffix('s').unwrap_or(name) == kind.singular()
        })
    }

    pub(crate) fn short(self) -> &'static str {
        match self {
            Kind::Deployment => "deploy",
            Kind::StatefulSet => "sts",
            Kind::DaemonSet => "ds",
            Kind::ReplicaSet => "rs",
            Kind::Job => "job",
        }
    }

    /// `deployments.apps`, as RBAC and `kubectl create role` name it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Kind::Deployment => "deployments.apps",
            Kind::StatefulSet => "statefulsets.apps",
            Kind::DaemonSet => "daemonsets.apps",
            Kind::ReplicaSet => "replicasets.apps",
            Kind::Job => "jobs.batch",
        }
    }

    pub(super) fn singular(self) -> &'static str {
        match self {
            Kind::Deployment => "deployment",
            Kind::StatefulSet => "statefulset",
            Kind::DaemonSet => "daemonset",
            Kind::ReplicaSet => "replicaset",
            Kind::Job => "job",
        }
    }
}

/// The newest ready pod of a workload.
pub(super) async fn newest(cluster: &Cluster, kind: Kind, name: &str, notes: &Notes) -> Result<Pod> {
    let Owner { what, selector, ended } = owner(cluster, kind, name).await?;
    let pods = list(cluster, &selector).await?;
    if let Some(end) = ended
        && !pods.iter().any(is_running)
    {
        return Err(no_target(format!("{what} has ended: its pods run no JVM any more"))
            .evidence(end)
            .remedy("start the job again and name it while it runs"));
    }
    choose(pods, &what, cluster.namespace(), notes)
}

/// All pods of a workload, and what it is, for a person.
pub(super) async fn pods(cluster: &Cluster, kind: Kind, name: &str) -> Result<(String, Vec<Pod>)> {
    let Owner { what, selector, .. } = owner(cluster, kind, name).await?;
    Ok((what, list(cluster, &selector).await?))
}

/// What the API server says of a workload.
struct Owner {
    /// `deployment/x`.
    what: String,
    /// What selects its pods.
    selector: String,
    /// How it has ended, if it is a job that has.
    ended: Option<String>,
}

async fn owner(cluster: &Cluster, kind: Kind, name: &str) -> Result<Owner> {
    let what = format!("{}/{name}", kind.singular());
    let call = Call::get(kind.resource(), name);
    let mut ended = None;
    let selector = match kind {
        Kind::Deployment => cluster.call(&call, cluster.api::<Deployment>().get(name)).await?.spec.map(|s| s.selector),
        Kind::StatefulSet => {
            cluster.call(&call, cluster.api::<StatefulSet>().get(name)).await?.spec.map(|s| s.selector)
        }
        Kind::DaemonSet => cluster.call(&call, cluster.api::<DaemonSet>().get(name)).await?.spec.map(|s| s.selector),
        Kind::ReplicaSet => cluster.call(&call, cluster.api::<ReplicaSet>().get(name)).await?.spec.map(|s| s.selector),
        Kind::Job => {
            let job = cluster.call(&call, cluster.api::<Job>().get(name)).await?;
            ended = job_end(&job);
            job.spec.and_then(|spec| spec.selector)
        }
    };
    match selector.as_ref().map(selector_text).filter(|selector| !selector.is_empty()) {
        Some(selector) => Ok(Owner { what, selector, ended }),
        None => Err(no_target(format!("{what} selects no pods")).remedy("name a pod: pod/x")),
    }
}

/// How a selector is named to a person.
pub(super) fn selected_by(selector: &str) -> String {
    format!("selector {selector}")
}

/// The pods that a selector selects.
pub(super) async fn list(cluster: &Cluster, selector: &str) -> Result<Vec<Pod>> {
    let params = ListParams::default().labels(selector);
    let call = Call::list("pods", selector);
    match cluster.attempt(&call, cluster.pods().list(&params)).await {
        Ok(pods) => Ok(pods.items),
        Err(error) => match error.status().filter(|status| status.code == 400) {
            Some(status) => Err(Failure::usage(format!("\"{selector}\" is no label selector"))
                .evidence(answer(status))
                .remedy("write it as for `kubectl get`: -l app=api,tier!=web or -l 'app in (api,web)'")),
            None => Err(error.explain(&call, cluster.place())),
        },
    }
}

/// The newest ready pod; where none is ready, the newest running one: a JVM that hangs is not ready, and is why people
/// come. Says which, and of how many.
pub(super) fn choose(pods: Vec<Pod>, what: &str, namespace: &str, notes: &Notes) -> Result<Pod> {
    let all = pods.len();
    let (mut running, others): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(is_running);
    running.sort_by_key(|pod| (is_ready(pod), pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
    let Some(pod) = running.pop() else {
        return Err(none_running(what, namespace, &others));
    };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if is_ready(&pod) && all == 1 {
        notes.say(&format!("Using pod/{name} of {what}"));
    } else if is_ready(&pod) {
        notes.say(&format!("Using pod/{name}, the newest ready of {all} of {what}"));
    } else {
        notes.say(&format!("Using pod/{name}, the newest running of {all} of {what}: none is ready"));
    }
    Ok(pod)
}

pub(super) fn none_running(what: &str, namespace: &str, pods: &[Pod]) -> Failure {
    let waits = pods.iter().find(|pod| !has_ended(pod));
    let Some(pod) = waits.or(pods.first()) else {
        return no_target(format!("{what} has no pods in namespace \"{namespace}\""))
            .remedy("look for it in another namespace (-n) or cluster (--context)");
    };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let seen = pods.iter().map(describe).collect::<Vec<_>>().join("\n");
    if waits.is_some() {
        let line = kubectl::line_in(namespace, format_args!("describe pod {name}"));
        return no_target(format!("none of the pods of {what} runs"))
            .evidence(seen)
            .remedy(format!("{line} says what keeps it from running"));
    }
    // A job says so itself, but only after its pods have.
    let line = kubectl::line_in(namespace, format_args!("logs {name} --all-containers"));
    no_target(format!("the pods of {what} have ended: they run no JVM any more"))
        .evidence(seen)
        .remedy(format!("name one that runs, or start it again; {line} says what this one has done"))
}

/// `pod/x Pending`, and what else keeps it from being chosen.
fn describe(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("without a status");
    let leaving = if pod.metadata.deletion_timestamp.is_some() { ", being deleted" } else { "" };
    format!("pod/{name} {phase}{leaving}")
}

fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// `Complete since …: message`, if the job has ended.
fn job_end(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    let end = conditions.iter().find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"))?;
    let since = end.last_transition_time.as_ref().map(|time| format!(" since {}", time.0)).unwrap_or_default();
    let message = end.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("condition {}{since}{message}", end.type_))
}

/// The selector as a query takes it: `a=b,c in (d,e),f,!g`.
fn selector_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(expression_text);
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

fn expression_text(requirement: &LabelSelectorRequirement) -> String {
    let LabelSelectorRequirement { key, operator, values } = requirement;
    let values = values.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
    match operator.as_str() {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, created: &str, phase: &str, ready: bool) -> Pod {
        let ready = if ready { "True" } else { "False" };
        let pod = json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        });
        serde_json::from_value(pod).unwrap()
    }

    fn chosen(pods: Vec<Pod>) -> String {
        choose(pods, "deployment/api", "shop", &Notes::silent()).unwrap().metadata.name.unwrap()
    }

    #[test]
    fn the_newest_ready_pod_is_taken() {
        let pods = vec![
            pod("old", "2026-01-01T00:00:00Z", "Running", true),
            pod("new", "2026-01-03T00:00:00Z", "Running", true),
            pod("newer-but-not-ready", "2026-01-04T00:00:00Z", "Running", false),
            pod("mid", "2026-01-02T00:00:00Z", "Running", true),
        ];
        assert_eq!(chosen(pods), "new");
    }

    #[test]
    fn where_none_is_ready_the_newest_running_pod_is_taken() {
        let pods = vec![
            pod("hangs", "2026-01-01T00:00:00Z", "Running", false),
            pod("hangs-too", "2026-01-02T00:00:00Z", "Running", false),
            pod("waits", "2026-01-03T00:00:00Z", "Pending", false),
        ];
        assert_eq!(chosen(pods), "hangs-too");
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_not_taken() {
        let mut leaving = pod("leaving", "2026-01-02T00:00:00Z", "Running", true);
        leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
        assert_eq!(chosen(vec![pod("stays", "2026-01-01T00:00:00Z", "Running", true), leaving]), "stays");
    }

    #[test]
    fn where_nothing_runs_every_pods_phase_is_named() {
        let pods = vec![pod("a", "2026-01-01T00:00:00Z", "Pending", false)];
        let failure = choose(pods, "deployment/api", "shop", &Notes::silent()).unwrap_err();
        assert_eq!(failure.evidence, "pod/a Pending");
        let failure = choose(Vec::new(), "deployment/api", "shop", &Notes::silent()).unwrap_err();
        assert!(failure.cause.contains("no pods in namespace \"shop\""));
    }

    #[test]
    fn pods_that_have_all_ended_are_not_said_to_be_kept_from_running() {
        let failed = || pod("b", "2026-01-02T00:00:00Z", "Failed", false);
        let ended = vec![pod("a", "2026-01-01T00:00:00Z", "Succeeded", false), failed()];
        let failure = choose(ended, "job/ends", "shop", &Notes::silent()).unwrap_err();
        assert!(
            failure.cause.contains("have ended")
                && failure.evidence == "pod/a Succeeded\npod/b Failed"
                && failure.remedy.contains("-n shop logs a "),
            "{failure}"
        );
        let waits = vec![failed(), pod("c", "2026-01-01T00:00:00Z", "Pending", false)];
        let failure = choose(waits, "job/ends", "shop", &Notes::silent()).unwrap_err();
        assert!(failure.remedy.contains("-n shop describe pod c says what keeps it from running"), "{failure}");
    }

    #[test]
    fn a_selector_with_expressions_is_written_as_a_query() {
        let selector = json!({
            "matchLabels": {"app": "api", "tier": "web"},
            "matchExpressions": [
                {"key": "env", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "NotIn", "values": ["c"]},
                {"key": "x", "operator": "Exists"},
                {"key": "y", "operator": "DoesNotExist"},
            ],
        });
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        assert_eq!(selector_text(&selector), "app=api,tier=web,env in (a,b),old notin (c),x,!y");
    }

    #[test]
    fn a_job_that_ended_says_when_and_how() {
        let job = json!({"status": {"conditions": [
            {"type": "Suspended", "status": "False"},
            {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "done"},
        ]}});
        assert_eq!(
            job_end(&serde_json::from_value(job).unwrap()).unwrap(),
            "condition Complete since 2026-01-01T00:00:00Z: done"
        );
        assert_eq!(job_end(&Job::default()), None);
    }
}
