//! Dumps of real JVMs, every JDK in JAVA_HOME or /usr/lib/jvm: `inspect` finds in them what the program made, and what an
//! independent reader finds, hprof-slurp (`cargo install hprof-slurp`; HPROF_SLURP names it if it is not in the PATH).
//!
//! `cargo test -p kubectl-jattach --features real-jvm --test inspect_real`
#![cfg(feature = "real-jvm")]

mod jvm;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use jvm::Jvm;

/// More than there are of anything.
const ALL: &str = "1000000";

fn inspect(path: &Path) -> Value {
    let words = ["inspect", "-o", "json", "--top", ALL];
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-jattach")).args(words).arg(path).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a document")
}

fn slurp(path: &Path, scratch: &Path) -> Value {
    let program = std::env::var_os("HPROF_SLURP").unwrap_or_else(|| "hprof-slurp".into());
    let document = scratch.join("slurp.json");
    let output = Command::new(&program)
        .arg(path)
        .args(["--top", ALL, "--json", "--output"])
        .arg(&document)
        .output()
        .unwrap_or_else(|error| panic!("{} does not start ({error}): cargo install hprof-slurp", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_reader(File::open(document).expect("its document")).expect("a document")
}

/// Class, objects, bytes, in this order.
fn rows(list: &Value, keys: [&str; 3]) -> Vec<(String, u64, u64)> {
    let row = |row: &Value| {
        let [class, count, bytes] = keys.map(|key| row[key].clone());
        Some((class.as_str()?.to_owned(), count.as_u64()?, bytes.as_u64()?))
    };
    let rows: Option<Vec<_>> = list.as_array().expect("a list").iter().map(row).collect();
    let mut rows = rows.expect("rows of a name and two numbers");
    rows.sort();
    rows
}

fn agrees_with_slurp(report: &Value, slurped: &Value) {
    let ours = rows(&report["classesByBytes"], ["class", "count", "bytes"]);
    let theirs =
        rows(&slurped["heap"]["top_allocated_classes"], ["class_name", "instance_count", "allocation_size_bytes"]);
    let differing: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).take(5).collect();
    assert!(ours.len() == theirs.len() && differing.is_empty(), "{} and {}: {differing:?}", ours.len(), theirs.len());
    assert_eq!(report["shallowBytes"], slurped["heap"]["total_shallow_bytes"]);
    assert_eq!(report["classCount"], slurped["heap"]["class_count"]);
    let largest = |class: &str| {
        let rows = slurped["heap"]["top_largest_instances"].as_array().expect("a list");
        rows.iter().find(|row| row["class_name"] == class).map(|row| row["largest_allocation_bytes"].clone())
    };
    for array in report["largestArrays"].as_array().expect("a list").iter().take(2) {
        assert_eq!(largest(array["class"].as_str().expect("a name")).as_ref(), Some(&array["bytes"]));
    }
}

fn holds_what_the_program_made(report: &Value) {
    let class = |name: &str| {
        let rows = report["classesByCount"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["class"] == name).unwrap_or_else(|| panic!("no {name}"));
        (row["count"].as_u64().expect("a number"), row["bytes"].as_u64().expect("a number"))
    };
    assert_eq!(class("Shapes$Flag"), (1_001, 1_001 * 24));
    assert_eq!(class("Shapes$Number"), (2_002, 2_002 * 40));
    assert_eq!(class("Shapes$Node"), (30_003, 30_003 * 56));
    assert_eq!(class("boolean[][][]"), (1, 24));
    assert_eq!(class("Shapes$Node[][]"), (1, 16 + 5 * 8));
    let largest = &report["largestArrays"];
    assert_eq!((&largest[0]["class"], &largest[0]["length"]), (&"Shapes$Node[]".into(), &700_000.into()));
    assert_eq!((&largest[1]["class"], &largest[1]["bytes"]), (&"double[]".into(), &2_400_016.into()));
    let names = |stack: &Value| -> Vec<String> {
        let threads = stack["threads"].as_array().expect("a list").iter();
        threads.map(|thread| thread["name"].as_str().unwrap_or("?").to_owned()).collect()
    };
    let stacks = report["stacks"].as_array().expect("a list");
    let held = stacks.iter().find(|stack| names(stack).len() == 5).expect("five threads wait in one place");
    assert_eq!(names(held), ["shapes-0", "shapes-1", "shapes-2", "wächter", "日本"]);
    let frames = held["frames"].as_array().expect("a list");
    let waits = frames.iter().filter_map(Value::as_str).any(|frame| frame.starts_with("java.lang.Object.wait"));
    assert!(waits, "{frames:?}");
    let main = stacks.iter().find(|stack| names(stack) == ["main"]).expect("the main thread");
    let outermost = main["frames"].as_array().and_then(|frames| frames.last()).and_then(Value::as_str);
    assert!(outermost.is_some_and(|frame| frame.starts_with("Shapes.main(Shapes.java:")), "{outermost:?}");
}

/// Packs the dump with that encoder.
fn packed(path: &Path, name: &str, pack: impl FnOnce(File, File) -> io::Result<()>) -> std::path::PathBuf {
    let to = path.with_file_name(name);
    pack(File::open(path).expect("the dump"), File::create(&to).expect("a file")).expect("it is packed");
    to
}

fn reads_the_same_when_packed(path: &Path, report: &Value) {
    let gzip = packed(path, "x.hprof.gz", |mut from, to| {
        let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
        io::copy(&mut from, &mut encoder)?;
        encoder.finish().map(drop)
    });
    let zstd = packed(path, "x.hprof.zst", |from, to| zstd::stream::copy_encode(from, to, 1));
    for (path, packing) in [(gzip, "gzip"), (zstd, "zstd")] {
        let mut answer = inspect(&path);
        let told = answer.as_object_mut().expect("an object");
        assert_eq!(told.remove("packing"), Some(packing.into()));
        told.insert("file".to_owned(), report["file"].clone());
        assert_eq!(&answer, report, "{packing}");
    }
}

#[test]
fn dumps_of_real_jvms_hold_what_was_made_and_what_hprof_slurp_finds_class_by_class() {
    for home in jvm::homes() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("x.hprof");
        Jvm::start(&home, scratch.path()).dump(&path);
        let report = inspect(&path);
        println!("{}: {} classes", home.display(), report["classCount"]);
        holds_what_the_program_made(&report);
        agrees_with_slurp(&report, &slurp(&path, scratch.path()));
        reads_the_same_when_packed(&path, &report);
    }
}
