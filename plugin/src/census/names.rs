//! The names that the records refer to, and what Java calls a class.

use std::cmp::Ordering;
use std::fmt;

/// Names kept at most, and bytes of them together: several times what the largest applications have. A dump that claims
/// more shows the rest by their identifiers.
const MOST: usize = 4 << 20;
const MOST_TEXT: usize = 128 << 20;
/// The longest name that a class file can hold (JVMS 4.4.7).
const LONGEST: usize = 0xffff;

/// All UTF8 records but the signatures of methods, which nobody here asks for: a third of a JVM's symbols.
#[derive(Default)]
pub(super) struct Names {
    entries: Vec<Entry>,
    text: Vec<u8>,
    /// How long the name may get that is arriving.
    room: usize,
    is_sorted: bool,
    pub(super) left_out: u64,
}

struct Entry {
    id: u64,
    begin: u32,
    length: u32,
}

impl Names {
    /// Begins a name, the text of which comes next.
    pub(super) fn begin(&mut self, id: u64, length: u32) {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST);
        if self.entries.len() >= MOST || self.text.len() + length > MOST_TEXT {
            self.left_out += 1;
            self.room = 0;
            return;
        }
        let begin = u32::try_from(self.text.len()).expect("less than MOST_TEXT");
        self.entries.push(Entry { id, begin, length: 0 });
        self.room = length;
        self.is_sorted = false;
    }

    /// The next bytes of the name.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        let Some(entry) = self.entries.last_mut().filter(|_| self.room > 0) else { return };
        if entry.length == 0 && bytes.first() == Some(&b'(') {
            self.entries.pop();
            self.room = 0;
            return;
        }
        let bytes = &bytes[..bytes.len().min(self.room)];
        self.text.extend_from_slice(bytes);
        self.room -= bytes.len();
        entry.length += u32::try_from(bytes.len()).expect("at most LONGEST");
    }

    /// Puts the names in order, so that [`get`](Names::get) finds them. Call it when all have come.
    pub(super) fn sort(&mut self) {
        // Stable: of two names for one identifier the first counts.
        self.entries.sort_by_key(|entry| entry.id);
        self.is_sorted = true;
    }

    /// The identifiers of these names, where the dump has them.
    pub(super) fn ids_of<const N: usize>(&self, names: [&[u8]; N]) -> [Option<u64>; N] {
        let mut ids = [None; N];
        for entry in &self.entries {
            if let Some(place) = names.iter().position(|name| *name == self.text_of(entry)) {
                ids[place] = Some(entry.id);
            }
        }
        ids
    }

    fn text_of(&self, entry: &Entry) -> &[u8] {
        &self.text[entry.begin as usize..][..entry.length as usize]
    }

    /// The name of this identifier.
    pub(super) fn get(&self, id: u64) -> Option<&[u8]> {
        debug_assert!(self.is_sorted || self.entries.is_empty());
        let first = self.entries.partition_point(|entry| entry.id < id);
        let entry = self.entries.get(first).filter(|entry| entry.id == id)?;
        Some(self.text_of(entry))
    }
}

/// The bytes of a name that are shown: more than compilers make of the longest, and less than would fill a memory where a name
/// stands in every frame of every thread.
const SHOWN: usize = 1 << 10;
/// The bytes of it that are compared: there may be a million classes of one name.
const COMPARED: usize = 256;
/// The dimensions that an array can have (JVMS 4.3.2).
const DIMENSIONS: usize = 255;

/// What a class is called. It is made into a text only where that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassName<'c> {
    /// A class of this internal name, or the arrays of it.
    Internal(&'c [u8], bool),
    /// The same of a class without a name, by its identifier.
    Unnamed(u64, bool),
    /// The arrays of a primitive type, or what no class is known of.
    Plain(&'static str),
}

impl ClassName<'_> {
    /// By what they are sorted: as good as what is shown, and nothing is made for it.
    fn key(&self) -> (&[u8], bool, u64) {
        match self {
            ClassName::Internal(name, is_array) => {
                let (element, dimensions) = element(&name[..name.len().min(COMPARED)]);
                (element, *is_array || dimensions > 0, 0)
            }
            ClassName::Unnamed(id, is_array) => (b"(", *is_array, *id),
            ClassName::Plain(name) => (name.as_bytes(), false, 0),
        }
    }
}

