//! `inspect`: what a dump holds.

use serde_json::json;

use super::dump::{BYTE, CHAR, Dump, LONG, THREAD, WORKER, shop, string, thread_object, with_classes};
use super::run::{document, with_file};

#[test]
fn the_document_of_inspect_has_this_shape() {
    let dump = shop(8);
    let expected = json!({
        "file": "x.hprof", "whole": true, "bytes": dump.len(), "records": 31, "instances": 9, "arrays": 5, "classes": 5,
        "idSize": 8, "ended": true,
        "format": "JAVA PROFILE 1.0.2", "time": "2026-11-23T00:00:00Z",
        "shallowBytes": 496, "classCount": 7,
        "classesByBytes": [
            {"class": "java.lang.String", "count": 3, "bytes": 96},
            {"class": "long[]", "count": 1, "bytes": 96},
        ],
        "classesByCount": [
            {"class": "java.lang.String", "count": 3, "bytes": 96},
            {"class": "byte[]", "count": 3, "bytes": 72},
        ],
        "largestArrays": [
            {"class": "long[]", "id": "0x301", "length": 10, "bytes": 96},
            {"class": "java.lang.Object[]", "id": "0x300", "length": 4, "bytes": 48},
        ],
        "threadCount": 3, "stackCount": 2,
        "stacks": [
            {
                "threads": [
                    {"serial": 1, "id": "0x401", "name": "main"},
                    {"serial": 3, "id": "0x403", "name": "worker-1"},
                ],
                "depth": 2,
                "frames": ["java.lang.Object.wait0(Native Method)", "shop.Order.ship(Order.java:42)"],
            },
            {
                "threads": [{"serial": 2, "id": "0x402", "name": "worker-0"}],
                "depth": 1,
                "frames": ["shop.Order.ship(Order.java:42)"],
            },
        ],
    });
    let ran = with_file("x.hprof", &dump, "inspect x.hprof --top 2 -o json");
    assert_eq!(ran.json(), expected);
    let yaml = with_file("x.hprof", &dump, "inspect x.hprof --top 2 -o yaml");
    assert!(yaml.stdout.contains("largestArrays:\n- class: long[]\n  id: '0x301'\n"), "{}", yaml.stdout);
}

#[test]
fn a_person_reads_aligned_tables_and_stacks() {
    let dump = shop(8);
    let ran = with_file("x.hprof", &dump, "inspect --top 2 x.hprof");
    let expected = format!(
        "x.hprof: whole\n\
         JAVA PROFILE 1.0.2, ids of 8 bytes, of 2026-11-23 00:00:00 UTC\n\
         {} bytes: 9 instances, 5 arrays, 5 classes\n\
         496 shallow bytes (496 B)\n\
         \n\
         Classes by size, the first 2 of 7:\n\
         BYTES   SIZE   COUNT   CLASS\n   \
            96   96 B       3   java.lang.String\n   \
            96   96 B       1   long[]\n\
         \n\
         Classes by number, the first 2 of 7:\n\
         BYTES   SIZE   COUNT   CLASS\n   \
            96   96 B       3   java.lang.String\n   \
            72   72 B       3   byte[]\n\
         \n\
         Largest arrays:\n\
         BYTES   SIZE   LENGTH      ID   CLASS\n   \
            96   96 B       10   0x301   long[]\n   \
            48   48 B        4   0x300   java.lang.Object[]\n\
         \n\
         Stacks, all 2, of 3 threads:\n\
         2 threads: \"main\", \"worker-1\"\n    \
             at java.lang.Object.wait0(Native Method)\n    \
             at shop.Order.ship(Order.java:42)\n\
         \"worker-0\"\n    \
             at shop.Order.ship(Order.java:42)\n",
        dump.len()
    );
    assert_eq!(ran.stdout, expected);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_dump_that_is_not_whole_shows_what_there_is_and_fails() {
    let dump = shop(8);
    let mut bytes = with_classes(8);
    bytes.values(0x301, BYTE, 1, b"0123456789");
    bytes.segment();
    let mut bytes = bytes.bytes();
    let sound = bytes.len();
    bytes.extend_from_slice(&[0x1c, 0, 0, 0, 0, 0, 0, 1, 0, 0x3f]);
    let ran = with_file("x.hprof", &bytes, "inspect x.hprof");
    assert_eq!(ran.code, Some(8));
    assert!(ran.stdout.starts_with("x.hprof: NOT WHOLE: what follows is what there is\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("  32 B       1   byte[]\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains(&format!("unknown tag 0x3f at byte {}", sound + 9)), "{}", ran.stderr);
    for cut in (1..dump.len()).step_by(13) {
        let ran = with_file("x.hprof", &dump[..cut], "inspect x.hprof -o json");
        let report = ran.json();
        assert_eq!((ran.code, &report["whole"], &report["problem"]["offset"]), (Some(8), &json!(false), &json!(cut)));
        assert!(report["shallowBytes"].as_u64().is_some_and(|bytes| bytes <= 496), "cut at {cut}");
    }
}

#[test]
fn a_thread_has_its_name_in_whatever_order_the_dump_holds_what_leads_there() {
    let pieces: [fn(&mut Dump); 4] = [
        |dump| dump.thread(0x400, 7),
        |dump| thread_object(dump, 8, 0x400, WORKER, 0x500),
        |dump| string(dump, 8, 0x500, 0x600, 0),
        |dump| dump.values(0x600, BYTE, 1, b"pool-1"),
    ];
    for order in orders() {
        let mut dump = with_classes(8);
        for piece in order {
            pieces[piece](&mut dump);
            dump.segment();
        }
        let report = document("inspect", "x.hprof", &dump.end());
        assert_eq!(report["stacks"][0]["threads"][0]["name"], "pool-1", "{order:?}");
    }
}

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6]);
    all.filter(|order| (0..4).all(|piece| order.contains(&piece))).collect()
}

