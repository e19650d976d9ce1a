//! A container as small as it gets: PID and mount namespaces and a /tmp of its own, and a JVM in it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Holds as many random bytes as its argument says, says so, and goes when its stdin ends.
const HOARD: &str = r#"
public class Hoard {
    public static void main(String[] words) throws Exception {
        byte[][] hoard = new byte[Integer.parseInt(words[0])][1 << 20];
        java.util.Random random = new java.util.Random(1);
        for (byte[] bytes : hoard) random.nextBytes(bytes);
        System.out.println("ready");
        while (System.in.read() >= 0) { }
        System.out.println(hoard.length > 0 ? "bye" : "empty");
    }
}
"#;

/// The static binary that xtask has built, or else cargo's.
fn injector() -> PathBuf {
    std::env::var_os("JATTACH_INJECTOR").map_or_else(|| env!("CARGO_BIN_EXE_injector").into(), PathBuf::from)
}

/// The JVM is pid 1, so that everything in here dies with it, as in a pod.
pub(crate) struct Container {
    pub(crate) tmp: TempDir,
    unshare: Child,
    lines: BufReader<ChildStdout>,
}

impl Container {
    /// Starts a JVM with `megabytes` of live heap.
    pub(crate) fn start(megabytes: u32) -> Container {
        Container::start_with("", megabytes)
    }

    /// The same with a JVM that a user without a name and any privilege runs.
    pub(crate) fn start_as_user(megabytes: u32) -> Container {
        Container::start_with("setpriv --reuid 4242 --regid 4242 --clear-groups", megabytes)
    }

    fn start_with(wrapper: &str, megabytes: u32) -> Container {
        // Not in /tmp, which may be a tmpfs: no dump is written there.
        let tmp = tempfile::Builder::new().prefix("jattach-").tempdir_in("/var/tmp").expect("a directory");
        std::fs::write(tmp.path().join("Hoard.java"), HOARD).expect("the source");
        let compiled = Command::new("javac").arg("Hoard.java").current_dir(tmp.path()).status().expect("javac");
        assert!(compiled.success());
        // A build folder below /tmp is out of sight in there.
        std::fs::copy(injector(), tmp.path().join("Hoard-injector")).expect("the injector's copy");
        let script = format!(
            "mount --bind {} /tmp && cd /tmp && chmod 1777 . && exec {wrapper} java -Xmx512m -XX:-UsePerfData -cp /tmp Hoard {megabytes}",
            tmp.path().display()
        );
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let lines = BufReader::new(unshare.stdout.take().expect("piped"));
        let mut container = Container { tmp, unshare, lines };
        container.await_line("ready");
        container
    }

    fn await_line(&mut self, wanted: &str) {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("the container's output") > 0 {
            if line.trim_end() == wanted {
                return;
            }
            line.clear();
        }
        panic!("the container ended before it said {wanted:?}");
    }

    /// Has the JVM say that it is well, and end.
    pub(crate) fn assert_unharmed(&mut self) {
        drop(self.unshare.stdin.take());
        self.await_line("bye");
        assert!(self.unshare.wait().expect("the JVM's end").success());
    }

    /// The injector, at a path that the container sees, too.
    pub(crate) fn injector(&self) -> PathBuf {
        self.tmp.path().join("Hoard-injector")
    }

    /// A program in the container's namespaces.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = enter(child_of(self.unshare.id()));
        command.arg(program);
        command
    }

    /// What lies in its /tmp, but for the fixture's own files and the JVM's socket.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.tmp).expect("/tmp").map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.into_string().expect("UTF-8"));
        names.filter(|name| !name.starts_with("Hoard") && name != ".java_pid1").collect()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// To be completed with a program: it runs in the namespaces of a process.
pub(crate) fn enter(pid: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--pid", "--target", &pid.to_string()]);
    command
}

/// The one child of a process that has forked.
pub(crate) fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
    children.trim().parse().expect("one child")
}
