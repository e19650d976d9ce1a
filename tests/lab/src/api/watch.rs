//! Watches: the changes of a resource as lines of JSON, until the client leaves or the time is up.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Call, objects};
use crate::{
    cluster::Cluster,
    http::body::{self, Body},
    resource::Resource,
    selector::Selector,
    status::Answer,
    store::{Change, ChangeKind},
};

struct Watch {
    cluster: Arc<Cluster>,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    revision: u64,
    ready: VecDeque<Bytes>,
    until: Instant,
    over: bool,
}

/// The API server's own default lies between 30 and 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

pub(super) fn watch(call: &Call) -> Answer<Response<Body>> {
    let timeout = call.query.number("timeoutSeconds")?.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    let asked: u64 = call.query.number("resourceVersion")?.unwrap_or(0);
    let mut watch = Watch {
        cluster: call.cluster.clone(),
        resource: call.resource,
        namespace: call.target.namespace.clone().filter(|_| call.resource.namespaced),
        selector: objects::selector(call)?,
        revision: asked,
        ready: VecDeque::new(),
        until: Instant::now() + timeout,
        over: false,
    };
    let list = call.query.flag("sendInitialEvents");
    if asked == 0 || list {
        watch.begin_with_what_there_is();
    }
    if list {
        watch.tell_end_of_initial_events();
    }
    let lines = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|line| (line, watch)) });
    Ok(body::stream("application/json", lines))
}

impl Watch {
    /// A watch without a version first tells of everything there is.
    fn begin_with_what_there_is(&mut self) {
        let (found, revision) = self.cluster.store.list(self.resource, self.namespace.as_deref());
        self.revision = revision;
        for object in found.iter().filter(|object| self.selector.matches(object)) {
            self.ready.push_back(line("ADDED", &objects::with_kind(self.resource, object)));
        }
    }

    /// The bookmark that ends a streamed list.
    /// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
    fn tell_end_of_initial_events(&mut self) {
        let metadata = json!({
            "resourceVersion": self.revision.to_string(),
            "annotations": {"k8s.io/initial-events-end": "true"},
        });
        let bookmark = objects::with_kind(self.resource, &json!({ "metadata": metadata }));
        self.ready.push_back(line("BOOKMARK", &bookmark));
    }

    async fn next(&mut self) -> Option<Bytes> {
        let mut grown = self.cluster.store.subscribe();
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            grown.borrow_and_update();
            match self.cluster.store.changes_since(self.resource, self.namespace.as_deref(), self.revision) {
                Ok((changes, revision)) => {
                    self.revision = self.revision.max(revision);
                    self.ready = changes.iter().filter_map(|change| self.line_of(change)).collect();
                }
                Err(failure) => {
                    self.over = true;
                    self.ready.push_back(line("ERROR", &failure.body().unwrap_or_default()));
                }
            }
            if self.ready.is_empty() && tokio::time::timeout_at(self.until, grown.changed()).await.is_err() {
                return None;
            }
        }
    }

    /// A change as this watch's selector sees it: what begins to match is new, what ceases to is gone.
    fn line_of(&self, change: &Change) -> Option<Bytes> {
        let matches = self.selector.matches(&change.object);
        let matched = change.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        let kind = match (change.kind, matched, matches) {
            (ChangeKind::Deleted, true, _) | (ChangeKind::Modified, true, false) => "DELETED",
            (ChangeKind::Added, _, true) | (ChangeKind::Modified, false, true) => "ADDED",
            (ChangeKind::Modified, true, true) => "MODIFIED",
            _ => return None,
        };
        Some(line(kind, &objects::with_kind(self.resource, &change.object)))
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}
