//! What the end-to-end tests share: a cluster, namespaces, pods.
