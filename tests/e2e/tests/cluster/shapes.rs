//! The shapes in which a dump may lie here, and what is said before it is taken.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jattach_e2e::{Namespace, Pod, Program, dump, jvm};
use tempfile::tempdir;

/// A dump of the pod as `flags` want it, under the name that it gets by itself.
fn dumped(pod: &Pod<'_>, directory: &Path, flags: &[&str]) -> PathBuf {
    let _ = pod.plugin(["dumpheap"]).args(flags).directory(directory).run().succeeded().says("verified to its end");
    let names = dump::names(directory);
    let [name] = &names[..] else { panic!("{names:?}") };
    directory.join(name)
}

#[test]
fn a_gzipped_dump_is_whole_in_members_that_tell_their_size() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = dumped(&pod, directory.path(), &["--gzip"]);
    assert!(file.to_string_lossy().ends_with(".hprof.gz"), "{}", file.display());
    let gzip = |flag: &str| Program::new(Path::new("gzip")).arg(flag).arg(&file).run().succeeded();
    let _ = gzip("-t");
    assert!(dump::read(gzip("-dc").bytes()).ended);
    let mut head = [0; 34];
    File::open(&file).expect("the dump").read_exact(&mut head).expect("a header");
    assert_eq!((head[3], &head[10..]), (1 << 4, &b"HPROF BLOCKSIZE=1048576\0"[..]));
}

#[test]
fn a_dump_in_frames_of_zstd_is_whole() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = dumped(&pod, directory.path(), &["--zstd"]);
    assert!(file.to_string_lossy().ends_with(".hprof.zst"), "{}", file.display());
    let frames = zstd::stream::read::Decoder::new(File::open(&file).expect("the dump")).expect("memory");
    assert!(dump::read(frames).ended);
}

#[test]
fn standard_output_takes_either_shape() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let zstd = pod.plugin(["dumpheap", "--zstd", "-"]).run().succeeded();
    assert!(dump::read(zstd::stream::read::Decoder::new(zstd.bytes()).expect("memory")).ended);
    let gzip = pod.plugin(["dumpheap", "-", "--gzip"]).run().succeeded();
    let unzipped = Program::new(Path::new("gzip")).arg("-dc").stdin(gzip.bytes().to_vec()).run().succeeded();
    assert!(dump::read(unzipped.bytes()).ended);
}

#[test]
fn what_a_dump_takes_is_said_before_it_is_taken() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let ran = pod.plugin(["dumpheap", "x.hprof"]).directory(directory.path()).run().succeeded();
    let line = ran.stderr.lines().find(|line| line.starts_with("Heap in use: ")).expect("a line about it");
    for part in ["a dump of up to ", "a pause of about ", "no probe limits it", "waits in the pod", "free here"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_jvm_that_may_not_wait_is_dumped_without_anything_in_the_pod() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("x.hprof");
    let dump = pod.plugin(["dumpheap", "--spool-limit=0", "--max-stall", "1m"]).arg(&file).run();
    let _ = dump.succeeded().says("nothing waits in the pod, the JVM does");
    dump::verify(&file);
    jvm::answers(&pod, "app");
}
