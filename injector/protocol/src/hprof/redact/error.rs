//! Why a dump cannot be redacted.

use crate::hprof;

/// The first thing that makes redaction uncertain. Offsets are those of [`hprof::Error`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What cannot be read cannot be redacted.
    #[error(transparent)]
    Read(#[from] hprof::Error),

    /// Nothing told which class String is.
    #[error("the object at byte {offset} comes before any class that has String's serialVersionUID")]
    NoString { offset: u64 },

    /// Nothing told where references end and values begin.
    #[error("the dump describes class {class:#x} after its instances, or not at all: one is at byte {offset}")]
    NoLayout { offset: u64, class: u64 },

    /// The fields of an instance's class do not fill it.
    #[error("the object at byte {offset} has {length} bytes of fields; expected {expected} of class {class:#x}")]
    Length { offset: u64, class: u64, length: u64, expected: u64 },

    /// Which description counts?
    #[error("the dump describes class {class:#x} twice, once more at byte {offset}, and differently")]
    Twice { offset: u64, class: u64 },

    /// No JVM has such classes.
    #[error("class {class:#x} has more than {most} super classes, or is one of its own")]
    TooDeep { class: u64, most: usize },

    /// Memory stays bounded, whatever the dump.
    #[error("the dump has more classes, or more fields in them, than are remembered: the one at byte {offset}")]
    TooMany { offset: u64 },
}
