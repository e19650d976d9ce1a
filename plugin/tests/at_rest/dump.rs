//! Makes heap dumps, record by record.

/// A type's code, as the format numbers them.
pub(crate) const OBJECT: u8 = 2;
pub(crate) const CHAR: u8 = 5;
pub(crate) const BYTE: u8 = 8;
pub(crate) const INT: u8 = 10;
pub(crate) const LONG: u8 = 11;

/// A dump under way. Names are identifiers from 1 up in the order in which they are first used.
pub(crate) struct Dump {
    bytes: Vec<u8>,
    ids: usize,
    names: Vec<Vec<u8>>,
    classes: u32,
    /// The sub-records of the open segment.
    heap: Vec<u8>,
}

/// Milliseconds since 1970 in every header: 2026-11-23T00:00:00Z.
const TIME: u64 = 1_795_392_000_000;

impl Dump {
    pub(crate) fn new(ids: u8) -> Dump {
        Dump::of_version(b"JAVA PROFILE 1.0.2", ids)
    }

    pub(crate) fn of_version(version: &[u8], ids: u8) -> Dump {
        let mut bytes = version.to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 0, ids]);
        bytes.extend_from_slice(&TIME.to_be_bytes());
        Dump { bytes, ids: ids.into(), names: Vec::new(), classes: 0, heap: Vec::new() }
    }

    fn id(&self, id: u64) -> Vec<u8> {
        id.to_be_bytes()[8 - self.ids..].to_vec()
    }

    fn record(&mut self, tag: u8, body: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&u32::try_from(body.len()).expect("tests are small").to_be_bytes());
        self.bytes.extend_from_slice(body);
    }

    /// The identifier of a name, with its UTF8 record where it is new.
    pub(crate) fn name(&mut self, name: impl AsRef<[u8]>) -> u64 {
        let name = name.as_ref();
        let known = self.names.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name.to_vec());
            let body = [self.id(self.names.len() as u64), name.to_vec()].concat();
            self.record(0x01, &body);
            self.names.len() - 1
        });
        place as u64 + 1
    }

    /// LOAD_CLASS; its serial number.
    pub(crate) fn load(&mut self, class: u64, name: impl AsRef<[u8]>) -> u32 {
        let name = self.name(name);
        self.classes += 1;
        let body = [self.classes.to_be_bytes().to_vec(), self.id(class), vec![0; 4], self.id(name)].concat();
        self.record(0x02, &body);
        self.classes
    }

    /// FRAME of a method in a class of that serial number.
    pub(crate) fn frame(&mut self, id: u64, class: u32, method: &str, source: &str, line: i32) {
        let [method, source] = [method, source].map(|name| self.name(name));
        let ids = [self.id(id), self.id(method), self.id(0), self.id(source)].concat();
        self.record(0x04, &[ids, class.to_be_bytes().to_vec(), line.to_be_bytes().to_vec()].concat());
    }

    /// TRACE of a thread.
    pub(crate) fn trace(&mut self, thread: u32, frames: &[u64]) {
        let count = u32::try_from(frames.len()).expect("tests are small");
        let mut body = [thread + 1, thread, count].map(u32::to_be_bytes).concat();
        frames.iter().for_each(|frame| body.extend(self.id(*frame)));
        self.record(0x05, &body);
    }

    /// CLASS_DUMP with the instance fields that the class declares.
    pub(crate) fn class(&mut self, class: u64, super_class: u64, fields: &[(&str, u8)]) {
        let fields: Vec<(u64, u8)> = fields.iter().map(|(name, kind)| (self.name(name), *kind)).collect();
        let mut sub = [vec![0x20], self.id(class), vec![0; 4], self.id(super_class), vec![0; 5 * self.ids]].concat();
        // The size of an instance, no constants, no static fields.
        sub.extend_from_slice(&[0; 8]);
        sub.extend_from_slice(&u16::try_from(fields.len()).expect("tests are small").to_be_bytes());
        for (name, kind) in fields {
            sub.extend(self.id(name));
            sub.push(kind);
        }
        self.heap.extend(sub);
    }

    pub(crate) fn instance(&mut self, id: u64, class: u64, values: &[u8]) {
        let length = u32::try_from(values.len()).expect("tests are small").to_be_bytes();
        let head = [vec![0x21], self.id(id), vec![0; 4], self.id(class)].concat();
        self.heap.extend([head, length.to_vec(), values.to_vec()].concat());
    }

    pub(crate) fn objects(&mut self, id: u64, class: u64, elements: &[u64]) {
        let length = u32::try_from(elements.len()).expect("tests are small").to_be_bytes();
        self.heap.extend([vec![0x22], self.id(id), vec![0; 4], length.to_vec(), self.id(class)].concat());
        for element in elements {
            self.heap.extend(self.id(*element));
        }
    }

    /// A primitive array of as many elements as these bytes are.
    pub(crate) fn values(&mut self, id: u64, kind: u8, size: usize, bytes: &[u8]) {
        let length = u32::try_from(bytes.len() / size).expect("tests are small").to_be_bytes();
        self.heap.extend([vec![0x23], self.id(id), vec![0; 4], length.to_vec(), vec![kind], bytes.to_vec()].concat());
    }

    /// ROOT_THREAD_OBJECT.
    pub(crate) fn thread(&mut self, object: u64, serial: u32) {
        let serials = [serial, serial + 1].map(u32::to_be_bytes).concat();
        self.heap.extend([vec![0x08], self.id(object), serials].concat());
    }

    /// Closes the segment, so that what comes next stands in another.
    pub(crate) fn segment(&mut self) {
        let heap = std::mem::take(&mut self.heap);
        if !heap.is_empty() {
            self.record(0x1c, &heap);
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The dump, closed.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.segment();
        self.record(0x2c, &[]);
        self.bytes
    }

    /// The dump as it is.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.segment();
        self.bytes
    }
}

