//! The objects, their resource versions, and the changes that watches are made of.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::sync::watch;

use crate::{
    meta,
    resource::Resource,
    status::{Answer, Failure},
};

/// Where an object lies. The namespace is empty for cluster-wide objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    group: &'static str,
    plural: &'static str,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        Self { group: resource.group, plural: resource.plural, namespace: namespace.into(), name: name.into() }
    }

    fn is_of(&self, resource: &Resource, namespace: Option<&str>) -> bool {
        self.group == resource.group
            && self.plural == resource.plural
            && namespace.is_none_or(|namespace| self.namespace == namespace)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change of one object. `previous` is what stood there before.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: u64,
    pub key: Key,
    pub kind: ChangeKind,
    pub object: Arc<Value>,
    pub previous: Option<Arc<Value>>,
}

/// Changes kept for watches that start in the past; older ones are answered with 410.
const HISTORY: usize = 4096;

#[derive(Debug, Default)]
struct Inner {
    revision: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: std::collections::VecDeque<Change>,
}

#[derive(Debug)]
pub struct Store {
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
}

impl Default for Store {
    fn default() -> Self {
        Self { inner: Mutex::default(), revision: watch::Sender::new(0) }
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    fn record(&self, inner: &mut Inner, key: &Key, kind: ChangeKind, mut object: Value) -> Arc<Value> {
        inner.revision += 1;
        meta::metadata_mut(&mut object)["resourceVersion"] = inner.revision.to_string().into();
        let object = Arc::new(object);
        let previous = match kind {
            ChangeKind::Deleted => inner.objects.remove(key),
            ChangeKind::Added | ChangeKind::Modified => inner.objects.insert(key.clone(), object.clone()),
        };
        let revision = inner.revision;
        inner.history.push_back(Change { revision, key: key.clone(), kind, object: object.clone(), previous });
        if inner.history.len() > HISTORY {
            inner.history.pop_front();
        }
        self.revision.send_replace(revision);
        object
    }

    /// Adds a new object; 409 where its name is taken.
    pub fn create(&self, resource: &'static Resource, object: Value) -> Answer<Arc<Value>> {
        let key = Key::new(resource, meta::namespace(&object), meta::name(&object));
        let mut inner = self.lock();
        if inner.objects.contains_key(&key) {
            return Err(Failure::already_exists(resource, &key.name));
        }
        Ok(self.record(&mut inner, &key, ChangeKind::Added, object))
    }

    pub fn find(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.lock().objects.get(&Key::new(resource, namespace, name)).cloned()
    }

    pub fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Answer<Arc<Value>> {
        self.find(resource, namespace, name).ok_or_else(|| Failure::not_found(resource, name))
    }

    /// The objects, by namespace and name, and the revision they were read at.
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let inner = self.lock();
        let found = inner
            .objects
            .iter()
            .filter(|(key, _)| key.is_of(resource, namespace))
            .map(|(_, object)| object.clone())
            .collect();
        (found, inner.revision)
    }

    /// Changes an object under the lock: `change` must not come back to the store. Where nothing changes no revision is spent, as in the API server.
    pub fn update(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value) -> Answer<()>,
    ) -> Answer<Arc<Value>> {
        let key = Key::new(resource, namespace, name);
        let mut inner = self.lock();
        let Some(current) = inner.objects.get(&key).cloned() else {
            return Err(Failure::not_found(resource, name));
        };
        let mut changed = (*current).clone();
        change(&mut changed)?;
        if changed == *current {
            return Ok(current);
        }
        Ok(self.record(&mut inner, &key, ChangeKind::Modified, changed))
    }

    /// Takes an object away; its last state, with the revision of its end.
    pub fn remove(&self, resource: &'static Resource, namespace: &str, name: &str) -> Answer<Arc<Value>> {
        let key = Key::new(resource, namespace, name);
        let mut inner = self.lock();
        let Some(current) = inner.objects.get(&key).cloned() else {
            return Err(Failure::not_found(resource, name));
        };
        Ok(self.record(&mut inner, &key, ChangeKind::Deleted, (*current).clone()))
    }

    /// The changes after `revision`; 410 where they are no longer known.
    pub fn changes_since(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Answer<(Vec<Change>, u64)> {
        let inner = self.lock();
        let oldest = inner.history.front().map_or(inner.revision + 1, |change| change.revision);
        if revision + 1 < oldest {
            return Err(Failure::expired(revision, oldest));
        }
        let changes = inner
            .history
            .iter()
            .filter(|change| change.revision > revision && change.key.is_of(resource, namespace))
            .cloned()
            .collect();
        Ok((changes, inner.revision))
    }

    /// Wakes whenever the revision grows.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::PODS;

    fn pod(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "fx"}})
    }

    fn set_spec(pod: &mut Value, spec: Value) -> Answer<()> {
        pod["spec"] = spec;
        Ok(())
    }

    #[test]
    fn an_update_that_changes_nothing_keeps_the_resource_version() {
        let store = Store::default();
        let created = store.create(&PODS, pod("a")).unwrap();
        let same = store.update(&PODS, "fx", "a", |_| Ok(())).unwrap();
        assert_eq!(created["metadata"]["resourceVersion"], same["metadata"]["resourceVersion"]);
        let changed = store.update(&PODS, "fx", "a", |pod| set_spec(pod, json!({"x": 1}))).unwrap();
        assert_ne!(created["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
    }

    #[test]
    fn changes_are_told_in_order_and_only_those_after_the_revision_asked_for() {
        let store = Store::default();
        store.create(&PODS, pod("a")).unwrap();
        let (_, revision) = store.list(&PODS, Some("fx"));
        store.create(&PODS, pod("b")).unwrap();
        store.remove(&PODS, "fx", "a").unwrap();
        let (changes, _) = store.changes_since(&PODS, Some("fx"), revision).unwrap();
        let told: Vec<_> = changes.iter().map(|change| (change.kind, change.key.name.as_str())).collect();
        assert_eq!(told, [(ChangeKind::Added, "b"), (ChangeKind::Deleted, "a")]);
    }

    #[test]
    fn a_revision_older_than_the_history_is_answered_with_410() {
        let store = Store::default();
        store.create(&PODS, pod("a")).unwrap();
        for turn in 0..=HISTORY {
            store.update(&PODS, "fx", "a", |pod| set_spec(pod, json!(turn))).unwrap();
        }
        let gone = store.changes_since(&PODS, None, 1).unwrap_err();
        assert_eq!(gone.code(), http::StatusCode::GONE);
    }
}