impl Ord for ClassName<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for ClassName<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ClassName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, is_array) = match *self {
            ClassName::Internal(name, is_array) => (of_class(name), is_array),
            ClassName::Unnamed(id, is_array) => (format!("(class {id:#x})"), is_array),
            ClassName::Plain(name) => return f.write_str(name),
        };
        let brackets = if is_array && !name.ends_with("[]") { "[]" } else { "" };
        write!(f, "{name}{brackets}")
    }
}

/// What Java calls the class of this internal name: `java.lang.Object[]` for `[Ljava/lang/Object;`.
pub(super) fn of_class(internal: &[u8]) -> String {
    let (element, dimensions) = element(internal);
    text(element).replace('/', ".") + &"[]".repeat(dimensions.min(DIMENSIONS))
}

/// What an array is of in the end, and in how many dimensions; of any other class 0.
fn element(internal: &[u8]) -> (&[u8], usize) {
    let dimensions = internal.iter().take_while(|byte| **byte == b'[').count();
    let element = &internal[dimensions..];
    if dimensions == 0 {
        return (element, 0);
    }
    let class = element.strip_prefix(b"L").and_then(|rest| rest.strip_suffix(b";"));
    (class.or_else(|| primitive(element)).unwrap_or(element), dimensions)
}

/// A name as it is shown: its beginning, where it is longer than anybody reads.
pub(super) fn text(name: &[u8]) -> String {
    match name.split_at_checked(SHOWN) {
        Some((beginning, [_, ..])) => String::from_utf8_lossy(beginning).into_owned() + "…",
        _ => String::from_utf8_lossy(name).into_owned(),
    }
}

/// The primitive type of this descriptor (JVMS 4.3.2).
fn primitive(descriptor: &[u8]) -> Option<&'static [u8]> {
    Some(match descriptor {
        b"Z" => b"boolean",
        b"B" => b"byte",
        b"C" => b"char",
        b"S" => b"short",
        b"I" => b"int",
        b"J" => b"long",
        b"F" => b"float",
        b"D" => b"double",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(names: &mut Names, id: u64, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        names.begin(id, u32::try_from(length).unwrap());
        parts.iter().for_each(|part| names.text(part));
    }

    #[test]
    fn a_name_is_found_however_it_was_cut() {
        let mut names = Names::default();
        name(&mut names, 9, &[b"java/lang/", b"Str", b"ing"]);
        name(&mut names, 3, &[b"x"]);
        name(&mut names, 9, &[b"the second for this identifier"]);
        name(&mut names, 5, &[]);
        names.sort();
        assert_eq!(names.get(9), Some(b"java/lang/String".as_slice()));
        assert_eq!((names.get(3), names.get(5), names.get(4)), (Some(b"x".as_slice()), Some(b"".as_slice()), None));
    }

    #[test]
    fn a_signature_is_not_kept() {
        let mut names = Names::default();
        name(&mut names, 1, &[b"(I)", b"V"]);
        name(&mut names, 2, &[b"run"]);
        names.sort();
        assert_eq!((names.get(1), names.get(2)), (None, Some(b"run".as_slice())));
        assert_eq!(names.text, b"run");
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let mut names = Names::default();
        name(&mut names, 1, &[&vec![b'x'; 1 << 20]]);
        assert_eq!(names.text.len(), LONGEST);
        for id in 0..MOST as u64 + 3 {
            names.begin(id, 0);
        }
        assert_eq!((names.entries.len(), names.left_out), (MOST, 4));
    }

    #[test]
    fn classes_are_called_as_in_java() {
        let called = |internal: &str| of_class(internal.as_bytes());
        assert_eq!(called("java/util/Map$Entry"), "java.util.Map$Entry");
        assert_eq!(called("[Ljava/lang/Object;"), "java.lang.Object[]");
        assert_eq!(called("[[I"), "int[][]");
        assert_eq!(called("[["), "[][]");
        assert_eq!(called("[LÜnï;"), "Ünï[]");
        assert_eq!(called("[Q/x"), "Q.x[]");
    }

    #[test]
    fn of_a_name_without_end_the_beginning_is_shown() {
        for internal in
            [&[b'A'; LONGEST][..], &[b'['; LONGEST], &[&b"[L"[..], &[b'A'; 2000], b";"].concat(), &[0xff; 2000]]
        {
            let name = ClassName::Internal(internal, true).to_string();
            assert!(name.len() <= 3 * SHOWN + 2 * DIMENSIONS + 5, "{} bytes", name.len());
            assert!(name.ends_with("[]"), "{name}");
        }
        assert_eq!(text(&[b'x'; SHOWN]).len(), SHOWN);
    }
}
