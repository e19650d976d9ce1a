//! What helps where the target's /tmp takes no file: the injector sees a process, and knows nothing of the pod, of what made it,
//! and of the command line. First comes what leaves the JVM as it is, for what it holds in memory may be all the evidence there is.

use std::ffi::OsString;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, VolumeMount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::json;

use super::{Context, line};
use crate::client::Cluster;
use crate::client::explain::Call;
use crate::error::Failure;
use crate::options::{Action, Injector, Profile};
use crate::target::{Target, spec_of};

/// The label that the Deployment controller gives each of its ReplicaSets' pods, and ends the ReplicaSet's name with.
const HASH: &str = "pod-template-hash";

/// The failure with the lines that help this target.
pub(super) async fn of_tmp(context: &Context, action: &Action, failure: Failure) -> Failure {
    let Context { cluster, target, .. } = context;
    let change = change(cluster, target).await;
    failure.remedy(text(&Asked::of(context, action), target.pod_name(), cluster.namespace(), change))
}

/// The failure of doctor's check with the same in fewer rows, because the other checks share its screen: with a line to copy, if
/// the whole `fits` with that.
pub(super) async fn of_tmp_in_doctor(context: &Context, failure: Failure, fits: impl Fn(&str) -> bool) -> Failure {
    let Context { cluster, target, .. } = context;
    let change = change(cluster, target).await;
    let asked = Asked::of(context, &Action::Doctor { fix_rbac: false });
    failure.remedy(in_few_rows(&asked, target.pod_name(), cluster.namespace(), change, fits))
}

fn in_few_rows(asked: &Asked<'_>, pod: &str, namespace: &str, change: Change, fits: impl Fn(&str) -> bool) -> String {
    let Asked { is_shelter_left, flags, .. } = *asked;
    let privileged = "\nany command: --profile=sysadmin (a privileged container mounts a tmpfs)";
    let privileged = if is_shelter_left { privileged } else { "" };
    let now = format!("the threads, by a signal: {}{privileged}", line::via_log(flags, pod));
    let (for_good, in_words) = change.told(flags, namespace);
    let whole = format!("{now}\n{for_good}");
    if fits(&whole) { whole } else { format!("{now}\n{in_words}") }
}

/// What the user has asked for.
struct Asked<'a> {
    action: &'a Action,
    /// Whether --profile=sysadmin can be asked for yet.
    is_shelter_left: bool,
    flags: &'a [OsString],
}

impl<'a> Asked<'a> {
    fn of(context: &'a Context, action: &'a Action) -> Asked<'a> {
        let Injector { profile, via, .. } = context.options.injector;
        let is_shelter_left = profile != Profile::Sysadmin && via.is_none();
        Asked { action, is_shelter_left, flags: &context.options.flags }
    }
}

/// The lines, as many of them as a failure shows: one to be copied must not be cut. What is left out first `explain` tells, too;
/// then the patch gives way to words.
fn text(asked: &Asked<'_>, pod: &str, namespace: &str, change: Change) -> String {
    let Asked { action, is_shelter_left, flags } = *asked;
    let threads = match action {
        Action::ThreadDump { .. } => "the same from the pod's log, by a signal:",
        _ => "the threads at least, by a signal, from the pod's log:",
    };
    let threads = format!("{threads}\n{}", line::via_log(flags, pod));
    let privileged = "\nthis command: add --profile=sysadmin, for a privileged container that mounts a tmpfs over an empty /tmp \
                      for as long as it takes";
    let privileged = if is_shelter_left { privileged } else { "" };
    let (for_good, in_words) = change.told(flags, namespace);
    let texts = [
        format!("{threads}{privileged}\n{for_good}"),
        format!("{threads}\n{for_good}"),
        format!("{threads}{privileged}\n{in_words}"),
    ];
    let fits = texts.iter().find(|text| Failure::shows_whole(text));
    fits.unwrap_or(&texts[2]).clone()
}

/// How the pods get a /tmp that can be written to.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// The words of a kubectl command, what it brings about, and what it does.
    Patch { effect: &'static str, words: Vec<String>, in_words: String },
    /// There is no such command, and why.
    Words(String),
}

impl Change {
    /// With a line to copy, if there is one; and without.
    fn told(self, flags: &[OsString], namespace: &str) -> (String, String) {
        match self {
            Change::Patch { effect, words, in_words } => {
                (format!("{effect}\n{}", line::kubectl(&words, flags, namespace)), in_words)
            }
            Change::Words(words) => (words.clone(), words),
        }
    }
}

/// Where a pod comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// A template that may be changed; for any change of it the pods are made anew, but by a bare ReplicaSet.
    Template { kind: &'static str, name: String },
    /// One that the pods of the next run are made from.
    CronJob(String),
    /// Nothing that could be patched.
    Other(String),
}

async fn change(cluster: &Cluster, target: &Target) -> Change {
    let Target { pod, container, .. } = target;
    if let Some(mount) = mount_at_tmp(pod, container) {
        let volume = &mount.name;
        return Change::Words(format!(
            "for good: volume {volume} is mounted at /tmp and cannot be written to (readOnly, or its owner is another \
             user): change that where the pod is made from; it restarts the pods, and what is in memory is lost"
        ));
    }
    patch(origin(cluster, pod).await, pod, container)
}

