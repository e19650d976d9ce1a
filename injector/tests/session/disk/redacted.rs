//! Where data may be found that were to be redacted: in the dump, on the wire, in the spool.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, Read};

use jattach_protocol::Message;
use jattach_protocol::frame::Decoder;
use jattach_protocol::hprof::{Class, IdSize, Instance, Lengths, LoadClass, Reader, Type, Visitor};
use jattach_protocol::message::{Block, Codec, DumpHeap, Form, Limits, Operation, Redact, STREAMS};

use super::spools;
use crate::Hold;
use crate::client::{Client, all_is_written};
use crate::collectors::survey;
use crate::container::{Container, KEY};

/// What the fixture's text arrays hold, and its program does not: the end of the text, and its beginning again.
const TEXT: &str = "what nobody reads.\nThe first thing";

/// Blocks begin where a page does.
const PAGE: usize = 4096;

/// What begins a frame of zstd (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// A dump, and all that it was on its way.
struct Ways {
    dump: Vec<u8>,
    wire: Vec<u8>,
    spool: Vec<u8>,
}

impl Ways {
    /// Has the JVM dump, and takes nothing before it has written all of it: memory alone does not hold that.
    fn of(container: &Container, hold: &Hold, redact: Redact, limits: Limits) -> Ways {
        let mut client = Client::connect(container);
        client.wire = Some(Vec::new());
        client.request(Operation::DumpHeap(DumpHeap { live: true, redact, limits, ..DumpHeap::default() }));
        let mut spool = Vec::new();
        let mut all_is_written = all_is_written();
        let dump = client.answer_acknowledged_from(&mut |message| {
            let written = all_is_written(message);
            if written {
                spool = spools(hold.pid()).iter().flat_map(|path| fs::read(path).expect("the spool")).collect();
            }
            written
        });
        Ways { dump: dump.whole(), wire: client.wire.take().expect("it was kept"), spool }
    }

    /// In which of dump, wire and spool the text stands, in Latin-1 or in UTF-16 of either order.
    fn tell(&self, text: &str) -> [bool; 3] {
        // Without the zero at one end of it, which tells one order from the other.
        let wide: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
        let forms = [text.as_bytes(), &wide[..wide.len() - 1]];
        let tells = |bytes: &[u8]| forms.iter().any(|form| holds(bytes, form));
        let wire = tells(&self.wire) || tells(&unframed(&self.wire));
        [tells(&self.dump), wire, tells(&self.spool) || tells(&unpacked(&self.spool))]
    }
}

fn holds(mut bytes: &[u8], wanted: &[u8]) -> bool {
    let (first, rest) = wanted.split_first().expect("something is wanted");
    // The quickest way to a byte in a build that is not optimized.
    while bytes.skip_until(*first).expect("memory") > 0 {
        if bytes.starts_with(rest) {
            return true;
        }
    }
    false
}

/// What the blocks on the wire hold, one stream behind the other.
fn unframed(wire: &[u8]) -> Vec<u8> {
    let (mut decoder, mut wire) = (Decoder::new(), wire);
    let mut streams: [Vec<u8>; STREAMS] = Default::default();
    loop {
        while let Some(frame) = decoder.next().expect("a whole frame") {
            let Message::Block(Block { stream, codec, raw_length, data, .. }) =
                Message::read(&frame).expect("a message")
            else {
                continue;
            };
            match codec {
                Codec::None => streams[stream as usize].extend_from_slice(data),
                Codec::Zstd => {
                    let raw = zstd::bulk::decompress(data, raw_length as usize).expect("zstd");
                    streams[stream as usize].extend(raw);
                }
            }
        }
        match wire.read(decoder.space()).expect("memory") {
            0 => return streams.concat(),
            count => decoder.filled(count),
        }
    }
}

/// What the spool's compressed blocks hold.
fn unpacked(spool: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in (0..spool.len()).step_by(PAGE).filter(|&at| spool[at..].starts_with(&ZSTD)) {
        let frame = zstd::stream::read::Decoder::with_buffer(&spool[at..]).expect("a decoder").single_frame();
        // What was let go is a hole, also in the middle of a block.
        let _ = frame.take(64 << 20).read_to_end(&mut bytes);
    }
    bytes
}

/// How the spool may be: with room for whatever comes, or for less than is expected, so that what lies there is compressed
/// where there is time for that. As it is it fits as well.
fn spooled_as(client: &mut Client) -> Vec<Limits> {
    match survey(client).form {
        Form::File => vec![Limits::default()],
        Form::Stream | Form::Pair => vec![Limits::default(), Limits { spool: 48 << 20, ..Limits::default() }],
    }
}

