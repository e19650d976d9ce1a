//! JVMs: recognising them, and speaking to them.

pub(crate) mod command;
pub(crate) mod hotspot;
pub(crate) mod hsperf;
