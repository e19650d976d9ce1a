//! `setflag` and `printflag`: the JVM's own flags.

use jattach_protocol::message::Operation;

use super::attach;

/// `setflag NAME VALUE`.
pub(super) fn set(name: &str, value: &str) -> Operation {
    attach("setflag", [name, value])
}

/// `printflag NAME`.
pub(super) fn print(name: &str) -> Operation {
    attach("printflag", Some(name))
}
