//! What a visitor is told.

use jattach_protocol::hprof::{
    Class, Frame, Header, Instance, Lengths, LoadClass, ObjectArray, PrimitiveArray, Reader, Record, Root, RootKind,
    Trace, Type, Visitor,
};
use proptest::prelude::*;

use super::dump::{Dump, Record as Made, Sub, dump};

/// Everything as text; portions of one body are joined.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    body: Option<(u64, Vec<u8>)>,
}

impl Log {
    fn line(&mut self, line: String) {
        if let Some((offset, bytes)) = self.body.take() {
            self.lines.push(format!("body at {offset}: {bytes:?}"));
        }
        self.lines.push(line);
    }
}

impl Visitor for Log {
    fn header(&mut self, header: &Header) {
        self.line(format!("{header:?}"));
    }
    fn record(&mut self, record: &Record) {
        self.line(format!("{record:?}"));
    }
    fn utf8(&mut self, id: u64, length: u32) {
        self.line(format!("utf8 {id:#x} {length}"));
    }
    fn load_class(&mut self, class: &LoadClass) {
        self.line(format!("{class:?}"));
    }
    fn frame(&mut self, frame: &Frame) {
        self.line(format!("{frame:?}"));
    }
    fn trace(&mut self, trace: &Trace) {
        self.line(format!("{trace:?}"));
    }
    fn root(&mut self, root: &Root) {
        self.line(format!("{root:?}"));
    }
    fn class(&mut self, class: &Class) {
        self.line(format!("{class:?}"));
    }
    fn constant(&mut self, index: u16, kind: Type) {
        self.line(format!("constant {index} {kind:?}"));
    }
    fn static_field(&mut self, name: u64, kind: Type) {
        self.line(format!("static {name:#x} {kind:?}"));
    }
    fn field(&mut self, name: u64, kind: Type) {
        self.line(format!("field {name:#x} {kind:?}"));
    }
    fn instance(&mut self, instance: &Instance) {
        self.line(format!("{instance:?}"));
    }
    fn object_array(&mut self, array: &ObjectArray) {
        self.line(format!("{array:?}"));
    }
    fn primitive_array(&mut self, array: &PrimitiveArray) {
        self.line(format!("{array:?}"));
    }
    fn body(&mut self, offset: u64, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        let (begin, body) = self.body.get_or_insert((offset, Vec::new()));
        assert_eq!(*begin + body.len() as u64, offset, "the portions of a body follow each other");
        body.extend_from_slice(bytes);
    }
    fn heap_record_end(&mut self, offset: u64, length: u64) {
        self.line(format!("end of {offset}: {length}"));
    }
}

fn log(bytes: &[u8], portion: usize) -> Vec<String> {
    let mut reader = Reader::with(Log::default(), Lengths::Final);
    bytes.chunks(portion).for_each(|portion| reader.push(portion).expect("valid"));
    reader.into_visitor().lines
}

proptest! {
    #[test]
    fn a_visitor_is_told_the_same_wherever_the_dump_is_split(dump in dump(), portion in 1..100_usize) {
        prop_assert_eq!(log(&dump.bytes, portion), log(&dump.bytes, dump.bytes.len()));
    }
}

/// Takes every body out of a copy of the stream, portion by portion.
#[derive(Default)]
struct Bodies(Vec<(u64, Vec<u8>)>);

impl Visitor for Bodies {
    fn body(&mut self, offset: u64, bytes: &[u8]) {
        self.0.push((offset, bytes.to_vec()));
    }
}

proptest! {
    #[test]
    fn a_body_lies_in_the_portion_being_pushed(dump in dump(), portion in 1..50_usize) {
        let mut reader = Reader::with(Bodies::default(), Lengths::Final);
        let mut before = 0;
        let mut seen = 0;
        for portion in dump.bytes.chunks(portion) {
            reader.push(portion).expect("valid");
            for (offset, bytes) in &reader.visitor().0[seen..] {
                let at = usize::try_from(*offset).expect("small") - before;
                prop_assert_eq!(&portion[at..at + bytes.len()], &bytes[..]);
            }
            seen = reader.visitor().0.len();
            before += portion.len();
        }
    }
}

#[test]
fn sub_records_come_with_their_fields() {
    let subs = [Sub::Root(8), Sub::Instance(2), Sub::Values(1, 1), Sub::Class(vec![], vec![8], vec![6])];
    let dump = Dump::of(4, &[Made::Segment(subs.to_vec())]);
    let lines = log(&dump.bytes, 7);
    // The filling counts up from 1, the header's time and the record's take 8 and 4 of it.
    let root = Root { offset: 40, kind: RootKind::ThreadObject, object: 0x0d0e_0f10, thread: Some(0x1112_1314) };
    assert_eq!(lines[2], format!("{root:?}"));
    let instance = Instance { offset: 53, id: 0x191a_1b1c, trace: 0x1d1e_1f20, class: 0x2122_2324, length: 2 };
    assert_eq!(lines[3..5], [format!("{instance:?}"), "body at 70: [37, 38]".to_owned()]);
    assert!(lines[5].contains("length: 1, element: Char"), "{}", lines[5]);
    assert_eq!(lines[6], "body at 86: [47, 48]");
    assert!(lines[7].starts_with("Class { offset: 88, id: 825373492, "), "{}", lines[7]);
    assert_eq!(lines[8], "static 0x55565758 Object");
    assert_eq!(lines[9], "body at 134: [89, 90, 91, 92]");
    assert_eq!(lines[10], "field 0x5d5e5f60 Int");
    assert_eq!(lines[11], "end of 31: 105");
}
