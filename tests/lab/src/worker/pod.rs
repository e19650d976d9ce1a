//! One pod's life: sandbox, init containers, containers, ephemeral containers, end.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use super::{
    container::{ContainerWorker, describe},
    events::{self, About},
    projected,
    status::{self, ContainerStatus, PodFacts},
    uid,
};
use crate::{
    cluster::Cluster,
    http::server::Server,
    kubeconfig::NAME,
    meta,
    resource::PODS,
    runtime::{self, Runtime, Sandbox},
};

/// What the API server wants of a pod.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub pod: Arc<Value>,
    /// Seconds that its containers have to end, once it is to be deleted.
    pub grace: Option<u64>,
}

/// What the tasks of one pod share.
#[derive(Debug)]
pub struct PodShared {
    pub cluster: Arc<Cluster>,
    pub runtime: Runtime,
    pod: Mutex<Arc<Value>>,
    facts: Mutex<PodFacts>,
    containers: Mutex<Vec<ContainerStatus>>,
    ending: watch::Sender<bool>,
}

#[derive(Debug)]
pub struct PodWorker {
    shared: Arc<PodShared>,
    wanted: watch::Receiver<Wanted>,
}

/// What a failed sandbox waits before it is tried again.
const SANDBOX_RETRY: Duration = Duration::from_secs(2);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}

impl PodShared {
    /// The pod as it was last seen.
    pub fn pod(&self) -> Arc<Value> {
        lock(&self.pod).clone()
    }

    /// The pod for the runtime's own functions.
    pub fn typed(&self) -> runtime::Result<Pod> {
        serde_json::from_value((*self.pod()).clone())
            .map_err(|error| runtime::Error::InvalidField { field: "pod".to_owned(), value: error.to_string() })
    }

    pub fn event(&self, about: About<'_>, kind: &str, reason: &str, message: &str) {
        events::record(&self.cluster, &self.pod(), about, kind, reason, message);
    }

    /// Changes what is known of a container, and reports it.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut ContainerStatus)) {
        self.remember(name, change);
        self.publish();
    }

    /// Changes what is known of a container, to be reported with the next change.
    pub fn remember(&self, name: &str, change: impl FnOnce(&mut ContainerStatus)) {
        if let Some(status) = lock(&self.containers).iter_mut().find(|status| status.name == name) {
            change(status);
        }
    }

    /// The first container that gives an answer.
    pub fn find<T>(&self, what: impl FnMut(&ContainerStatus) -> Option<T>) -> Option<T> {
        lock(&self.containers).iter().find_map(what)
    }

    /// Resolves when the pod is to end.
    pub async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        // The sender lives as long as `self`.
        let _alive = ending.wait_for(|ending| *ending).await;
    }

    pub fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    fn set_facts(&self, change: impl FnOnce(&mut PodFacts)) {
        change(&mut lock(&self.facts));
        self.publish();
    }

    async fn create_sandbox(&self) -> runtime::Result<Sandbox> {
        let pod = self.typed()?;
        let mut spec = runtime::pod_sandbox_spec(&pod)?;
        spec.projected = projected::volumes(&self.cluster, &pod)?;
        self.runtime.create_pod(&spec).await
    }

    /// The API server where the pod's containers look for it, until the pod ends.
    async fn serve_api(self: Arc<Self>, sandbox: Sandbox) {
        let listening = sandbox.listen(runtime::API_SERVER).map_err(|error| describe(&error));
        let server = listening
            .and_then(|listener| Server::of(listener, self.cluster.clone()).map_err(|error| error.to_string()));
        match server {
            Ok(server) => server.run(self.ending.subscribe()).await,
            Err(error) => eprintln!("lab: pod {} has no API server: {error}", meta::name(&self.pod())),
        }
    }

    fn publish(&self) {
        let seen = self.pod();
        let (facts, containers) = (lock(&self.facts).clone(), lock(&self.containers).clone());
        let options = self.cluster.options;
        // Already gone from the API, it has nobody to report to.
        let _gone = self.cluster.store.update(&PODS, meta::namespace(&seen), meta::name(&seen), |pod| {
            if uid(pod) == uid(&seen) {
                pod["spec"]["nodeName"] = NAME.into();
                status::write(pod, &facts, &containers, options);
            }
            Ok(())
        });
    }

    /// Init containers come first: where a pod has any, the kubelet tells of all its containers that it initialises.
    fn add(&self, list: &'static str, container: &Value) {
        let mut containers = lock(&self.containers);
        let initialises = list == "initContainers" || containers.iter().any(|one| one.list == "initContainers");
        let reason = if initialises { "PodInitializing" } else { "ContainerCreating" };
        containers.push(ContainerStatus::new(list, container, reason));
    }

    fn knows(&self, name: &str) -> bool {
        self.find(|status| (status.name == name).then_some(())).is_some()
    }
}

