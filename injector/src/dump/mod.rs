//! Heap dumps: where the JVM puts its bytes ([`file`]), whether there is room ([`place`]), and how they leave ([`send`]).
//!
//! A [`Source`] is all that `send` knows of where bytes come from.

pub(crate) mod file;
pub(crate) mod place;
pub(crate) mod send;

use jattach_protocol::Failure;

/// An artefact's bytes, in order.
pub(crate) trait Source {
    /// Fills `block` from the front and tells how much; less than all of it only at the end, 0 after that.
    fn fill(&mut self, block: &mut [u8]) -> Result<usize, Failure>;
}
