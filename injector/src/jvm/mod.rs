//! JVMs: recognising them, and speaking to them.

pub(crate) mod command;
mod command_line;
pub(crate) mod detect;
pub(crate) mod hotspot;
pub(crate) mod hsperf;
