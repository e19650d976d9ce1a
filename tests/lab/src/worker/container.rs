//! One container's life: image, creation, start, end, and again with growing delays.
//!
//! Where it differs from the kubelet: retries follow the container's own clock and not the pod's sync period, and the
//! delay of a crash loop is never reset by a long run.

use std::{error::Error as _, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    events::About,
    pod::PodShared,
    status::{self, waiting},
    uid,
};
use crate::{
    image::{self, Image},
    meta,
    pod::find_container,
    runtime::{self, Container, ContainerSpec, Error, Exit, Sandbox},
};

#[derive(Debug)]
pub struct ContainerWorker {
    pod: Arc<PodShared>,
    sandbox: Sandbox,
    list: &'static str,
    name: String,
}

/// Why a container did not come to run.
struct Obstacle {
    reason: &'static str,
    message: String,
}

/// The kubelet's back-off: 10 s, doubled each time, at most 5 minutes.
struct BackOff(Duration);

impl BackOff {
    const LONGEST: Duration = Duration::from_secs(300);

    fn new() -> Self {
        Self(Duration::from_secs(10))
    }

    fn next(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(Self::LONGEST);
        delay
    }
}

/// How long a failed pull is shown as such before the back-off is.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(1);

impl ContainerWorker {
    pub fn new(pod: &Arc<PodShared>, sandbox: &Sandbox, list: &'static str, name: &str) -> Self {
        Self { pod: pod.clone(), sandbox: sandbox.clone(), list, name: name.to_owned() }
    }

    /// Runs it as often as the restart policy says; the last exit code, or nothing where it never ran or was stopped.
    pub async fn run(&self) -> Option<i32> {
        let mut crashes = BackOff::new();
        let mut first = true;
        loop {
            let container = self.create_and_start().await?;
            if self.pod.is_ending() {
                // It came too late for the pod's own stop to find it running.
                self.stop(&container).await;
            }
            let exit = container.wait().await;
            let again = self.restarts(&exit) && !self.pod.is_ending();
            self.pod.change(&self.name, |status| {
                status.state = status::terminated(&exit, &status.container_id);
                status.final_state = !again;
            });
            if !again {
                return (!self.pod.is_ending()).then_some(exit.code);
            }
            if first {
                first = false;
            } else {
                self.wait_in_crash_loop(crashes.next()).await?;
            }
            self.pod.change(&self.name, |status| status.restarts += 1);
        }
    }

    async fn stop(&self, container: &Container) {
        if let Err(error) = container.stop(Duration::ZERO).await {
            eprintln!("lab: container {}: {}", self.name, describe(&error));
        }
    }

