//! Where and why a stream is no whole heap dump.

/// The first thing that is wrong with a dump. Offsets count bytes from the start of the stream: the file, or one of its two
/// streams where they are read apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are another format's.
    #[error(
        "not a heap dump: it begins with \"{}\" where \"JAVA PROFILE 1.0.1\" or \"1.0.2\" was expected",
        found.escape_ascii()
    )]
    NotHprof { found: [u8; 19] },

    /// The header's identifier size is neither 4 nor 8.
    #[error("the header gives identifiers of {found} bytes at byte {offset}; expected 4 or 8")]
    IdSize { offset: u64, found: u32 },

    /// No record has this tag.
    #[error("unknown tag {code:#04x} at byte {offset}; expected a record")]
    UnknownTag { offset: u64, code: u8 },

    /// No sub-record has this tag.
    #[error("unknown tag {code:#04x} at byte {offset}; expected a sub-record of the heap record at byte {record}")]
    UnknownSubRecord { offset: u64, code: u8, record: u64 },

    /// No field has this type; in an array's elements an object is wrong, too.
    #[error("unknown type {code:#04x} in the {name} at byte {offset}; expected 4 to 11, or 2 for a field")]
    UnknownType { offset: u64, code: u8, name: &'static str },

    /// A record whose length follows from its tag or its own count has another.
    #[error("the {name} at byte {offset} gives its length as {length}; expected {expected}")]
    Length { offset: u64, name: &'static str, length: u64, expected: u64 },

    /// A record too short for the fields that it always has.
    #[error("the {name} at byte {offset} gives its length as {length}; expected {least} or more")]
    TooShort { offset: u64, name: &'static str, length: u64, least: u64 },

    /// A sub-record does not end where its heap record does.
    #[error(
        "the {name} at byte {offset} runs over the end of its heap record, which begins at byte {record} and gives its \
         length as {length}"
    )]
    Overrun { offset: u64, name: &'static str, record: u64, length: u64 },

    /// The writer never came back to put in the length.
    #[error("the length of the heap record at byte {offset} is 0: the JVM that wrote it did not finish it")]
    NoLength { offset: u64 },

    /// HEAP_DUMP_END with nothing to end.
    #[error("HEAP_DUMP_END at byte {offset} with no heap record before it")]
    NoHeap { offset: u64 },

    /// HEAP_DUMP_END where the main stream alone has one.
    #[error("HEAP_DUMP_END at byte {offset} of the dump's second stream; expected in the first one only")]
    EndInPart { offset: u64 },

    /// The second stream was read before the header was there, with an identifier size that the header does not give.
    #[error("the header gives identifiers of {header} bytes; the dump's second stream was read with {assumed}")]
    IdSizes { header: u8, assumed: u8 },

    /// Bytes after HEAP_DUMP_END.
    #[error("the dump goes on at byte {offset}, after its HEAP_DUMP_END")]
    AfterEnd { offset: u64 },

    /// The stream ended within something.
    #[error(
        "cut off at byte {offset}: at least {missing} more bytes expected for the {name} that begins at byte {begin}"
    )]
    Truncated { offset: u64, name: &'static str, begin: u64, missing: u64 },

    /// The stream ended between two records, too early.
    #[error("cut off at byte {offset}: HEAP_DUMP_END expected, or another record before it")]
    NotEnded { offset: u64 },
}

impl Error {
    /// The byte up to which the stream is as it should be: where it was cut off, or where what is wrong with it begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match *self {
            Error::NotHprof { .. } | Error::IdSizes { .. } => 0,
            Error::IdSize { offset, .. }
            | Error::UnknownTag { offset, .. }
            | Error::UnknownSubRecord { offset, .. }
            | Error::UnknownType { offset, .. }
            | Error::Length { offset, .. }
            | Error::TooShort { offset, .. }
            | Error::Overrun { offset, .. }
            | Error::NoLength { offset }
            | Error::NoHeap { offset }
            | Error::EndInPart { offset }
            | Error::AfterEnd { offset }
            | Error::Truncated { offset, .. }
            | Error::NotEnded { offset } => offset,
        }
    }
}
