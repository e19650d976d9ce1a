//! A JVM that runs Heap.java until it is dropped.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
}

impl Jvm {
    pub(crate) fn start(home: &Path) -> Jvm {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hprof_real/Heap.java");
        let mut child = Command::new(home.join("bin/java"))
            .arg("-Xmx512m")
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java starts");
        let stdout = child.stdout.take().expect("piped");
        let jvm = Jvm { home: home.to_owned(), child };
        let said = BufReader::new(stdout).lines().next().expect("java says something").expect("text");
        assert_eq!(said, "ready");
        jvm
    }

    fn jcmd(&self, arguments: &[&str]) -> String {
        let pid = self.child.id().to_string();
        let output = Command::new(self.home.join("bin/jcmd")).arg(pid).args(arguments).output().expect("jcmd starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// One run without options, and one with several writers where the JVM has them (22 and newer).
    pub(crate) fn dump_options(&self) -> Vec<&'static str> {
        let several = self.jcmd(&["help", "GC.heap_dump"]).contains("-parallel");
        if several { vec!["", "-parallel=2"] } else { vec![""] }
    }

    pub(crate) fn dump(&self, options: &str, path: &Path) {
        let path = path.to_str().expect("a plain path");
        let said = self.jcmd(&[&format!("GC.heap_dump {options} {path}")]);
        assert!(said.contains("Heap dump file created"), "{said}");
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself now; if it cannot, the kill is what remains.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