pub(crate) const JAVA_OBJECT: u64 = 0x100;
pub(crate) const STRING: u64 = 0x101;
pub(crate) const THREAD: u64 = 0x102;
pub(crate) const ORDER: u64 = 0x103;
pub(crate) const OBJECTS: u64 = 0x104;
pub(crate) const WORKER: u64 = 0x105;

/// A dump with the classes that the tests know.
pub(crate) fn with_classes(ids: u8) -> Dump {
    let mut dump = Dump::new(ids);
    let names = [
        (JAVA_OBJECT, "java/lang/Object"),
        (STRING, "java/lang/String"),
        (THREAD, "java/lang/Thread"),
        (ORDER, "shop/Order"),
        (OBJECTS, "[Ljava/lang/Object;"),
        (WORKER, "shop/Worker"),
    ];
    for (class, name) in names {
        dump.load(class, name);
    }
    dump.class(JAVA_OBJECT, 0, &[]);
    dump.class(STRING, JAVA_OBJECT, &[("value", OBJECT), ("hash", INT), ("coder", BYTE)]);
    dump.class(THREAD, JAVA_OBJECT, &[("eetop", LONG), ("name", OBJECT)]);
    dump.class(ORDER, JAVA_OBJECT, &[("number", INT)]);
    dump.class(WORKER, THREAD, &[("busy", INT)]);
    dump
}

/// A small application: three orders, some arrays, three threads of which two stand in the same place.
pub(crate) fn shop(ids: u8) -> Vec<u8> {
    let mut dump = with_classes(ids);
    dump.frame(0x900, 1, "wait0", "Object.java", -3);
    dump.frame(0x901, 4, "ship", "Order.java", 42);
    dump.trace(1, &[0x900, 0x901]);
    dump.trace(2, &[0x901]);
    dump.trace(3, &[0x900, 0x901]);
    for (order, number) in [(0x200, 1_u32), (0x201, 2), (0x202, 3)] {
        dump.instance(order, ORDER, &number.to_be_bytes());
    }
    dump.objects(0x300, OBJECTS, &[0x200, 0x201, 0x202, 0]);
    dump.values(0x301, LONG, 8, &[7; 80]);
    thread(&mut dump, ids, 1, THREAD, "main");
    dump.segment();
    thread(&mut dump, ids, 2, WORKER, "worker-0");
    thread(&mut dump, ids, 3, WORKER, "worker-1");
    dump.end()
}

/// A thread with its name, and the root that leads there.
fn thread(dump: &mut Dump, ids: u8, serial: u32, class: u64, name: &str) {
    let object = 0x400 + u64::from(serial);
    string(dump, ids, object + 0x100, object + 0x200, 0);
    dump.values(object + 0x200, BYTE, 1, name.as_bytes());
    dump.thread(object, serial);
    thread_object(dump, ids, object, class, object + 0x100);
}

/// An instance of a thread's class, whose name is that String.
pub(crate) fn thread_object(dump: &mut Dump, ids: u8, object: u64, class: u64, name: u64) {
    let mut values = Vec::new();
    if class == WORKER {
        values.extend_from_slice(&[0; 4]);
    }
    values.extend_from_slice(&[0; 8]);
    values.extend_from_slice(&name.to_be_bytes()[8 - usize::from(ids)..]);
    dump.instance(object, class, &values);
}

/// An instance of String, whose bytes lie in that array.
pub(crate) fn string(dump: &mut Dump, ids: u8, object: u64, array: u64, coder: u8) {
    let mut values = array.to_be_bytes()[8 - usize::from(ids)..].to_vec();
    values.extend_from_slice(&[0, 0, 0, 0, coder]);
    dump.instance(object, STRING, &values);
}
