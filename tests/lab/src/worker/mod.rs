//! The kubelet's role: it watches the pods and makes the runtime follow.

pub mod container;
pub mod events;
pub mod pod;
pub mod projected;
pub mod status;
pub mod workload;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use self::pod::{PodWorker, Wanted};
use crate::{
    cluster::Cluster,
    meta,
    resource::PODS,
    runtime::{Container, Runtime},
    store::{Change, ChangeKind},
};

type ByPod = HashMap<String, BTreeMap<String, Container>>;

/// The containers of the pods on this node, for exec and logs, by pod uid and container name.
#[derive(Debug, Default)]
pub struct Workers {
    containers: Mutex<ByPod>,
}

impl Workers {
    fn lock(&self) -> MutexGuard<'_, ByPod> {
        self.containers.lock().expect("no holder of this lock panics")
    }

    /// The newest container of that name.
    pub fn container(&self, pod_uid: &str, name: &str) -> Option<Container> {
        self.lock().get(pod_uid)?.get(name).cloned()
    }

    fn put(&self, pod_uid: &str, name: &str, container: Container) {
        self.lock().entry(pod_uid.to_owned()).or_default().insert(name.to_owned(), container);
    }

    fn all(&self, pod_uid: &str) -> Vec<Container> {
        self.lock().get(pod_uid).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    fn forget(&self, pod_uid: &str) {
        self.lock().remove(pod_uid);
    }
}

/// Runs until `stop` turns true; then every pod is ended without grace and taken away.
pub async fn run(cluster: Arc<Cluster>, runtime: Runtime, mut stop: watch::Receiver<bool>) {
    let mut wanted: HashMap<String, watch::Sender<Wanted>> = HashMap::new();
    let mut workers = JoinSet::new();
    let (mut grown, mut revision) = (cluster.store.subscribe(), 0);
    loop {
        grown.borrow_and_update();
        let changes = cluster.store.changes_since(&PODS, None, revision);
        let (changes, now) = changes.expect("less happens between two turns of this loop than the history holds");
        revision = now;
        for change in changes {
            workload::count_again(&cluster.store, &change.object);
            follow(&cluster, &runtime, change, &mut wanted, &mut workers);
        }
        tokio::select! {
            _ = grown.changed() => {}
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = workers.join_next() => {}
        }
    }
    for worker in wanted.values() {
        worker.send_modify(|wanted| wanted.grace = Some(0));
    }
    while workers.join_next().await.is_some() {}
}

fn follow(
    cluster: &Arc<Cluster>,
    runtime: &Runtime,
    change: Change,
    wanted: &mut HashMap<String, watch::Sender<Wanted>>,
    workers: &mut JoinSet<()>,
) {
    let uid = meta::text(&change.object["metadata"], "uid").to_owned();
    let grace = change.object["metadata"]["deletionGracePeriodSeconds"].as_u64();
    match change.kind {
        ChangeKind::Added => {
            let (sender, receiver) = watch::channel(Wanted { pod: change.object, grace });
            wanted.insert(uid, sender);
            workers.spawn(PodWorker::new(cluster.clone(), runtime.clone(), receiver).run());
        }
        ChangeKind::Modified => {
            if let Some(worker) = wanted.get(&uid) {
                worker.send_replace(Wanted { pod: change.object, grace });
            }
        }
        ChangeKind::Deleted => {
            if let Some(worker) = wanted.remove(&uid) {
                worker.send_replace(Wanted { pod: change.object, grace: Some(grace.unwrap_or(0)) });
            }
        }
    }
}

/// The uid of a pod.
fn uid(pod: &Value) -> &str {
    meta::text(&pod["metadata"], "uid")
}
