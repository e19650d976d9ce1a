//! The lab's API, asked as a client asks it.
//!
//! [`replay`] sends what was recorded of a real Kubernetes 1.36 and compares the answers; `rules.rs` is the list of
//! what may differ, each with its reason. [`measured`] holds what was measured there without being recorded. The
//! containers are real: root and runc are needed.

mod client;
mod compare;
mod fixtures;
mod measured;
mod replay;
mod rules;
