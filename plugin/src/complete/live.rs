//! Names from the cluster and the kubeconfig. Whatever goes wrong is no name.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use clap::{Args, FromArgMatches};
use clap_complete::engine::CompletionCandidate;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams};
use kube::config::Kubeconfig;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::flags::{ConnectionFlags, TargetFlags};
use crate::client::{Cluster, kubeconfig};
use crate::options::{self, Connection};
use crate::target::WorkloadKind;

/// How long somebody who has pressed a key may wait.
const LIMIT: Duration = Duration::from_secs(3);
/// How many names are asked for at once.
const PAGE: u32 = 500;
const PODS: [&str; 3] = ["pod", "pods", "po"];

/// Where the line's flags lead.
pub(super) struct Live {
    connection: Option<Connection>,
    target: Option<String>,
}

impl Live {
    /// `target` is TARGET, `flags` what of our flags stands on the line, each as one word.
    pub(super) fn new(target: Option<&OsStr>, flags: &[OsString]) -> Live {
        let target = target.and_then(OsStr::to_str).map(str::to_owned);
        Live { connection: connection(flags), target }
    }

    /// TARGET: pods by their names, or what stands after `KIND/`; and the kinds.
    pub(super) fn targets(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        let Some(word) = word.to_str() else { return Vec::new() };
        if let Some((kind, _)) = word.split_once('/') {
            let names = self.ask(|cluster| async move { names_of(&cluster, kind).await });
            return beginning(word, names.into_iter().map(|name| format!("{kind}/{name}")));
        }
        let pods = self.ask(|cluster| async move { names_of(&cluster, "pod").await });
        let kinds = WorkloadKind::ALL.map(WorkloadKind::short);
        let kinds = std::iter::once("pod").chain(kinds).map(|kind| format!("{kind}/"));
        beginning(word, pods.into_iter().chain(kinds))
    }

    pub(super) fn namespaces(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        let names = self.ask(|cluster| async move {
            let api: Api<Namespace> = cluster.unnamespaced();
            names(&api).await
        });
        beginning_os(word, names)
    }

    /// Of TARGET.
    pub(super) fn containers(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        let Some(target) = self.target.clone() else { return Vec::new() };
        let names = self.ask(|cluster| async move {
            let (kind, name) = target.split_once('/').unwrap_or(("pod", &target));
            containers_of(&cluster, kind, name).await
        });
        beginning_os(word, names)
    }

    pub(super) fn contexts(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        beginning_os(word, self.kubeconfig().contexts.into_iter().map(|context| context.name))
    }

    pub(super) fn clusters(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        beginning_os(word, self.kubeconfig().clusters.into_iter().map(|cluster| cluster.name))
    }

    pub(super) fn users(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        beginning_os(word, self.kubeconfig().auth_infos.into_iter().map(|user| user.name))
    }

    fn kubeconfig(&self) -> Kubeconfig {
        let named = self.connection.as_ref().and_then(|connection| connection.kubeconfig.as_deref());
        kubeconfig::merged(named).ok().flatten().unwrap_or_default()
    }

    /// What the cluster says, if it does so in time.
    fn ask<F>(&self, question: impl FnOnce(Cluster) -> F) -> Vec<String>
    where
        F: Future<Output = Option<Vec<String>>>,
    {
        let Some(connection) = &self.connection else { return Vec::new() };
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
        let asked = async {
            let cluster = Cluster::connect(connection).await.ok()?;
            question(cluster).await
        };
        let answer = crate::drive(runtime, async { tokio::time::timeout(LIMIT, asked).await });
        answer.ok().flatten().unwrap_or_default()
    }
}

