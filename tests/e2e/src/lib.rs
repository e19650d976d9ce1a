//! What the end-to-end tests share: a cluster, namespaces, pods, and programs that are run against them.
//!
//! Nothing here knows which cluster it is: everything goes through a kubeconfig, kubectl, and the plugin's own binary.
//! A step that the harness itself needs and that fails panics with what was run and what it said.

pub mod cluster;
pub mod documents;
pub mod dump;
pub mod errors;
pub mod faults;
pub mod hostile;
pub mod jvm;
pub mod kubeconfig;
pub mod manifest;
pub mod namespace;
pub mod proxy;
pub mod rbac;
pub mod relay;
pub mod run;

pub use cluster::{Cluster, cluster, skip};
pub use kubeconfig::Kubeconfig;
pub use namespace::{Namespace, Pod};
pub use proxy::{Fault, Proxy};
pub use relay::Relay;
pub use run::{Program, Ran, Running};
