//! `threaddump`: the stack traces of all threads.

use jattach_protocol::message::Operation;

use super::attach;

/// `threaddump`, with `-l` for the locks of java.util.concurrent.
pub(super) fn operation(locks: bool) -> Operation {
    attach("threaddump", locks.then_some("-l"))
}
