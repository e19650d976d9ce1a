//! Replays what was recorded of a real Kubernetes 1.36 against the lab and compares the answers.
//!
//! `rules.rs` is the list of what may differ, each with its reason. The containers here are processes of this machine
//! (`node.rs`), so that the test needs neither root nor runc.

mod client;
mod compare;
mod fixtures;
mod node;
mod replay;
mod rules;
