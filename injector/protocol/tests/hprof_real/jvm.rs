//! A JVM that runs a program of this folder until it is dropped.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Every JDK there is: JAVA_HOME alone, or all in the distributions' place.
pub(crate) fn homes() -> BTreeSet<PathBuf> {
    let candidates: Vec<PathBuf> = match std::env::var_os("JAVA_HOME") {
        Some(home) => vec![home.into()],
        None => {
            Path::new("/usr/lib/jvm").read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        }
    };
    let homes: BTreeSet<PathBuf> = candidates
        .iter()
        .filter(|home| home.join("bin/jcmd").exists() && home.join("bin/javac").exists())
        .filter_map(|home| home.canonicalize().ok())
        .collect();
    assert!(!homes.is_empty(), "no JDK with jcmd and javac: set JAVA_HOME");
    homes
}

pub(crate) struct Jvm {
    home: PathBuf,
    child: Child,
    /// What the program said before it was ready.
    pub(crate) said: Vec<String>,
}

impl Jvm {
    pub(crate) fn start(home: &Path, program: &str) -> Jvm {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hprof_real").join(program);
        let mut child = Command::new(home.join("bin/java"))
            .arg("-Xmx512m")
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut jvm = Jvm { home: home.to_owned(), child, said: Vec::new() };
        loop {
            let line = lines.next().expect("java says \"ready\"").expect("text");
            if line == "ready" {
                return jvm;
            }
            jvm.said.push(line);
        }
    }

    fn jcmd(&self, arguments: &[&str]) -> String {
        let pid = self.child.id().to_string();
        let output = Command::new(self.home.join("bin/jcmd")).arg(pid).args(arguments).output().expect("jcmd starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether it writes with several writers (22 and newer).
    pub(crate) fn writes_two_files(&self) -> bool {
        self.jcmd(&["help", "GC.heap_dump"]).contains("-parallel")
    }

    /// One run without options, and one with several writers where the JVM has them.
    pub(crate) fn dump_options(&self) -> Vec<&'static str> {
        if self.writes_two_files() { vec!["", "-parallel=2"] } else { vec![""] }
    }

    pub(crate) fn dump(&self, options: &str, path: &Path) {
        let path = path.to_str().expect("a plain path");
        let said = self.jcmd(&[&format!("GC.heap_dump {options} {path}")]);
        assert!(said.contains("Heap dump file created"), "{said}");
    }

    /// What the JVM writes into the two files of a dump, which are FIFOs; into the first one alone before 22.
    pub(crate) fn dump_into_fifos(&self, directory: &Path) -> (Vec<u8>, Vec<u8>) {
        let main = directory.join("fifo");
        let part = directory.join("fifo.p0");
        assert!(Command::new("mkfifo").args([&main, &part]).status().expect("mkfifo starts").success());
        let (main_end, main_reader) = follow(&main);
        let (part_end, part_reader) = follow(&part);
        let options = if self.writes_two_files() { "-overwrite -parallel=1" } else { "-overwrite" };
        self.dump(options, &main);
        [main_end, part_end].iter_mut().for_each(|end| end.write_all(&END).expect("the FIFO has a reader"));
        let dump = (main_reader.join().expect("read"), part_reader.join().expect("read"));
        // The JVM removes the second one itself where it uses it.
        let _ = [main, part].map(std::fs::remove_file);
        dump
    }
}

/// Comes after everything that the JVM has written, and nowhere in it.
const END: [u8; 17] = *b"\x8c\x01 end of fifo \x8c\x01";

/// Reads a FIFO up to [`END`]; who opens it both ways waits for nobody, and sees no end when a writer leaves.
fn follow(path: &Path) -> (File, thread::JoinHandle<Vec<u8>>) {
    let end = OpenOptions::new().read(true).write(true).open(path).expect("a FIFO");
    let mut fifo = end.try_clone().expect("a second handle");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut block = vec![0; 1 << 20];
        while !bytes.ends_with(&END) {
            let length = fifo.read(&mut block).expect("the FIFO is readable");
            bytes.extend_from_slice(&block[..length]);
        }
        bytes.truncate(bytes.len() - END.len());
        bytes
    });
    (end, reader)
}

impl Drop for Jvm {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself now; if it cannot, the kill is what remains.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
