//! A stand-in cluster: the API calls the plugin makes, over a real OCI runtime.
//!
//! [`http`] takes the requests, [`api`] answers them out of [`store`], [`worker`] (the kubelet's role) watches the store
//! and drives [`runtime`] over [`image`]. What the API server checks lies in [`auth`], [`impersonation`],
//! [`rbac`] and [`pod`].

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
