//! Whether a dump has been redacted: then every array of text in it holds nothing but zeros, which no JVM has of its own accord.

use jattach_protocol::hprof::{Instance, ObjectArray, PrimitiveArray, Record, Type, Visitor};

/// What all arrays of a kind hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    /// There is none that has elements.
    #[default]
    Nothing,
    Zeros,
    Data,
}

/// The kinds that are told apart: byte\[\] and char\[\] hold text, the others numbers.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Numbers,
}

/// The visitor that looks at the elements of primitive arrays.
#[derive(Debug, Default)]
pub(crate) struct Zeroed {
    text: Held,
    numbers: Held,
    /// Whose elements come next, if they are looked at.
    arriving: Option<Kind>,
}

impl Zeroed {
    /// What was redacted at least, in the words of `--redact`; `None` where nothing shows that anything was.
    pub(crate) fn what(&self) -> Option<&'static str> {
        match (self.text, self.numbers) {
            (Held::Zeros, Held::Zeros) => Some("arrays"),
            (Held::Zeros, _) => Some("text"),
            _ => None,
        }
    }

    fn held(&mut self, kind: Kind) -> &mut Held {
        match kind {
            Kind::Text => &mut self.text,
            Kind::Numbers => &mut self.numbers,
        }
    }
}

impl Visitor for Zeroed {
    fn record(&mut self, _record: &Record) {
        self.arriving = None;
    }

    fn constant(&mut self, _index: u16, _kind: Type) {
        self.arriving = None;
    }

    fn static_field(&mut self, _name: u64, _kind: Type) {
        self.arriving = None;
    }

    #[inline]
    fn instance(&mut self, _instance: &Instance) {
        self.arriving = None;
    }

    fn object_array(&mut self, _array: &ObjectArray) {
        self.arriving = None;
    }

    fn primitive_array(&mut self, array: &PrimitiveArray) {
        let kind = if matches!(array.element, Type::Byte | Type::Char) { Kind::Text } else { Kind::Numbers };
        // Of most dumps the first array says all.
        self.arriving = (*self.held(kind) != Held::Data).then_some(kind);
    }

    #[inline]
    fn body(&mut self, _offset: u64, bytes: &[u8]) {
        if let Some(kind) = self.arriving {
            *self.held(kind) = if are_zero(bytes) { Held::Zeros } else { Held::Data };
            if *self.held(kind) == Held::Data {
                self.arriving = None;
            }
        }
    }
}

/// A word of a cache line at a time, so that the compiler looks at many bytes at once.
fn are_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|line| line.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(arrays: &[(Type, &[u8])]) -> Option<&'static str> {
        let mut zeroed = Zeroed::default();
        for (element, bytes) in arrays {
            let array = PrimitiveArray { offset: 0, id: 1, trace: 0, length: 1, element: *element };
            zeroed.primitive_array(&array);
            if !bytes.is_empty() {
                zeroed.body(0, bytes);
            }
            // Whatever else has a body is none of an array.
            zeroed.instance(&Instance { offset: 0, id: 1, trace: 0, class: 1, length: 1 });
            zeroed.body(0, b"x");
        }
        zeroed.what()
    }

    #[test]
    fn a_dump_is_redacted_where_there_is_text_and_all_of_it_is_zero() {
        let (zeros, text) = ([0; 200].as_slice(), [&[0; 199], b"x".as_slice()].concat());
        assert_eq!(what(&[]), None);
        assert_eq!(what(&[(Type::Byte, b"")]), None, "nothing shows");
        assert_eq!(what(&[(Type::Int, zeros)]), None, "numbers may be zero");
        assert_eq!(what(&[(Type::Byte, zeros), (Type::Long, b"1")]), Some("text"));
        assert_eq!(what(&[(Type::Char, zeros), (Type::Long, zeros)]), Some("arrays"));
        for arrays in [[(Type::Byte, zeros), (Type::Byte, &text)], [(Type::Char, &text), (Type::Byte, zeros)]] {
            assert_eq!(what(&arrays), None);
        }
    }
}
