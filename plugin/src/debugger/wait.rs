//! Waiting for the container to run, and no longer: the first reason that will not go away ends it.

mod verdict;

use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use kube::api::{WatchEvent, WatchParams};
use tokio::time::Instant;

use super::events;
use crate::catalogue::Id;
use crate::client::explain::{Call, CallError};
use crate::client::{Cluster, Place};
use crate::error::{Failure, Result};
use crate::kubectl;
use crate::render::Notes;
use crate::render::progress::Progress;
use crate::target::{self, Target};
use verdict::{Doubt, Verdict, judge, pull_remedy, says_no_cause};

/// How often the pod is read where it may not be watched. The only rhythm in the plugin: there is no event to wait for.
const POLL: Duration = Duration::from_millis(250);
/// A watch that shows nothing for so long is not relied upon: some proxies hold an answer back until it ends.
const QUIET: Duration = Duration::from_secs(5);
/// A start that takes longer than this is one of which a person wants to know what it waits for.
const SOON: Duration = Duration::from_secs(1);
/// A watch is asked to end after this many seconds, below the limit of any server.
const WATCH_SECONDS: u32 = 270;

/// Returns when the container runs.
///
/// # Errors
/// 5 with the reason if it cannot start or does not within `limit`; 3 if the target ends meanwhile.
pub(super) async fn until_running(
    cluster: &Cluster,
    target: &Target,
    wanted: &EphemeralContainer,
    created: Pod,
    limit: Duration,
    notes: &Notes,
) -> Result<()> {
    let mut waiting = Waiting {
        cluster,
        target,
        container: &wanted.name,
        image: wanted.image.as_deref().unwrap_or_default(),
        notes,
        progress: notes.progress(),
        said: None,
        doubt: None,
        quiet: SOON,
    };
    waiting.at(&format!("starting {}", wanted.name));
    let deadline = Instant::now() + limit;
    match tokio::time::timeout_at(deadline, waiting.run(created)).await {
        Ok(end) => end,
        Err(_) => Err(waiting.too_late(limit).await),
    }
}

struct Waiting<'a> {
    cluster: &'a Cluster,
    target: &'a Target,
    container: &'a str,
    image: &'a str,
    notes: &'a Notes,
    progress: Progress,
    /// The last reason that was shown, so that each is shown once.
    said: Option<String>,
    /// The last reason that may still go away.
    doubt: Option<Doubt>,
    /// How long a watch may show nothing.
    quiet: Duration,
}

/// What is left of a start that nobody waited for to its end.
const GOES_ON: &str = "the node goes on with it meanwhile, and what it starts serves the next command";

