//! Redacts a whole dump in memory as plainly as can be: classes by their names, with no regard to speed, order or size.

use std::collections::HashMap;

use jattach_protocol::message::Redact;

const ID: usize = 8;
const OBJECT: u8 = 2;

/// A class as its CLASS_DUMP describes it.
struct Class {
    super_class: u64,
    /// Name and type.
    fields: Vec<(u64, u8)>,
}

#[derive(Default)]
struct Dump {
    names: HashMap<u64, Vec<u8>>,
    /// Names of classes.
    loaded: HashMap<u64, u64>,
    classes: HashMap<u64, Class>,
    /// Where the values of static fields and constants are, and of which type.
    values: Vec<(usize, u8)>,
    /// Class, where the fields begin, and how many bytes they have.
    instances: Vec<(u64, usize, usize)>,
    /// Type, where the elements begin, and how many bytes they have.
    arrays: Vec<(u8, usize, usize)>,
}

fn size(kind: u8) -> usize {
    match kind {
        4 | 8 => 1,
        5 | 9 => 2,
        6 | 10 => 4,
        _ => 8,
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn id(bytes: &[u8], at: usize) -> u64 {
    number(&bytes[at..at + ID]) as u64
}

impl Dump {
    fn read(bytes: &[u8]) -> Dump {
        let mut dump = Dump::default();
        let mut at = 31;
        while at < bytes.len() {
            let length = number(&bytes[at + 5..at + 9]);
            let content = at + 9;
            at = content + length;
            match bytes[content - 9] {
                0x01 => drop(dump.names.insert(id(bytes, content), bytes[content + ID..at].to_vec())),
                0x02 => drop(dump.loaded.insert(id(bytes, content + 4), id(bytes, content + 16))),
                0x1c => dump.heap(bytes, content, at),
                _ => {}
            }
        }
        dump
    }

    fn heap(&mut self, bytes: &[u8], mut at: usize, end: usize) {
        while at < end {
            let count = || number(&bytes[at + 13..at + 17]);
            at = match bytes[at] {
                0x20 => self.class(bytes, at),
                0x21 => {
                    let length = number(&bytes[at + 21..at + 25]);
                    self.instances.push((id(bytes, at + 13), at + 25, length));
                    at + 25 + length
                }
                0x22 => at + 25 + count() * ID,
                0x23 => {
                    let kind = bytes[at + 17];
                    self.arrays.push((kind, at + 18, count() * size(kind)));
                    at + 18 + count() * size(kind)
                }
                0x05 | 0x07 | 0xff => at + 1 + ID,
                0x04 | 0x06 => at + 1 + ID + 4,
                0x01..=0x03 | 0x08 => at + 1 + ID + 8,
                tag => panic!("sub-record {tag:#x} at {at}"),
            };
        }
    }

    fn class(&mut self, bytes: &[u8], begin: usize) -> usize {
        let mut at = begin + 1 + ID + 4 + 6 * ID + 4;
        for name in [2, ID] {
            let count = number(&bytes[at..at + 2]);
            at += 2;
            for _ in 0..count {
                let kind = bytes[at + name];
                self.values.push((at + name + 1, kind));
                at += name + 1 + size(kind);
            }
        }
        let fields: Vec<(u64, u8)> = bytes[at + 2..]
            .chunks(ID + 1)
            .take(number(&bytes[at..at + 2]))
            .map(|field| (id(field, 0), field[ID]))
            .collect();
        at += 2 + fields.len() * (ID + 1);
        self.classes.insert(id(bytes, begin + 1), Class { super_class: id(bytes, begin + 1 + ID + 4), fields });
        at
    }

    /// Where the fields of an instance are: the name of its class's, their type, and where their value begins.
    fn fields(&self, class: u64, mut at: usize) -> Vec<(&[u8], u8, usize)> {
        let mut fields = Vec::new();
        let mut next = class;
        while next != 0 {
            let class = &self.classes[&next];
            for (name, kind) in &class.fields {
                fields.push((self.names[name].as_slice(), *kind, at));
                at += size(*kind);
            }
            next = class.super_class;
        }
        fields
    }

    fn is_string(&self, class: u64) -> bool {
        self.names[&self.loaded[&class]] == b"java/lang/String"
    }
}

/// The dump as it has to be after redaction.
pub(crate) fn redacted(plain: &[u8], what: Redact) -> Vec<u8> {
    let dump = Dump::read(plain);
    let mut bytes = plain.to_vec();
    for (kind, at, length) in &dump.arrays {
        if matches!(kind, 5 | 8) || what != Redact::Text {
            bytes[*at..at + length].fill(0);
        }
    }
    for (class, at, length) in &dump.instances {
        let fields = dump.fields(*class, *at);
        assert_eq!(fields.last().map_or(*at, |(_, kind, at)| at + size(*kind)), at + length);
        let is_string = dump.is_string(*class);
        for (name, kind, at) in fields {
            let hash = is_string && (name == b"hash" || name == b"hashIsZero");
            if kind != OBJECT && (what == Redact::All || hash) {
                bytes[at..at + size(kind)].fill(0);
            }
        }
    }
    for (at, kind) in &dump.values {
        if *kind != OBJECT && what == Redact::All {
            bytes[*at..at + size(*kind)].fill(0);
        }
    }
    bytes
}

/// The values of String.hash.
pub(crate) fn hashes(bytes: &[u8]) -> Vec<u32> {
    let dump = Dump::read(bytes);
    let strings = dump.instances.iter().filter(|(class, ..)| dump.is_string(*class));
    let fields = strings.flat_map(|(class, at, _)| dump.fields(*class, *at));
    let hashes = fields.filter(|(name, ..)| *name == b"hash");
    hashes.map(|(_, _, at)| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))).collect()
}