#[test]
fn what_is_redacted_is_neither_in_the_dump_nor_in_the_spool_nor_on_the_wire() {
    let mut container = Container::start(30);
    let hold = Hold::start(&container);
    for limits in spooled_as(&mut Client::connect(&container)) {
        for redact in [Redact::Nothing, Redact::Text, Redact::Arrays, Redact::All] {
            let ways = Ways::of(&container, &hold, redact, limits);
            assert!(ways.dump.len() > 30 << 20);
            let plain = redact == Redact::Nothing;
            assert_eq!(ways.tell(TEXT), [plain; 3], "{redact:?}, {limits:?}");
        }
    }
    container.assert_unharmed();
}

/// What java.lang.String makes of a text of ASCII, by its documentation.
fn hash_of(text: &str) -> i32 {
    text.bytes().fold(0, |hash: i32, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
}

/// What java.util.HashMap keeps of that for a key, in every OpenJDK: its upper half is mixed into the lower one.
fn spread(hash: i32) -> i32 {
    hash ^ (hash.cast_unsigned() >> 16).cast_signed()
}

/// The int field `hash` of all instances of one class.
#[derive(Default)]
struct Hashes {
    class: &'static str,
    names: HashMap<u64, Vec<u8>>,
    /// The name whose text comes.
    named: Option<u64>,
    id: Option<u64>,
    /// The class that is described, and the bytes of its fields so far.
    described: (u64, usize),
    /// Where the field is in an instance.
    at: usize,
    is_wanted: bool,
    found: Vec<i32>,
}

impl Hashes {
    fn of(class: &'static str, dump: &[u8]) -> Vec<i32> {
        let mut reader = Reader::with(Hashes { class, ..Hashes::default() }, Lengths::Final);
        reader.push(dump).expect("a dump");
        let found = reader.into_visitor().found;
        assert!(!found.is_empty(), "no instance of {class}");
        found
    }
}

impl Visitor for Hashes {
    fn utf8(&mut self, id: u64, _: u32) {
        (self.named, self.is_wanted) = (Some(id), false);
    }

    fn load_class(&mut self, class: &LoadClass) {
        if self.names.get(&class.name).is_some_and(|name| name == self.class.as_bytes()) {
            self.id = Some(class.class);
        }
    }

    fn class(&mut self, class: &Class) {
        self.described = (class.id, 0);
    }

    fn field(&mut self, name: u64, kind: Type) {
        let (class, at) = self.described;
        if self.id == Some(class) && self.names.get(&name).is_some_and(|name| name == b"hash") {
            self.at = at;
        }
        self.described.1 += usize::try_from(kind.size(IdSize::Eight)).expect("small");
    }

    fn instance(&mut self, instance: &Instance) {
        (self.named, self.is_wanted) = (None, self.id == Some(instance.class));
    }

    fn body(&mut self, _: u64, bytes: &[u8]) {
        // A dump that is pushed at once has every body in one portion.
        if let Some(id) = self.named.take() {
            self.names.insert(id, bytes.to_vec());
        } else if std::mem::take(&mut self.is_wanted) {
            let field = bytes[self.at..self.at + 4].try_into().expect("four of them");
            self.found.push(i32::from_be_bytes(field));
        }
    }
}

#[test]
fn of_the_key_of_a_map_only_the_hash_in_the_map_stays_and_that_goes_with_all_fields() {
    let mut container = Container::start(30);
    let hold = Hold::start(&container);
    for redact in [Redact::Nothing, Redact::Text, Redact::Arrays, Redact::All] {
        let ways = Ways::of(&container, &hold, redact, Limits::default());
        let plain = redact == Redact::Nothing;
        let [dump, wire, spool] = ways.tell(KEY);
        // Of a plain dump the key may be in what memory holds, and not in the spool.
        assert_eq!([dump, wire, spool && !plain], [plain, plain, false], "{redact:?}");
        let strings = Hashes::of("java/lang/String", &ways.dump);
        assert_eq!(strings.contains(&hash_of(KEY)), plain, "{redact:?}");
        assert_eq!(strings.iter().all(|&hash| hash == 0), !plain, "{redact:?}");
        let nodes = Hashes::of("java/util/HashMap$Node", &ways.dump);
        let all = redact == Redact::All;
        assert_eq!(nodes.contains(&spread(hash_of(KEY))), !all, "{redact:?}");
        assert_eq!(nodes.iter().all(|&hash| hash == 0), all, "{redact:?}");
    }
    container.assert_unharmed();
}
