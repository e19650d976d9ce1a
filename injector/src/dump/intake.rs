//! One of a dump's streams as it comes from the JVM: cut into blocks, and handed on.

use std::io::{self, ErrorKind, Read};

use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::MAX_BLOCK;
use jattach_protocol::{Code, Failure};

use super::artefact::Artefact;

/// A stream of which a part of a block is there.
pub(crate) struct Intake<'a> {
    artefact: &'a Artefact,
    stream: u32,
    redactor: Redactor,
    buffer: Vec<u8>,
    filled: usize,
    pub(crate) length: u64,
    /// How much of that was handed on.
    pub(crate) passed: u64,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(artefact: &'a Artefact, stream: u32, redactor: Redactor) -> Intake<'a> {
        Intake { artefact, stream, redactor, buffer: Vec::new(), filled: 0, length: 0, passed: 0 }
    }

    /// Reads what is there, a block at the most, and tells how much: 0 when there is nothing now, or nothing any more.
    ///
    /// # Errors
    /// Those of [`Artefact::put`].
    pub(crate) fn read(&mut self, from: &mut impl Read) -> Result<usize, Failure> {
        if self.buffer.is_empty() {
            self.buffer = self.artefact.buffer();
        }
        let count = match read(from, &mut self.buffer[self.filled..]) {
            Ok(count) => count,
            Err(error) => return Err(super::unreadable(&error)),
        };
        self.filled += count;
        self.length += count as u64;
        if self.filled == MAX_BLOCK {
            self.flush()?;
        }
        Ok(count)
    }

    /// The heap records that have ended since the last call, and where the one begins that is open.
    pub(crate) fn heap_records(&mut self) -> (Vec<(u64, u64)>, Option<u64>) {
        self.redactor.heap_records()
    }

    /// Hands on what there is of a block.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.filled == 0 {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.buffer);
        block.truncate(std::mem::take(&mut self.filled));
        // Before it lies anywhere but in this buffer.
        self.redactor.redact(&mut block).map_err(|error| not_understood(&error))?;
        self.passed = self.length;
        self.artefact.put(self.stream, block)
    }
}

/// Of a dump that is to be redacted nothing leaves the pod of which it is not certain what is data; and one that is read while
/// it is written has to be understood for the lengths that come later.
fn not_understood(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::JvmFailed, "the heap dump is not in a form that can be followed while the JVM writes it")
        .evidence(error.to_string())
        .remedy(
            "dump again; if it stays so, the JVM writes dumps in another way (JDK 8 before its updates did): update it",
        )
}

fn read(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(to) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            result => return result,
        }
    }
}