impl PodWorker {
    pub fn new(cluster: Arc<Cluster>, runtime: Runtime, wanted: watch::Receiver<Wanted>) -> Self {
        let pod = wanted.borrow().pod.clone();
        let shared = PodShared {
            cluster,
            runtime,
            pod: Mutex::new(pod),
            facts: Mutex::new(PodFacts { started: meta::now(), ..PodFacts::default() }),
            containers: Mutex::default(),
            ending: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared), wanted }
    }

    pub async fn run(mut self) {
        let shared = self.shared.clone();
        events::scheduled(&shared.cluster, &shared.pod());
        for list in ["initContainers", "containers"] {
            for container in meta::items(&shared.pod()["spec"], list) {
                shared.add(list, container);
            }
        }
        shared.publish();
        if let Some(sandbox) = self.sandbox().await {
            shared.set_facts(|facts| {
                facts.sandbox_ready = true;
                facts.ip = Some(next_ip());
            });
            let mut tasks = JoinSet::new();
            tasks.spawn(shared.clone().serve_api(sandbox.clone()));
            tasks.spawn(run_containers(shared.clone(), sandbox.clone()));
            self.follow(&sandbox, &mut tasks).await;
            self.stop(&mut tasks).await;
            if let Err(error) = sandbox.remove().await {
                eprintln!("lab: pod {}: {}", meta::name(&shared.pod()), describe(&error));
            }
        }
        self.forget();
    }

    /// The sandbox, or nothing where the pod is to end before there is one.
    async fn sandbox(&mut self) -> Option<Sandbox> {
        loop {
            match self.shared.create_sandbox().await {
                Ok(sandbox) => return Some(sandbox),
                Err(error) => {
                    let message = format!("Failed to create pod sandbox: {}", describe(&error));
                    self.shared.event(About::Pod, "Warning", "FailedCreatePodSandBox", &message);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(SANDBOX_RETRY) => {}
                _ = self.wanted.wait_for(|wanted| wanted.grace.is_some()) => return None,
            }
        }
    }

    /// Starts the ephemeral containers that are added, until the pod is to end.
    async fn follow(&mut self, sandbox: &Sandbox, tasks: &mut JoinSet<()>) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            *lock(&self.shared.pod) = wanted.pod.clone();
            if wanted.grace.is_some() {
                return;
            }
            let new: Vec<Value> = meta::items(&wanted.pod["spec"], "ephemeralContainers")
                .iter()
                .filter(|container| !self.shared.knows(meta::text(container, "name")))
                .cloned()
                .collect();
            for container in &new {
                self.shared.add("ephemeralContainers", container);
            }
            if !new.is_empty() {
                self.shared.publish();
            }
            for container in new {
                let name = meta::text(&container, "name");
                let worker = ContainerWorker::new(&self.shared, sandbox, "ephemeralContainers", name);
                tasks.spawn(async move {
                    worker.run().await;
                });
            }
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Ends all containers; a grace that is shortened meanwhile counts.
    async fn stop(&mut self, tasks: &mut JoinSet<()>) {
        self.shared.ending.send_replace(true);
        let pod = self.shared.pod();
        for (list, name) in
            lock(&self.shared.containers).iter().filter(|one| one.is_running()).map(|one| (one.list, one.name.clone()))
        {
            let message = format!("Stopping container {name}");
            events::record(
                &self.shared.cluster,
                &pod,
                About::Container { list, name: &name },
                "Normal",
                "Killing",
                &message,
            );
        }
        let containers = self.shared.cluster.workers.all(uid(&pod));
        loop {
            let grace = Duration::from_secs(self.wanted.borrow_and_update().grace.unwrap_or(0));
            let stopped = future::join_all(containers.iter().map(|container| container.stop(grace)));
            tokio::select! {
                _ = stopped => break,
                // Once the pod is gone from the API nobody can shorten its grace any more.
                Ok(()) = self.wanted.changed() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    fn forget(&self) {
        let pod = self.shared.pod();
        self.shared.cluster.workers.forget(uid(&pod));
        let store = &self.shared.cluster.store;
        let (namespace, name) = (meta::namespace(&pod), meta::name(&pod));
        if store.find(&PODS, namespace, name).is_some_and(|current| uid(&current) == uid(&pod)) {
            // Somebody else may have taken it away between the two calls.
            let _gone = store.remove(&PODS, namespace, name);
        }
    }
}

/// Init containers one after the other, then all containers at once.
async fn run_containers(shared: Arc<PodShared>, sandbox: Sandbox) {
    let pod = shared.pod();
    let mut tasks = JoinSet::new();
    for container in meta::items(&pod["spec"], "initContainers") {
        let worker = ContainerWorker::new(&shared, &sandbox, "initContainers", meta::text(container, "name"));
        if container["restartPolicy"] == "Always" {
            let started = worker.started();
            tasks.spawn(async move {
                worker.run().await;
            });
            tokio::select! {
                () = started => {}
                () = shared.ended() => break,
            }
        } else if worker.run().await != Some(0) {
            break;
        }
    }
    let left = meta::items(&pod["spec"], "initContainers").iter().any(|container| !shared.is_initialized(container));
    if !left && !shared.is_ending() {
        shared.set_facts(|facts| facts.initialized = true);
        for container in meta::items(&pod["spec"], "containers") {
            let worker = ContainerWorker::new(&shared, &sandbox, "containers", meta::text(container, "name"));
            tasks.spawn(async move {
                worker.run().await;
            });
        }
    }
    while tasks.join_next().await.is_some() {}
}

impl PodShared {
    fn is_initialized(&self, container: &Value) -> bool {
        let name = meta::text(container, "name");
        let sidecar = container["restartPolicy"] == "Always";
        let done = |status: &ContainerStatus| {
            let good = if sidecar { !status.container_id.is_empty() } else { status.exit_code() == Some(0) };
            (status.name == name && good).then_some(())
        };
        self.find(done).is_some()
    }
}

/// Addresses that look like a pod network's. A pod's network has no way out, so nothing answers there.
fn next_ip() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("10.244.{}.{}", (number / 250) % 250, number % 250 + 1)
}
