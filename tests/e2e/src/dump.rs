//! Heap dumps on this machine: whether they are whole.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use jattach_protocol::hprof::{Reader, Summary};

/// Reads a dump to its end.
///
/// # Panics
/// If it is not whole, by our reader or by hprof-slurp where that is installed.
#[track_caller]
pub fn verify(path: &Path) -> Summary {
    let summary = read(File::open(path).unwrap_or_else(|error| panic!("no dump at {}: {error}", path.display())));
    assert!(summary.ended, "{} has no HEAP_DUMP_END", path.display());
    if let Some(slurp) = slurp() {
        let output = Command::new(slurp).args(["--filter", "App$Order"]).arg(path).output().expect("hprof-slurp runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("App$Order"), "hprof-slurp finds no App$Order:\n{text}");
    }
    summary
}

/// Reads a dump to its end.
///
/// # Panics
/// If it is not whole.
#[track_caller]
pub fn read(mut from: impl Read) -> Summary {
    let (mut reader, mut block) = (Reader::new(), vec![0; 256 << 10]);
    loop {
        match from.read(&mut block).expect("the dump can be read") {
            0 => break,
            length => reader.push(&block[..length]).expect("a whole dump"),
        }
    }
    reader.finish().expect("a whole dump")
}

/// The names in a directory, sorted.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// HPROF_SLURP, or else the one in PATH.
fn slurp() -> Option<PathBuf> {
    let named = std::env::var_os("HPROF_SLURP").map(PathBuf::from);
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("hprof-slurp")).find(|file| file.is_file())
    };
    named.or_else(in_path)
}
