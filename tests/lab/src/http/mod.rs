//! HTTP as the API speaks it: the meaning of paths and queries, the shapes of bodies, the TLS server.

pub mod body;
pub mod request;
pub mod server;
