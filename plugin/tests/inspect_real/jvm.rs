//! A JVM that runs Shapes.java until it is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Every JDK there is: JAVA_HOME alone, or all in the distributions' place.
pub(crate) fn homes() -> Vec<PathBuf> {
    let candidates: Vec<PathBuf> = match std::env::var_os("JAVA_HOME") {
        Some(home) => vec![home.into()],
        None => {
            Path::new("/usr/lib/jvm").read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        }
    };
    let is_jdk = |home: &PathBuf| ["jcmd", "javac"].iter().all(|tool| home.join("bin").join(tool).exists());
    let mut homes: Vec<PathBuf> =
        candidates.into_iter().filter(is_jdk).filter_map(|home| home.canonicalize().ok()).collect();
    homes.sort();
    homes.dedup();
    assert!(!homes.is_empty(), "no JDK with jcmd and javac: set JAVA_HOME");
    homes
}

pub(crate) struct Jvm {
    home: PathBuf,
    child: Child,
}

impl Jvm {
    /// Compiles Shapes.java into `scratch` and runs it.
    pub(crate) fn start(home: &Path, scratch: &Path) -> Jvm {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspect_real/Shapes.java");
        let compiled = Command::new(home.join("bin/javac")).arg("-d").arg(scratch).arg(source).status();
        assert!(compiled.is_ok_and(|status| status.success()), "Shapes.java compiles");
        let mut child = Command::new(home.join("bin/java"))
            .args(["-Xmx512m", "-cp"])
            .arg(scratch)
            .arg("Shapes")
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

    pub(crate) fn dump(&self, path: &Path) {
        let pid = self.child.id().to_string();
        let command = format!("GC.heap_dump {}", path.to_str().expect("a plain path"));
        let output = Command::new(self.home.join("bin/jcmd")).args([pid, command]).output().expect("jcmd starts");
        let said = String::from_utf8_lossy(&output.stdout);
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
