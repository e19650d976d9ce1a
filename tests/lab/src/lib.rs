//! A stand-in cluster: the API calls the plugin makes, over a real OCI runtime.
//!
//! [`http`] takes the requests, [`api`] answers them out of [`store`], [`worker`] (the kubelet's role) watches the store
//! and drives [`runtime`] over [`image`]. What the API server checks lies in [`auth`], [`impersonation`],
//! [`rbac`] and [`pod`].
//!
//! What a real cluster has and the lab has not, because neither the plugin nor the tests ask for it:
//! - controllers: a workload's pods are made once; nothing replaces a pod, and a Job does not try again;
//! - a pod network, DNS and Services: a pod reaches itself, and the API server where its environment says;
//! - what `pod::unsupported` lists, and volumes but `emptyDir` and the projected ones: refused by name;
//! - protobuf and Tables: 415 and 406, as for a type without them. `kubectl create -f`, `apply`, `get`, `wait`, `patch`,
//!   `logs`, `exec` and `debug` speak JSON; of kubectl 1.37, `create namespace NAME` and its like do not;
//! - SPDY: exec is a WebSocket; terminals; attach and port-forward;
//! - attributes of an answer that the replay's rules name (`tests/api/rules.rs`).

pub mod api;
pub mod auth;
pub mod cluster;
pub mod exec;
pub mod http;
pub mod image;
pub mod impersonation;
pub mod kubeconfig;
pub mod lab;
pub mod meta;
pub mod patch;
pub mod pki;
pub mod pod;
pub mod proxy;
pub mod rbac;
pub mod resource;
pub mod runtime;
pub mod selector;
pub mod status;
pub mod store;
pub mod worker;
