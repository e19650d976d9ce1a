//! Keeps the beginning of what a push cut in two.

/// The longest run of bytes that is read as one: a CLASS_DUMP up to its constant pool, with identifiers of 8 bytes.
pub(super) const LONGEST: usize = 1 + 7 * 8 + 4 + 4 + 2;

#[derive(Debug)]
pub(super) struct Carry {
    bytes: [u8; LONGEST],
    held: usize,
}

impl Carry {
    pub(super) fn new() -> Self {
        Carry { bytes: [0; LONGEST], held: 0 }
    }

    /// Bytes held, not yet given out.
    pub(super) fn held(&self) -> u64 {
        self.held as u64
    }

    /// The next byte of the stream, without taking it.
    #[inline]
    pub(super) fn peek(&self, input: &[u8]) -> Option<u8> {
        if self.held > 0 { Some(self.bytes[0]) } else { input.first().copied() }
    }

    /// The next `length` bytes of the stream (at most [`LONGEST`]), or None when they are not all there: then they are
    /// held until the next push. Straight from the input wherever they lie in it whole.
    #[inline]
    pub(super) fn take<'a, 'b: 'a>(&'a mut self, length: usize, input: &mut &'b [u8]) -> Option<&'a [u8]> {
        if self.held == 0
            && let Some((head, rest)) = input.split_at_checked(length)
        {
            *input = rest;
            return Some(head);
        }
        self.join(length, input)
    }

    #[cold]
    fn join(&mut self, length: usize, input: &mut &[u8]) -> Option<&[u8]> {
        let (more, rest) = input.split_at(input.len().min(length - self.held));
        self.bytes[self.held..self.held + more.len()].copy_from_slice(more);
        self.held += more.len();
        *input = rest;
        if self.held < length {
            return None;
        }
        self.held = 0;
        Some(&self.bytes[..length])
    }
}
