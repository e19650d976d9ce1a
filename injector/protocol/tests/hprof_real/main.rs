//! Dumps of real JVMs: every JDK in JAVA_HOME or /usr/lib/jvm, compared with an independent reader, hprof-slurp
//! (`cargo install hprof-slurp`; HPROF_SLURP names it if it is not in the PATH).
//!
//! `cargo test -p jattach-protocol --features real-jvm --test hprof_real`
#![cfg(feature = "real-jvm")]

mod census;
mod jvm;
mod plain;
mod redaction;

use std::fs;
use std::path::Path;
use std::process::Command;

use jattach_protocol::hprof::{Error, Lengths, Reader, Summary};

use census::Census;
use jvm::Jvm;

fn read(bytes: &[u8]) -> Result<(Summary, Census), Error> {
    let mut reader = Reader::with(Census::default(), Lengths::Final);
    // An odd size, so that heads and bodies are cut everywhere.
    for portion in bytes.chunks(65_521) {
        reader.push(portion)?;
    }
    Ok((reader.finish()?, reader.into_visitor()))
}

/// The number that hprof-slurp prints after this text.
fn slurped(report: &str, label: &str) -> u64 {
    let number = report.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| {
        panic!("hprof-slurp printed no line of {label:?}:\n{report}");
    });
    number.trim().parse().unwrap_or_else(|_| panic!("{label:?} is no number: {number:?}"))
}

fn slurp(path: &Path, options: &[&str]) -> String {
    let program = std::env::var_os("HPROF_SLURP").unwrap_or_else(|| "hprof-slurp".into());
    let output = Command::new(&program).args(options).arg(path).output().unwrap_or_else(|error| {
        panic!("{} does not start ({error}): cargo install hprof-slurp", program.display());
    });
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    report
}

fn agrees_with_slurp(path: &Path, summary: &Summary, census: &Census) {
    let report = slurp(path, &[]);
    assert_eq!(slurped(&report, "..GC instance dump: "), summary.instances);
    assert_eq!(slurped(&report, "..GC class dump: "), summary.classes);
    let primitive = slurped(&report, "..GC primitive array dump: ");
    assert_eq!(primitive + slurped(&report, "..GC object array dump: "), summary.arrays);
    assert_eq!(slurped(&report, "UTF-8 Strings: "), census.names() as u64);
    assert_eq!(slurped(&report, "Classes loaded: "), census.loaded() as u64);
    assert_eq!(slurped(&report, "..GC root sticky class: "), census.sticky_classes);
    assert_eq!(slurped(&report, "..GC root thread objects: "), census.threads);
}

fn holds_what_the_program_made(census: &Census) {
    assert_eq!(census.instances("Heap$Known"), 12_345);
    assert_eq!(census.instances("Heap$Derived"), 678);
    assert_eq!(census.long_arrays_of_1001, 77);
    // An identifier, a double and a boolean; the sub class adds one more identifier.
    assert_eq!(census.bytes("Heap$Known"), 12_345 * (8 + 8 + 1));
    assert_eq!(census.bytes("Heap$Derived"), 678 * (8 + 8 + 1 + 8));
}

fn is_broken_when_cut(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new();
        reader.push(bytes).expect("a cut is seen at the end only");
        reader.finish()
    };
    let end_record = bytes.len() - 9;
    assert_eq!(read(&bytes[..end_record]).unwrap_err(), Error::NotEnded { offset: end_record as u64 });
    for cut in [0, 1, 30, 31, bytes.len() / 3, bytes.len() / 2, end_record - 1, end_record + 1, bytes.len() - 1] {
        let error = read(&bytes[..cut]).unwrap_err();
        match error {
            Error::Truncated { offset, .. } | Error::NotEnded { offset } => assert_eq!(offset, cut as u64),
            other => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn dumps_of_real_jvms_are_read_as_hprof_slurp_reads_them() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    for (number, home) in jvm::homes().iter().enumerate() {
        let jvm = Jvm::start(home, "Heap.java");
        for (run, options) in jvm.dump_options().into_iter().enumerate() {
            let path = scratch.path().join(format!("{number}-{run}.hprof"));
            jvm.dump(options, &path);
            let bytes = fs::read(&path).expect("the dump");
            let (summary, census) = read(&bytes).unwrap_or_else(|error| panic!("{home:?} {options}: {error}"));
            println!("{} {options}: {summary:?}", home.display());
            assert_eq!((summary.bytes, summary.id_size, summary.ended), (bytes.len() as u64, 8, true));
            holds_what_the_program_made(&census);
            agrees_with_slurp(&path, &summary, &census);
            is_broken_when_cut(&bytes);
            fs::remove_file(path).expect("the dump is ours");
        }
    }
}
