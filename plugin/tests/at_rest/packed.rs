//! Dumps at rest in gzip and zstd, in one piece and in many.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::dump::shop;
use super::run::{document, run, with_file};

/// In one member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

/// In pieces of 100 bytes, each packed by itself.
fn pieces(bytes: &[u8], pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    bytes.chunks(100).flat_map(pack).collect()
}

/// A member as the JVM's own `-gz` begins its dumps: with a comment for those who seek (flag FCOMMENT).
fn commented(bytes: &[u8]) -> Vec<u8> {
    let mut member = gzip(bytes);
    member[3] |= 0x10;
    let comment = b"HPROF BLOCKSIZE=1048576\0";
    [&member[..10], comment, &member[10..]].concat()
}

fn skippable() -> Vec<u8> {
    [0x184d_2a50_u32.to_le_bytes().as_slice(), &3_u32.to_le_bytes(), b"abc"].concat()
}

/// The same dump in every form, and what it is packed in.
fn forms(dump: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (first, rest) = dump.split_at(100);
    vec![
        ("gzip", gzip(dump)),
        ("gzip", pieces(dump, gzip)),
        ("gzip", [commented(first), gzip(rest)].concat()),
        ("zstd", zstd(dump)),
        ("zstd", pieces(dump, zstd)),
        ("zstd", [skippable(), zstd(first), skippable(), zstd(rest)].concat()),
    ]
}

fn without_packing(mut document: Value) -> (Value, Value) {
    let packing = document.as_object_mut().expect("an object").remove("packing").unwrap_or_default();
    (packing, document)
}

#[test]
fn raw_and_packed_dumps_give_the_same_answer_whatever_their_names_say() {
    for ids in [4, 8] {
        let dump = shop(ids);
        for command in ["verify", "inspect"] {
            let expected = document(command, "x.hprof", &dump);
            assert!(expected.get("packing").is_none());
            for (form, (packing, bytes)) in forms(&dump).into_iter().enumerate() {
                let (told, answer) = without_packing(document(command, "x.hprof", &bytes));
                assert_eq!((told, &answer), (packing.into(), &expected), "{command}, form {form}");
            }
        }
    }
}

#[test]
fn a_pipe_is_read_as_a_file_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let dump = shop(8);
    for bytes in [dump.clone(), gzip(&dump), zstd(&dump)] {
        let ran = run(directory.path(), "verify -", &bytes);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with(&format!("stdin: whole: {} bytes", dump.len())), "{}", ran.stdout);
    }
    let inspected = run(directory.path(), "inspect - -o json", &dump).json();
    // Nobody can look a second time: all is there but the threads' names.
    assert_eq!(inspected["threadCount"], 3);
    assert_eq!(inspected["stacks"][0]["threads"][0].get("name"), None);
}

#[test]
fn a_packed_dump_that_is_cut_or_changed_is_not_whole() {
    let dump = shop(8);
    for (packing, bytes) in forms(&dump) {
        for cut in [5, bytes.len() / 2, bytes.len() - 1] {
            let ran = with_file("x", &bytes[..cut], "verify x");
            assert_eq!(ran.code, Some(8), "{packing} cut at {cut}: {}", ran.stderr);
            assert!(
                ran.stderr.contains("error[JAT-015]: x is not whole\n  evidence: "),
                "{packing} cut at {cut}: {}",
                ran.stderr
            );
        }
        let garbage = with_file("x", &[bytes.as_slice(), b"garbage"].concat(), "verify x");
        assert_eq!(garbage.code, Some(8), "{packing}: {}", garbage.stderr);
        assert!(garbage.stderr.contains(&format!("the {packing} around the dump breaks")), "{}", garbage.stderr);
    }
    let mut changed = gzip(&dump);
    let check = changed.len() - 8;
    changed[check] ^= 1;
    let ran = with_file("x", &changed, "verify x");
    assert_eq!(ran.code, Some(8), "the checksum alone tells: {}", ran.stderr);
    let offset = format!("the gzip around the dump breaks after byte {} of it", dump.len());
    assert!(ran.stderr.contains(&offset), "{}", ran.stderr);
}
