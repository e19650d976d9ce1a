//! What the plugin and the injector say to each other: failures, messages, frames, and the HPROF reader.
//!
//! No unsafe, no system calls: everything here works over any byte stream, and trusts none.

pub mod failure;
pub mod frame;
pub mod hprof;
pub mod label;
pub mod message;
pub mod wire;

pub use failure::{Code, Failure, Identity};
pub use message::Message;