fn patch(origin: Origin, pod: &Pod, container: &str) -> Change {
    let of_workload = json!({"spec": {"template": template(pod, container)}});
    let (effect, kind, name, patch) = match origin {
        Origin::Template { kind: kind @ "replicaset", name } => {
            ("for pods made from then on (what this one has in memory is lost with it):", kind, name, of_workload)
        }
        Origin::Template { kind, name } => {
            ("for good, but it restarts the pods: what is in memory is lost:", kind, name, of_workload)
        }
        Origin::CronJob(name) => {
            ("from its next run on:", "cronjob", name, json!({"spec": {"jobTemplate": of_workload}}))
        }
        Origin::Other(words) => return Change::Words(words),
    };
    let in_words = format!("{effect} an emptyDir at /tmp in the template of {kind}/{name}");
    let words = ["patch", kind, &name, "--type=strategic", "-p", &patch.to_string()].map(str::to_owned).to_vec();
    Change::Patch { effect, words, in_words }
}

/// What is merged into a pod template: lists of volumes and containers by name, mounts by path. The volume has no sizeLimit, above
/// which the kubelet would evict the pod: what the application writes there nobody here knows, and JDK 8's heap dump may lie there.
fn template(pod: &Pod, container: &str) -> serde_json::Value {
    let spec = pod.spec.as_ref();
    let is_taken =
        spec.and_then(|spec| spec.volumes.as_ref()).is_some_and(|all| all.iter().any(|one| one.name == "tmp"));
    let volume = if is_taken { "jattach-tmp" } else { "tmp" };
    let inits = spec.and_then(|spec| spec.init_containers.as_ref());
    let is_init = inits.is_some_and(|all| all.iter().any(|one| one.name == container));
    let list = if is_init { "initContainers" } else { "containers" };
    let mounting = json!([{"name": container, "volumeMounts": [{"name": volume, "mountPath": "/tmp"}]}]);
    let mut spec = json!({"volumes": [{"name": volume, "emptyDir": {}}]});
    spec[list] = mounting;
    json!({"spec": spec})
}

fn mount_at_tmp<'p>(pod: &'p Pod, container: &str) -> Option<&'p VolumeMount> {
    let mounts = spec_of(pod, container)?.volume_mounts.as_ref()?;
    mounts.iter().find(|mount| mount.mount_path.trim_end_matches('/') == "/tmp")
}

async fn origin(cluster: &Cluster, pod: &Pod) -> Origin {
    let Some(owner) = controller(&pod.metadata) else {
        return Origin::Other("for good: this pod has no controller: remake it with an emptyDir at /tmp".to_owned());
    };
    let name = owner.name.clone();
    match kind(owner) {
        ("apps", "ReplicaSet") => {
            let call = Call::get("replicasets.apps", &name);
            match cluster.attempt(&call, cluster.api::<ReplicaSet>().get(&name)).await {
                Ok(set) => of_replica_set(&name, controller(&set.metadata)),
                Err(_) => of_unseen_replica_set(pod, &name),
            }
        }
        ("apps", "StatefulSet") => Origin::Template { kind: "statefulset", name },
        ("apps", "DaemonSet") => Origin::Template { kind: "daemonset", name },
        ("batch", "Job") => {
            let call = Call::get("jobs.batch", &name);
            let job = cluster.attempt(&call, cluster.api::<Job>().get(&name)).await;
            of_job(&name, job.ok().as_ref().and_then(|job| controller(&job.metadata)))
        }
        _ => of_another(owner),
    }
}

/// An owner's API group and kind: others than Kubernetes have a StatefulSet and a Job, too.
fn kind(owner: &OwnerReference) -> (&str, &str) {
    (owner.api_version.split_once('/').map_or("", |(group, _)| group), &owner.kind)
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn of_replica_set(name: &str, owner: Option<&OwnerReference>) -> Origin {
    match owner {
        Some(owner) if kind(owner) == ("apps", "Deployment") => {
            Origin::Template { kind: "deployment", name: owner.name.clone() }
        }
        Some(owner) => of_another(owner),
        None => Origin::Template { kind: "replicaset", name: name.to_owned() },
    }
}

/// A user who may not read the ReplicaSet: a Deployment calls it after itself and the hash of its template.
fn of_unseen_replica_set(pod: &Pod, name: &str) -> Origin {
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(HASH));
    match hash.and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-')) {
        Some(deployment) => Origin::Template { kind: "deployment", name: deployment.to_owned() },
        None => Origin::Other(format!(
            "for good: an emptyDir at /tmp in the pod template of what made replicaset/{name}, which you may not read \
             (get replicasets.apps); it restarts the pods, and what is in memory is lost"
        )),
    }
}

fn of_job(name: &str, owner: Option<&OwnerReference>) -> Origin {
    match owner {
        Some(owner) if kind(owner) == ("batch", "CronJob") => Origin::CronJob(owner.name.clone()),
        _ => Origin::Other(format!(
            "for good: the template of job/{name} cannot be changed: make another job, with an emptyDir at /tmp"
        )),
    }
}

fn of_another(owner: &OwnerReference) -> Origin {
    Origin::Other(format!(
        "for good: an emptyDir at /tmp in the pod template of {}/{}; it restarts the pods, and what is in memory is lost",
        owner.kind, owner.name
    ))
}

#[cfg(test)]
#[path = "remedy_tests.rs"]
mod tests;