    /// Resolves when it runs, or has run.
    pub fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        let (pod, name) = (self.pod.clone(), self.name.clone());
        async move {
            let mut grown = pod.cluster.store.subscribe();
            loop {
                grown.borrow_and_update();
                let runs = pod.find(|status| (status.name == name && status.is_running()).then_some(()));
                if runs.is_some() || grown.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    fn restarts(&self, exit: &Exit) -> bool {
        let pod = self.pod.pod();
        let policy = meta::text(&pod["spec"], "restartPolicy");
        let sidecar = self.spec().is_some_and(|container| container["restartPolicy"] == "Always");
        match self.list {
            "ephemeralContainers" => false,
            "initContainers" => sidecar || policy != "Never" && exit.code != 0,
            _ => policy == "Always" || policy == "OnFailure" && exit.code != 0,
        }
    }

    fn spec(&self) -> Option<Value> {
        find_container(&self.pod.pod(), &self.name).map(|(_, container)| container.clone())
    }

    fn event(&self, kind: &str, reason: &str, message: &str) {
        self.pod.event(About::Container { list: self.list, name: &self.name }, kind, reason, message);
    }

    /// Sleeps, unless the pod ends.
    async fn pause(&self, delay: Duration) -> Option<()> {
        tokio::select! {
            () = tokio::time::sleep(delay) => Some(()),
            () = self.pod.ended() => None,
        }
    }

    async fn wait_in_crash_loop(&self, delay: Duration) -> Option<()> {
        let pod = self.pod.pod();
        let full = format!("{}_{}({})", meta::name(&pod), meta::namespace(&pod), uid(&pod));
        let message = format!("back-off {}s restarting failed container={} pod={full}", delay.as_secs(), self.name);
        self.pod.change(&self.name, |status| {
            status.last_state = status.state.take();
            status.state = waiting("CrashLoopBackOff", Some(&message));
        });
        let told = format!("Back-off restarting failed container {} in pod {full}", self.name);
        self.event("Warning", "BackOff", &told);
        self.pause(delay).await
    }

    /// A container that runs; nothing where the pod ends, or the container's one attempt has failed for good.
    async fn create_and_start(&self) -> Option<Container> {
        let mut back_off = BackOff::new();
        loop {
            if self.pod.is_ending() {
                return None;
            }
            let image = self.image(&mut back_off).await?;
            match self.create(&image).await {
                Ok(container) => match container.start().await {
                    Ok(()) => {
                        self.show_running(&container);
                        return Some(container);
                    }
                    Err(error) => {
                        self.show_start_error(&container, &error);
                        if self.list == "ephemeralContainers" {
                            return None;
                        }
                    }
                },
                Err(Obstacle { reason, message }) => {
                    self.pod.change(&self.name, |status| status.state = waiting(reason, Some(&message)));
                    self.event("Warning", "Failed", &format!("Error: {message}"));
                }
            }
            self.pause(back_off.next()).await?;
        }
    }

    /// The image, however often it has to be asked for.
    async fn image(&self, back_off: &mut BackOff) -> Option<Image> {
        loop {
            let spec = self.spec()?;
            let wanted = meta::text(&spec, "image").to_owned();
            let error = match self.pod.runtime.image(&wanted).await {
                Ok(image) => {
                    let told = "already present on machine and can be accessed by the pod";
                    self.event("Normal", "Pulled", &format!("Container image {wanted:?} {told}"));
                    return Some(image);
                }
                Err(error) => error,
            };
            if spec["imagePullPolicy"] == "Never" {
                let message = format!("Container image {wanted:?} is not present with pull policy of Never");
                self.show_image_failure("ErrImageNeverPull", &message);
                self.event("Warning", "ErrImageNeverPull", &message);
                self.event("Warning", "Failed", "Error: ErrImageNeverPull");
                self.pause(back_off.next()).await?;
                continue;
            }
            let message = format!("failed to pull and unpack image {wanted:?}: {}", cause_of(&error));
            self.event("Normal", "Pulling", &format!("Pulling image {wanted:?}"));
            self.show_image_failure("ErrImagePull", &message);
            self.event("Warning", "Failed", &format!("Failed to pull image {wanted:?}: {message}"));
            self.event("Warning", "Failed", "Error: ErrImagePull");
            self.pause(PULL_ERROR_SHOWN).await?;
            let backing_off = format!("Back-off pulling image {wanted:?}");
            let why = if self.pod.cluster.options.explain_back_off {
                format!(": ErrImagePull: {message}")
            } else {
                String::new()
            };
            self.show_image_failure("ImagePullBackOff", &format!("{backing_off}{why}"));
            self.event("Normal", "BackOff", &backing_off);
            self.event("Warning", "Failed", "Error: ImagePullBackOff");
            self.pause(back_off.next()).await?;
        }
    }

    fn show_image_failure(&self, reason: &str, message: &str) {
        self.pod.change(&self.name, |status| status.state = waiting(reason, Some(message)));
    }

    async fn create(&self, image: &Image) -> Result<Container, Obstacle> {
        let spec = self.container_spec()?;
        let pod = self.pod.pod();
        if let Some(before) = self.pod.cluster.workers.container(uid(&pod), &self.name) {
            before.remove().await.map_err(|error| Obstacle::of(&error))?;
        }
        let container = self.sandbox.create_container(&spec).await.map_err(|error| Obstacle::of(&error))?;
        self.pod.cluster.workers.put(uid(&pod), &self.name, container.clone());
        self.event("Normal", "Created", "Container created");
        // Told to the API only with what follows: the kubelet does not report a created container by itself.
        self.pod.remember(&self.name, |status| {
            status.image.clone_from(&image.reference);
            status.image_id.clone_from(&image.id);
            container.id().clone_into(&mut status.container_id);
            status.user = Some(container.user().clone());
            if status.state["terminated"].is_object() {
                status.last_state = status.state.clone();
            }
        });
        Ok(container)
    }

    fn container_spec(&self) -> Result<ContainerSpec, Obstacle> {
        let pod = self.pod.typed().map_err(|error| Obstacle::of(&error))?;
        let spec = pod.spec.as_ref();
        if self.list == "ephemeralContainers" {
            let all = spec.and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
            if let Some(container) = all.iter().find(|container| container.name == self.name) {
                let target = self.target(container.target_container_name.as_deref())?;
                let spec = runtime::ephemeral_container_spec(&pod, container, target);
                return spec.map_err(|error| Obstacle::of(&error));
            }
        }
        let lists = spec.map(|spec| (spec.init_containers.as_deref().unwrap_or_default(), spec.containers.as_slice()));
        let (init, regular) = lists.unwrap_or_default();
        let found = init.iter().chain(regular).find(|container| container.name == self.name);
        let gone =
            || Obstacle { reason: "CreateContainerConfigError", message: "the container is not in the pod".into() };
        runtime::container_spec(&pod, found.ok_or_else(gone)?).map_err(|error| Obstacle::of(&error))
    }

    /// The id of the container whose PID namespace an ephemeral one joins.
    fn target(&self, name: Option<&str>) -> Result<Option<String>, Obstacle> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
        let id = |status: &status::ContainerStatus| {
            (status.name == name && !status.container_id.is_empty()).then(|| status.container_id.clone())
        };
        match self.pod.find(id) {
            Some(id) => Ok(Some(id)),
            None => Err(Obstacle {
                reason: "CreateContainerConfigError",
                message: format!("unable to find target container {name}"),
            }),
        }
    }

    fn show_running(&self, container: &Container) {
        self.event("Normal", "Started", "Container started");
        self.pod.change(&self.name, |status| {
            status.state = status::running();
            container.id().clone_into(&mut status.container_id);
        });
    }

    fn show_start_error(&self, container: &Container, error: &Error) {
        let message = describe(error);
        let reason = error.reason();
        self.pod.change(&self.name, |status| {
            status.state = waiting(reason, Some(&message));
            status.last_state = status::start_error(&message, container.id());
        });
        self.event("Warning", "Failed", &format!("Error: {message}"));
    }
}

impl Obstacle {
    fn of(error: &Error) -> Self {
        Self { reason: error.reason(), message: describe(error) }
    }
}

/// What stands in place of a registry's answer.
fn cause_of(error: &Error) -> String {
    match error {
        Error::Image(image::Error::NotPresent { reference }) => out_of_reach(reference).unwrap_or_else(|| {
            "failed to resolve image: not found in the images directory, this cluster's only registry".to_owned()
        }),
        other => describe(other),
    }
}

/// containerd's words for a registry that nobody reaches: a name that is none anywhere (RFC 6761, 6.4), or an address that is
/// nobody's (RFC 5737).
fn out_of_reach(reference: &str) -> Option<String> {
    let (host, rest) = reference.split_once('/')?;
    let (repository, tag) = rest.rsplit_once(':')?;
    let why = if host.ends_with(".invalid") {
        format!("lookup {host}: no such host")
    } else if host.starts_with("192.0.2.") {
        format!("{host}:443: i/o timeout")
    } else {
        return None;
    };
    let head = format!("Head \"https://{host}/v2/{repository}/manifests/{tag}\"");
    Some(format!("failed to resolve image: failed to do request: {head}: dial tcp: {why}"))
}

/// An error with its causes.
pub fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
