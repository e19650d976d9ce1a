//! `inspectheap`: the number and size of the objects of each class.

use jattach_protocol::message::Operation;

use super::attach;

/// `inspectheap`, of live objects (which costs a full garbage collection) or of all.
pub(super) fn operation(live: bool) -> Operation {
    attach("inspectheap", Some(if live { "-live" } else { "-all" }))
}
