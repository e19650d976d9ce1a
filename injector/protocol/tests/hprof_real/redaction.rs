//! Secrets that a JVM really holds are in its dump, and not in the redacted one.

use std::fs;
use std::path::Path;

use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::hprof::{IdSize, Reader};
use jattach_protocol::message::Redact;
use memchr::memmem;

use super::jvm::{self, Jvm};
use super::{plain, slurp};

/// Kinds of secrets that Secrets.java says, and from which extent on they are gone.
const KINDS: [(&str, Redact); 10] = [
    ("string", Redact::Text),
    ("wide", Redact::Text),
    ("chars", Redact::Text),
    ("bytes", Redact::Text),
    ("builder", Redact::Text),
    ("pin", Redact::Text),
    ("key", Redact::Arrays),
    ("inherited", Redact::All),
    ("own", Redact::All),
    ("static", Redact::All),
];

struct Secret {
    kind: String,
    bytes: Vec<u8>,
}

fn secrets(said: &[String]) -> Vec<Secret> {
    let parse = |line: &String| {
        let (kind, hex) = line.split_once(' ').expect("a kind and hexadecimal digits");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        Secret { kind: kind.to_owned(), bytes: (0..hex.len()).step_by(2).map(byte).collect() }
    };
    said.iter().map(parse).collect()
}

impl Secret {
    /// As it is, which for text is Latin-1, or UTF-16 in either order.
    fn is_in(&self, dump: &[u8]) -> bool {
        let wide: Vec<u8> = self.bytes.iter().flat_map(|byte| [0, *byte]).collect();
        let swapped = |bytes: &[u8]| bytes.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect::<Vec<u8>>();
        let forms = [swapped(&self.bytes), swapped(&wide), wide, self.bytes.clone()];
        forms.iter().any(|form| memmem::find(dump, form).is_some())
    }
}

/// The two streams of a dump; the second one is empty where the JVM writes only one.
struct Pair {
    main: Vec<u8>,
    part: Vec<u8>,
}

impl Pair {
    /// As they are redacted while they arrive, in portions that fit nothing.
    fn redacted(&self, what: Redact) -> Pair {
        let redact = |mut redactor: Redactor, bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for portion in bytes.chunks_mut(65_521) {
                redactor.redact(portion).expect("a JVM's own dump is redacted");
            }
            bytes
        };
        Pair {
            main: redact(Redactor::main(what), &self.main),
            part: redact(Redactor::part(what, IdSize::Eight), &self.part),
        }
    }

    fn joined(&self) -> Vec<u8> {
        let (before, end) = self.main.split_at(self.main.len() - 9);
        [before, &self.part, end].concat()
    }

    fn is_read_apart_as_the_joined_file(&self) {
        let (mut main, mut part) = (Reader::main(()), Reader::part(IdSize::Eight, ()));
        main.push(&self.main).expect("valid");
        part.push(&self.part).expect("valid");
        let joined = main.finish().expect("whole").joined(&part.finish().expect("whole"));
        let mut whole = Reader::new();
        whole.push(&self.joined()).expect("valid");
        assert_eq!(joined, whole.finish());
    }
}

/// What hprof-slurp finds: instances and bytes per class, roots, threads; in any order, because it sorts by size alone.
fn report(dump: &[u8], scratch: &Path) -> Vec<String> {
    let path = scratch.join("redacted.hprof");
    fs::write(&path, dump).expect("written");
    let mut lines: Vec<String> = slurp(&path, &["--top", "1000000"]).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn secrets_of_real_jvms_are_in_no_redacted_dump() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    for home in jvm::homes() {
        let jvm = Jvm::start(&home, "Secrets.java");
        let secrets = secrets(&jvm.said);
        let (main, part) = jvm.dump_into_fifos(scratch.path());
        assert_eq!(part.is_empty(), !jvm.writes_two_files());
        let pair = Pair { main, part };
        pair.is_read_apart_as_the_joined_file();
        let plain = pair.joined();
        let hash = secrets.iter().find(|secret| secret.kind == "hash").expect("said");
        let hash = u32::from_be_bytes(hash.bytes.as_slice().try_into().expect("4 bytes"));
        assert!(plain::hashes(&plain).contains(&hash), "{}: a String keeps its hash", home.display());
        let unredacted = report(&plain, scratch.path());
        for what in [Redact::Nothing, Redact::Text, Redact::Arrays, Redact::All] {
            println!("{} {what:?}: {} and {} bytes", home.display(), pair.main.len(), pair.part.len());
            let redacted = pair.redacted(what).joined();
            for (kind, least) in KINDS {
                let mut of_kind = secrets.iter().filter(|secret| secret.kind == kind).peekable();
                assert!(of_kind.peek().is_some(), "{kind} was not said");
                for secret in of_kind {
                    assert_eq!(secret.is_in(&redacted), (what as u8) < least as u8, "{what:?} of {kind}");
                }
            }
            if what == Redact::Nothing {
                assert!(redacted == plain);
                continue;
            }
            assert!(redacted == plain::redacted(&plain, what), "{what:?}: another byte has changed, or has not");
            assert!(plain::hashes(&redacted).iter().all(|hash| *hash == 0));
            assert_eq!(report(&redacted, scratch.path()), unredacted);
        }
    }
}
