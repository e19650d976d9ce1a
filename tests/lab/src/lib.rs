//! A stand-in cluster: the API calls the plugin makes, over a real OCI runtime.

pub mod image;
pub mod runtime;
