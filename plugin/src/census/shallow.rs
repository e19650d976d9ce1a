//! What an object takes by itself. The dump does not say: it holds the values of fields, not where the JVM put them.
//!
//! The definition is that of hprof-slurp (and of other readers before it), so that both can be compared. It counts a JVM
//! without compressed references, which is what the dump's identifiers are: an object's header has 8 or 16 bytes by their
//! size, an array's 12 or 16; the fields of each class of the hierarchy are padded to the size of an identifier, and the
//! whole to 8 bytes. A JVM with compressed references takes less.

use jattach_protocol::hprof::IdSize;

const ALIGN: u64 = 8;

/// Bytes of an object without fields.
pub(super) fn header(ids: IdSize) -> u32 {
    match ids {
        IdSize::Four => 8,
        IdSize::Eight => 16,
    }
}

/// Bytes of an object to whose class another with `own` bytes of fields is the heir; None if no object is so large.
pub(super) fn extended(size: u32, own: u32, ids: IdSize) -> Option<u32> {
    size.checked_add(own)?.checked_next_multiple_of(if ids == IdSize::Four { 4 } else { 8 })
}

/// The whole object.
pub(super) fn aligned(size: u64) -> u64 {
    size.next_multiple_of(ALIGN)
}

/// Bytes of an array whose elements take `content`.
pub(super) fn array(content: u64, ids: IdSize) -> u64 {
    let header = match ids {
        IdSize::Four => 12,
        IdSize::Eight => 16,
    };
    (content + header).next_multiple_of(ALIGN)
}