#[test]
fn names_of_threads_are_read_in_every_form_that_a_jvm_had() {
    let name = |fill: fn(&mut Dump)| {
        let mut dump = with_classes(4);
        dump.thread(0x400, 1);
        thread_object(&mut dump, 4, 0x400, THREAD, 0x500);
        fill(&mut dump);
        document("inspect", "x.hprof", &dump.end())["stacks"][0]["threads"][0]["name"].clone()
    };
    let latin = |dump: &mut Dump| {
        string(dump, 4, 0x500, 0x600, 0);
        dump.values(0x600, BYTE, 1, b"gr\xfcn");
    };
    let utf16 = |dump: &mut Dump| {
        string(dump, 4, 0x500, 0x600, 1);
        dump.values(0x600, BYTE, 1, &[0xe5, 0x65, 0x2c, 0x67]);
    };
    let chars = |dump: &mut Dump| {
        string(dump, 4, 0x500, 0x600, 0);
        dump.values(0x600, CHAR, 2, &[0x65, 0xe5, 0x67, 0x2c]);
    };
    let no_string = |dump: &mut Dump| dump.values(0x500, CHAR, 2, &[0, b'o', 0, b'k']);
    let redacted = |dump: &mut Dump| {
        string(dump, 4, 0x500, 0x600, 0);
        dump.values(0x600, BYTE, 1, &[0; 5]);
    };
    assert_eq!([name(latin), name(utf16), name(chars), name(no_string)], ["grün", "日本", "日本", "ok"]);
    assert_eq!(name(redacted), json!(null));
}

#[test]
fn objects_of_a_class_that_the_dump_does_not_describe_are_counted_by_what_they_hold() {
    let mut dump = Dump::new(8);
    dump.instance(0x200, 0x777, &[0; 13]);
    dump.objects(0x300, 0x778, &[]);
    let report = document("inspect", "x.hprof", &dump.end());
    let expected = json!([
        {"class": "(class 0x777)", "count": 1, "bytes": 32},
        {"class": "(class 0x778)[]", "count": 1, "bytes": 16},
    ]);
    assert_eq!(report["classesByBytes"], expected);
}

#[test]
fn a_redacted_dump_is_told_from_one_that_was_not() {
    let dumped = |text: &[u8], numbers: &[u8]| {
        let mut dump = with_classes(8);
        dump.values(0x300, BYTE, 1, &[]);
        dump.values(0x301, BYTE, 1, text);
        dump.values(0x302, CHAR, 2, &[0; 4]);
        dump.values(0x303, LONG, 8, numbers);
        // What else has a body is no array's.
        string(&mut dump, 8, 0x500, 0x301, 1);
        dump.end()
    };
    let long = [0; 300_000];
    let cases = [
        (dumped(b"x", &[0; 8]), json!(null), ""),
        (dumped(&[&long[..], b"x"].concat(), &[1; 8]), json!(null), ""),
        (dumped(&long, &[1; 8]), json!("text"), "redacted: every byte[] and char[] is zero\n"),
        (dumped(&[0], &[0; 8]), json!("arrays"), "redacted: every array of bytes, characters or numbers is zero\n"),
    ];
    for (dump, expected, line) in cases {
        for command in ["verify", "inspect"] {
            let document = document(command, "x.hprof", &dump);
            assert_eq!(document.get("redacted").cloned().unwrap_or_default(), expected, "{command}");
            let text = with_file("x.hprof", &dump, &format!("{command} x.hprof")).stdout;
            assert!(text.contains(line) && text.contains("redacted") != line.is_empty(), "{text}");
        }
        let cut = with_file("x.hprof", &dump[..dump.len() - 1], "verify x.hprof -o json");
        assert_eq!(cut.json().get("redacted"), None, "the rest may be otherwise");
    }
}
