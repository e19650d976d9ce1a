//! `verify`: whole or not, and where it breaks.

use serde_json::json;

use super::dump::{Dump, shop};
use super::run::{document, run, with_file};

#[test]
fn a_whole_dump_is_said_to_be_whole_with_what_it_holds() {
    let dump = shop(8);
    let ran = with_file("x.hprof", &dump, "verify x.hprof");
    let counts = "31 records, 9 instances, 5 arrays, 5 classes, ids of 8 bytes";
    assert_eq!(ran.stdout, format!("x.hprof: whole: {} bytes, {counts}\n", dump.len()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let quiet = with_file("x.hprof", &dump, "verify -q x.hprof");
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn the_document_of_verify_has_this_shape() {
    let dump = shop(4);
    let expected = json!({
        "file": "x.hprof", "whole": true, "bytes": dump.len(), "records": 31, "instances": 9, "arrays": 5, "classes": 5,
        "idSize": 4, "ended": true,
    });
    assert_eq!(document("verify", "x.hprof", &dump), expected);
    let cut = document("verify", "x.hprof", &dump[..31]);
    let expected = json!({
        "file": "x.hprof", "whole": false,
        "problem": {"offset": 31, "message": "cut off at byte 31: HEAP_DUMP_END expected, or another record before it"},
        "bytes": 31, "records": 0, "instances": 0, "arrays": 0, "classes": 0, "idSize": 4, "ended": false,
    });
    assert_eq!(cut, expected);
}

#[test]
fn every_truncation_is_reported_where_it_is() {
    let dump = shop(8);
    let directory = tempfile::tempdir().expect("a directory");
    // Each is a run of the program; the reader itself is tried with every cut where it lives.
    for cut in (1..dump.len()).step_by(7) {
        let ran = run(directory.path(), "verify - -o json", &dump[..cut]);
        let verdict = ran.json();
        assert_eq!((ran.code, &verdict["whole"], &verdict["problem"]["offset"]), (Some(8), &json!(false), &json!(cut)));
        assert!(
            ran.stderr.starts_with("error[JAT-015]: stdin is not whole\n  evidence: cut off at byte"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn what_is_wrong_within_is_named_with_its_place_and_what_was_expected() {
    let mut dump = shop(8);
    let end = dump.len() - 9;
    dump[end] = 0x3f;
    let ran = with_file("x.hprof", &dump, "verify x.hprof");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), ""));
    let expected =
        format!("evidence: unknown tag 0x3f at byte {end}; expected a record\n    sound so far: {end} bytes, 30 ");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("remedy: copy it again, or dump again; `inspect` shows what there is"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_part_of_an_interrupted_dump_says_how_far_it_is_sound_and_how_it_goes_on() {
    let dump = shop(8);
    let ran = with_file("x.hprof.part", &dump[..500], "verify x.hprof.part");
    assert_eq!(ran.code, Some(8));
    assert!(ran.stderr.contains("sound so far: 500 bytes"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("`dumpheap` with the same FILE goes on where the injector has the rest"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_that_cannot_be_read_is_another_failure_than_one_that_is_not_whole() {
    for words in ["verify missing.hprof", "inspect missing.hprof", "verify ."] {
        let ran = with_file("x.hprof", b"", words);
        assert_eq!(ran.code, Some(1), "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains("cannot be read"), "{words}: {}", ran.stderr);
    }
    assert_eq!(with_file("x.hprof", b"", "verify").code, Some(2));
    assert_eq!(with_file("x.hprof", b"", "pod/x verify x.hprof").code, Some(2));
}

#[test]
fn what_is_no_heap_dump_is_said_to_be_none_and_not_to_be_broken() {
    let jar = [b"PK\x03\x04".as_slice(), &[0; 40]].concat();
    let gzip = super::packed::gzip(b"some log");
    let cases: [(&str, &[u8], &str, &str); 5] = [
        ("x.jar", &jar, "it begins with \"PK\\x03\\x04", "has written (.hprof"),
        (
            "x.txt",
            b"hi\n",
            "it begins with \"hi\\n\", and a heap dump with \"JAVA PROFILE 1.0.2\"",
            "has written (.hprof",
        ),
        ("x.hprof", b"JAVA PROFILE 1.0.9\0abc", "it begins with \"JAVA PROFILE 1.0.9", "has written (.hprof"),
        ("x.gz", &gzip, "unpacked by gzip it begins with \"some log\"", "has written (.hprof"),
        ("x.hprof.part.p0", &[0x1c, 0, 0, 0, 0, 0, 0, 0, 0], "it begins with", "`dumpheap` with the same FILE"),
    ];
    for (name, bytes, evidence, remedy) in cases {
        for command in ["verify", "inspect"] {
            let ran = with_file(name, bytes, &format!("{command} {name}"));
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{command} {name}: {}", ran.stderr);
            let error = format!("error[JAT-196]: {name} is no heap dump\n  evidence: {evidence}");
            assert!(ran.stderr.starts_with(&error) && ran.stderr.contains(remedy), "{}", ran.stderr);
        }
    }
    let document = document("verify", "x.txt", b"hi\n");
    assert_eq!((&document["whole"], &document["problem"]["offset"]), (&json!(false), &json!(0)));
}

#[test]
fn of_an_empty_file_it_is_said_that_the_dump_was_cut_off() {
    for (name, bytes, remedy) in [
        ("x.hprof", Vec::new(), "copy it again"),
        ("x.gz", super::packed::gzip(b""), "copy it again"),
        ("x.hprof.part", Vec::new(), "`dumpheap` with the same FILE goes on"),
    ] {
        for command in ["verify", "inspect"] {
            let ran = with_file(name, &bytes, &format!("{command} {name}"));
            assert_eq!(ran.code, Some(8), "{command} {name}: {}", ran.stderr);
            assert!(
                ran.stderr.contains("evidence: cut off at byte 0") && ran.stderr.contains(remedy),
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn a_dump_of_the_old_form_without_an_end_record_is_whole_and_says_what_cannot_be_seen() {
    let mut dump = Dump::of_version(b"JAVA PROFILE 1.0.1", 4);
    let root = [0x05, 0, 0, 0, 1];
    dump.raw(&[&[0x0c, 0, 0, 0, 0, 0, 0, 0, 5], root.as_slice()].concat());
    let ran = with_file("x.hprof", &dump.bytes(), "verify x.hprof");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("a cut between two records would not show"), "{}", ran.stdout);
}