impl Waiting<'_> {
    async fn run(&mut self, created: Pod) -> Result<()> {
        let mut pod = created;
        loop {
            if self.look(&pod).await? {
                return Ok(());
            }
            let version = pod.metadata.resource_version.clone().unwrap_or_default();
            match self.watch(&version).await? {
                Watched::Running => return Ok(()),
                Watched::Quiet => self.tell().await,
                Watched::Ended => tokio::time::sleep(POLL).await,
            }
            pod = target::pod(self.cluster, self.target.pod_name()).await?;
        }
    }

    async fn watch(&mut self, version: &str) -> Result<Watched> {
        let name = self.target.pod_name();
        let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
        let pods = self.cluster.pods();
        let opened = self.cluster.attempt(&Call::new("watch", "pods", name), pods.watch(&params, version)).await;
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return refused(&error, name, self.cluster.place()),
        };
        self.follow(stream).await
    }

    async fn follow(&mut self, stream: impl Stream<Item = kube::Result<WatchEvent<Pod>>>) -> Result<Watched> {
        let mut stream = std::pin::pin!(stream);
        loop {
            let Ok(event) = tokio::time::timeout(self.quiet, stream.next()).await else { return Ok(Watched::Quiet) };
            let Some(event) = event else { return Ok(Watched::Ended) };
            match event {
                Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => {
                    if self.look(&pod).await? {
                        return Ok(Watched::Running);
                    }
                }
                Ok(WatchEvent::Deleted(_)) => {
                    let name = self.target.pod_name();
                    let cause = format!("pod/{name} was deleted while the injector started");
                    return Err(Failure::new(Id::PodDeleted, cause).remedy("name a pod that stays"));
                }
                Ok(WatchEvent::Bookmark(_)) => {}
                // Too old a version, or a connection that was cut: what counts is the pod as it is now.
                Ok(WatchEvent::Error(_)) | Err(_) => return Ok(Watched::Ended),
            }
        }
    }

    /// True if the container runs; an error if it never will.
    async fn look(&mut self, pod: &Pod) -> Result<bool> {
        match judge(pod, self.target, self.container, self.image) {
            Verdict::Running => Ok(true),
            Verdict::Wait => Ok(false),
            Verdict::Doubt(doubt) => {
                if self.said.as_ref() != Some(&doubt.reason) {
                    self.progress.aside(|| self.notes.say(&format!("{} (still trying)", doubt.text())));
                    self.at(&format!("starting {}, of which the node says {}", self.container, doubt.text()));
                    self.said = Some(doubt.reason.clone());
                }
                self.doubt = Some(doubt);
                Ok(false)
            }
            Verdict::Failed(failure) => Err(self.with_events(failure).await),
        }
    }

    /// Finds out what takes so long, for who waits, and for who is told that the time is over.
    async fn tell(&mut self) {
        self.quiet = QUIET;
        if self.doubt.is_none() {
            let is_pulling = events::is_pulling(self.cluster, self.target, self.container).await;
            self.at(&taking_long(self.node(), self.container, self.image, is_pulling));
        }
    }

    fn at(&self, doing: &str) {
        self.progress.phase(doing);
        self.notes.at().is(doing, GOES_ON);
    }

    fn node(&self) -> &str {
        self.target.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its node")
    }

    /// The kubelet's own words, where the status does not hold them.
    async fn with_events(&self, failure: Failure) -> Failure {
        if !says_no_cause(&failure) {
            return failure;
        }
        let events = events::warnings(self.cluster, self.target, self.container).await;
        let failure = match failure.id {
            Id::ImagePull => failure.remedy(pull_remedy(&events, self.target)),
            _ => failure,
        };
        let evidence = format!("{}\n{events}", failure.evidence);
        failure.evidence(evidence.trim())
    }

    async fn too_late(&self, limit: Duration) -> Failure {
        let name = self.target.pod_name();
        let node = self.node();
        let failure =
            Failure::new(Id::StartTimedOut, format!("the injector did not start within {} s", limit.as_secs()));
        let evidence = match &self.doubt {
            Some(doubt) => doubt.text(),
            None => events::warnings(self.cluster, self.target, self.container).await,
        };
        let of_pod = kubectl::line_in(&self.target.namespace, format_args!("describe pod {name}"));
        let remedy = format!("{of_pod}; {}", kubectl::line(format_args!("describe node {node}")));
        if evidence.is_empty() {
            return failure
                .evidence(format!("the kubelet of {node} reports nothing of container {}", self.container))
                .remedy(remedy);
        }
        failure.evidence(evidence).remedy(remedy)
    }
}

fn taking_long(node: &str, container: &str, image: &str, is_pulling: bool) -> String {
    if is_pulling {
        format!("waiting for node {node} to pull the image {image}")
    } else {
        format!("waiting for node {node} to start {container} from the image {image}")
    }
}

/// How a watch came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Watched {
    Running,
    /// It shows nothing: read the pod at once, and watch again.
    Quiet,
    /// It was cut, or may not be opened (`list` or `watch pods` is not granted): read the pod in a while.
    Ended,
}

fn refused(error: &CallError, pod: &str, place: &Place) -> Result<Watched> {
    match error.status().map(|status| status.code) {
        Some(403 | 410 | 500..=599) => Ok(Watched::Ended),
        _ => Err(error.explain(&Call::new("watch", "pods", pod), place)),
    }
}

#[cfg(test)]
#[path = "wait/follow_tests.rs"]
mod tests;
