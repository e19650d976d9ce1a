//! JVMs to attach to: found on this machine, started for a test, ended with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// The same threads and the same classes at each look: nothing is compiled, and one thread collects garbage.
const STABLE: [&str; 3] = ["-Xint", "-XX:+UseSerialGC", "-Xmx64m"];

/// The homes of all JVMs here. Fails if there is none: a test that tests nothing must not pass.
pub(crate) fn homes() -> &'static [PathBuf] {
    static HOMES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    HOMES.get_or_init(|| {
        let mut candidates: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let java =
            std::env::split_paths(&path).map(|folder| folder.join("java")).find_map(|java| java.canonicalize().ok());
        candidates.extend(java.and_then(|java| Some(java.parent()?.parent()?.to_path_buf())));
        let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
        candidates.extend(installed.map(|entry| entry.path()));
        let mut homes: Vec<PathBuf> = candidates.iter().filter_map(|home| home.canonicalize().ok()).collect();
        homes.retain(|home| home.join("bin/java").exists());
        homes.sort();
        homes.dedup();
        assert!(!homes.is_empty(), "no JVM: set JAVA_HOME, or install openjdk-17-jdk-headless");
        homes
    })
}

/// The folder with the compiled fixture and the same as an agent (`agent.jar`).
pub(crate) fn fixture() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let home = homes().iter().find(|home| home.join("bin/javac").exists()).expect("a JDK with javac");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fixture-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the fixture");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/Fixture.java");
        let javac = [
            &["--release", "8", "-Xlint:-options", "-d"][..],
            &[&folder.to_string_lossy()],
            &[&source.to_string_lossy()],
        ];
        succeed(Command::new(home.join("bin/javac")).args(javac.concat()));
        fs::write(folder.join("manifest"), "Agent-Class: Fixture\n").expect("written");
        let jar = ["--create", "--file", "agent.jar", "--manifest", "manifest", "Fixture.class"];
        succeed(Command::new(home.join("bin/jar")).args(jar).current_dir(&folder));
        folder
    })
}

/// A JVM that runs the fixture; killed when dropped.
pub(crate) struct Jvm {
    child: Child,
    pid: u32,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Jvm {
    /// Starts it and waits until it says that it runs.
    pub(crate) fn start(home: &Path, options: &[&str]) -> Jvm {
        let mut jvm = Jvm::launch(home, options);
        assert_eq!(jvm.line(), "READY");
        jvm
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(home: &Path, options: &[&str]) -> Jvm {
        Jvm::spawn(Command::new(home.join("bin/java")).args(arguments(fixture(), options)))
    }

    /// Starts it by a command that ends in executing `java` with [`arguments`].
    pub(crate) fn spawn(command: &mut Command) -> Jvm {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a JVM");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Jvm { pid: child.id(), child, input, output }
    }

    /// Takes the only child of the process that was started for the JVM itself (`unshare --fork`).
    pub(crate) fn adopt_grandchild(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).expect("CONFIG_PROC_CHILDREN");
        self.pid = children.trim().parse().expect("one child");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its next line on stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("a line");
        assert!(length > 0, "the JVM ended");
        line.trim_end().to_string()
    }

    /// Reads on to a line that starts so.
    pub(crate) fn wait_for(&mut self, start: &str) {
        while !self.line().starts_with(start) {}
    }

    /// Everything that it prints until it has answered: nothing but the answer, if nothing was done to it.
    pub(crate) fn answer(&mut self) -> Vec<String> {
        let input = self.input.as_mut().expect("not ended");
        input.write_all(b"are you well?\n").expect("it lives");
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let done = line.starts_with("PONG");
            lines.push(line);
            if done {
                return lines;
            }
        }
    }

    /// Fails unless it is well and nobody has asked it for a thread dump.
    pub(crate) fn assert_untouched(&mut self) {
        assert_eq!(self.answer(), ["PONG are you well?"]);
    }

    /// Lets it end by itself, and fails if it ended otherwise.
    pub(crate) fn finish(mut self) {
        self.input.take();
        assert!(self.child.wait().expect("a child").success());
    }

    /// A file of that name for this JVM, in a /tmp that is ours too.
    pub(crate) fn tmp(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/tmp/.{name}_pid{}", self.pid))
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.tmp("java"));
    }
}

/// What follows `java` on its command line; the fixture is in `classes`.
pub(crate) fn arguments(classes: &Path, options: &[&str]) -> Vec<String> {
    let classes = classes.to_string_lossy();
    [&STABLE[..], options, &["-cp", &classes, "Fixture"]].concat().into_iter().map(String::from).collect()
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