/// What the flags say of the connection; without those that make no sense, `None`.
fn connection(flags: &[OsString]) -> Option<Connection> {
    let command = clap::Command::new("flags").args_override_self(true).ignore_errors(true);
    let command = TargetFlags::augment_args(ConnectionFlags::augment_args(command));
    let known = |flag: &&OsString| {
        let flag = flag.to_string_lossy();
        let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default().to_owned();
        command.get_arguments().any(|argument| argument.get_long() == Some(&name))
    };
    let words: Vec<OsString> = std::iter::once("flags".into()).chain(flags.iter().filter(known).cloned()).collect();
    let matches = command.try_get_matches_from(words).ok()?;
    let target = TargetFlags::from_arg_matches(&matches).ok()?;
    let connection = options::connection(ConnectionFlags::from_arg_matches(&matches).ok()?, target.namespace).ok()?;
    Some(Connection { may_ask: false, ..connection })
}

async fn names_of(cluster: &Cluster, kind: &str) -> Option<Vec<String>> {
    let kind = kind.to_ascii_lowercase();
    if PODS.contains(&kind.as_str()) {
        return names(&cluster.pods()).await;
    }
    match WorkloadKind::parse(&kind)? {
        WorkloadKind::Deployment => names(&cluster.api::<Deployment>()).await,
        WorkloadKind::StatefulSet => names(&cluster.api::<StatefulSet>()).await,
        WorkloadKind::DaemonSet => names(&cluster.api::<DaemonSet>()).await,
        WorkloadKind::ReplicaSet => names(&cluster.api::<ReplicaSet>()).await,
        WorkloadKind::Job => names(&cluster.api::<Job>()).await,
    }
}

async fn names<K>(api: &Api<K>) -> Option<Vec<String>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut names = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list_metadata(&page).await.ok()?;
        names.extend(list.items.iter().map(ResourceExt::name_any));
        match list.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page = ListParams::default().limit(PAGE).continue_token(&next),
            None => return Some(names),
        }
    }
}

async fn containers_of(cluster: &Cluster, kind: &str, name: &str) -> Option<Vec<String>> {
    let kind = kind.to_ascii_lowercase();
    if PODS.contains(&kind.as_str()) {
        return containers::<Pod>(cluster, name, "/spec").await;
    }
    const TEMPLATE: &str = "/spec/template/spec";
    match WorkloadKind::parse(&kind)? {
        WorkloadKind::Deployment => containers::<Deployment>(cluster, name, TEMPLATE).await,
        WorkloadKind::StatefulSet => containers::<StatefulSet>(cluster, name, TEMPLATE).await,
        WorkloadKind::DaemonSet => containers::<DaemonSet>(cluster, name, TEMPLATE).await,
        WorkloadKind::ReplicaSet => containers::<ReplicaSet>(cluster, name, TEMPLATE).await,
        WorkloadKind::Job => containers::<Job>(cluster, name, TEMPLATE).await,
    }
}

/// The names of the containers of an object's pod, which stands at `place` in it; init containers only if they stay.
async fn containers<K>(cluster: &Cluster, name: &str, place: &str) -> Option<Vec<String>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + serde::Serialize + Debug,
{
    // A name that would lead to another path is none.
    crate::target::name::check("pod", name).ok()?;
    let object = serde_json::to_value(cluster.api::<K>().get(name).await.ok()?).ok()?;
    let pod = object.pointer(place)?;
    let list = |field: &str| pod[field].as_array().cloned().unwrap_or_default();
    let stays = |container: &Value| container["restartPolicy"] == "Always";
    let sidecars = list("initContainers").into_iter().filter(stays);
    Some(
        list("containers")
            .into_iter()
            .chain(sidecars)
            .filter_map(|it| it["name"].as_str().map(str::to_owned))
            .collect(),
    )
}

fn beginning(word: &str, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let fits = |name: &String| name.starts_with(word) && is_plain(name);
    names.into_iter().filter(fits).map(CompletionCandidate::new).collect()
}

/// Whether no shell does anything with it but take it: it goes onto the user's line as it is, and who has named it is not
/// known.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@".contains(c))
}

fn beginning_os(word: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    word.to_str().map(|word| beginning(word, names)).unwrap_or_default()
}
