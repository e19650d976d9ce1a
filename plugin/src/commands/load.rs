//! `load`: an agent that the target can already see.

use jattach_protocol::message::Operation;

use super::attach;

/// `load` of an absolute path in the target's file system.
pub(super) fn path(path: &str, options: Option<&str>) -> Operation {
    attach("load", [path, "true"].into_iter().chain(options))
}

/// `load` of a library that the JVM finds by its name.
pub(super) fn library(name: &str, options: Option<&str>) -> Operation {
    attach("load", [name, "false"].into_iter().chain(options))
}
