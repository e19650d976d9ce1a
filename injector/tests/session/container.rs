//! A container as small as it gets: PID and mount namespaces, a /tmp of its own, and a JVM in it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// A key of a map that the fixture holds. Its program has it in no constant: those stay in any dump.
pub(crate) const KEY: &str = "customer-4711-of-the-bank";

/// Holds as many megabytes as its argument says, of noise, of text and of zeros, so that blocks of a dump are of each kind;
/// says so, and goes when its stdin ends.
const HOARD: &str = r#"
public class Hoard {
    static final java.util.Map<String, Object> MAP = new java.util.HashMap<>();

    public static void main(String[] words) throws Exception {
        byte[][] hoard = new byte[Integer.parseInt(words[0])][1 << 20];
        java.util.Random random = new java.util.Random(1);
        for (int i = 0; i < hoard.length; i += 3) random.nextBytes(hoard[i]);
        byte[] text = "The first thing that goes is what nobody reads.\n".getBytes("US-ASCII");
        for (int i = 1; i < hoard.length; i += 3)
            for (int j = 0; j < 1 << 20; j++) hoard[i][j] = text[(j ^ j >> 9) % text.length];
        MAP.put(new StringBuilder("knab-eht-fo-1174-remotsuc").reverse().toString(), hoard);
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

/// The root filesystem that has the JVM, if that is not the machine's: `cargo xtask test` fetches JVMs of all versions.
fn own_root() -> Option<OsString> {
    std::env::var_os("JATTACH_JDK_ROOT")
}

fn root() -> OsString {
    own_root().unwrap_or_else(|| "/".into())
}

/// More than what these tests have on the disk at once, and what hold wants to see free for it, in bytes.
const ROOM: u64 = 2 << 30;

/// How a container's /tmp is mounted, and its JVM started, by a shell: $0 is the fixture's directory, $root the JVM's root,
/// $@ are its words.
pub(crate) struct Shape {
    tmp: &'static str,
    java: &'static str,
}

/// The JVM is pid 1, so that everything in here dies with it, as in a pod.
pub(crate) const PLAIN: Shape =
    Shape { tmp: r#"mount --bind "$0" /tmp"#, java: r#"exec unshare --root="$root" --wd=/tmp java "$@""# };

/// The JVM is run by a user without a name and any privilege.
pub(crate) const AS_USER: Shape =
    Shape { java: r#"exec unshare --root="$root" --wd=/tmp --setuid 4242 --setgid 4242 java "$@""#, ..PLAIN };

/// The same user, in a folder of root's that he may not enter.
pub(crate) const SHUT_OUT: Shape = Shape {
    java: r#"mkdir -m 700 "$0/Hoard-closed" &&
        exec unshare --root="$root" --wd="$0/Hoard-closed" --setuid 4242 --setgid 4242 java "$@""#,
    ..PLAIN
};

/// The JVM is root, and has no capability but the one that it takes to enter its root.
pub(crate) const ALMOST_POWERLESS: Shape = Shape {
    java: r#"exec setpriv --bounding-set=-all,+sys_chroot unshare --root="$root" --wd=/tmp java "$@""#,
    ..PLAIN
};

/// The machine's own JVM, run by a user who may execute the program and not read it: the kernel closes such a process to
/// that very user (proc(5), "dumpable").
pub(crate) const UNREADABLE: Shape = Shape {
    java: r#"java=$(readlink -f "$(command -v java)") && cp "$java" "$0/Hoard-java" && chmod 0711 "$0/Hoard-java" &&
        mount --bind "$0/Hoard-java" "$java" &&
        exec unshare --root=/ --wd=/tmp --setuid 4242 --setgid 4242 java "$@""#,
    ..PLAIN
};

/// The same, and once more when that JVM has ended.
pub(crate) const UNREADABLE_TWICE: Shape = Shape {
    java: r#"java=$(readlink -f "$(command -v java)") && cp "$java" "$0/Hoard-java" && chmod 0711 "$0/Hoard-java" &&
        mount --bind "$0/Hoard-java" "$java" &&
        for life in 1 2; do unshare --root=/ --wd=/tmp --setuid 4242 --setgid 4242 java "$@"; done"#,
    ..PLAIN
};

/// The machine's own JVM, run by a user with an ambient capability (capabilities(7)).
pub(crate) const CAPABLE: Shape = Shape {
    java: r#"exec setpriv --reuid=4242 --regid=4242 --clear-groups --inh-caps=-all,+net_bind_service \
        --ambient-caps=-all,+net_bind_service java "$@""#,
    ..PLAIN
};

/// The JVM is a child of pid 1, which outlives it, as where the containers of a pod share their processes.
pub(crate) const UNDER_INIT: Shape =
    Shape { java: r#"unshare --root="$root" --wd=/tmp java "$@" || test $? = 137 && read end"#, ..PLAIN };

/// The JVM is pid 1 of a PID namespace below that of pid 1.
pub(crate) const NESTED: Shape = Shape {
    java: r#"unshare --root="$root" --wd=/tmp --mount --pid --fork --mount-proc --kill-child java "$@"; exit $?"#,
    ..PLAIN
};

/// Where that root filesystem is found when /tmp, which it may lie below, is covered.
const SHOWN: &str = r#"mount --bind "$root" /mnt && root=/mnt"#;

/// A root filesystem for the JVM that is another than the injector's, as in a pod: /tmp, /dev/shm and the fixture are in both.
const ROOT: &str = r#"mount -t proc none "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /tmp "$root/tmp" &&
    mount -t tmpfs none "$root/var/tmp" && mkdir "$root$0" && mount --bind "$0" "$root$0""#;

/// Its /tmp lies in memory.
pub(crate) const IN_MEMORY: Shape = Shape { tmp: "mount -t tmpfs none /tmp", ..PLAIN };

/// Its root is an overlay, as in a pod, of which nobody else writes into anything: what it takes can be told to a page.
pub(crate) const OVERLAID: Shape = Shape {
    java: r#"mkdir "$0/Hoard-root" && mount -t tmpfs none "$0/Hoard-root" && cd "$0/Hoard-root" && mkdir upper work root &&
        mount -t overlay -o "lowerdir=$root,upperdir=upper,workdir=work" none root &&
        for directory in proc dev tmp; do mount --rbind "/$directory" "root/$directory" || exit; done &&
        mkdir -p "root$0" && mount --bind "$0" "root$0" && mount -o remount,bind,ro "root$0" &&
        exec unshare --root=root --wd=/tmp java "$@""#,
    ..IN_MEMORY
};

/// PID and mount namespaces, and a JVM in them.
pub(crate) struct Container {
    pub(crate) tmp: TempDir,
    unshare: Child,
    lines: BufReader<ChildStdout>,
}

impl Container {
    /// Starts a plain one whose JVM has `megabytes` of live heap.
    pub(crate) fn start(megabytes: u32) -> Container {
        Container::shaped(&PLAIN, megabytes)
    }

    /// Starts one of that shape.
    pub(crate) fn shaped(shape: &Shape, megabytes: u32) -> Container {
        Container::with(shape, &[], megabytes)
    }

    /// Starts one of that shape, whose JVM has these options.
    pub(crate) fn with(shape: &Shape, options: &[&str], megabytes: u32) -> Container {
        // Not in /tmp, which may be a tmpfs: no dump is written there.
        let tmp = tempfile::Builder::new().prefix("jattach-").tempdir_in("/var/tmp").expect("a directory");
        require_room(tmp.path());
        std::fs::write(tmp.path().join("Hoard.java"), HOARD).expect("the source");
        let mut javac = Command::new("javac");
        if own_root().is_some() {
            javac.args(["--release", "8", "-Xlint:-options"]);
        }
        let compiled = javac.arg("Hoard.java").current_dir(tmp.path()).status().expect("javac");
        assert!(compiled.success());
        // A build folder below /tmp is out of sight in there.
        std::fs::copy(injector(), tmp.path().join("Hoard-injector")).expect("the injector's copy");
        let (unshare, lines) = unshare(tmp.path(), shape, options, megabytes);
        let mut container = Container { tmp, unshare, lines };
        container.await_line("ready");
        container
    }

    /// Starts it again when its JVM has ended, with what lies in its /tmp, as a kubelet does.
    pub(crate) fn restart(&mut self, megabytes: u32) {
        self.unshare.wait().expect("the JVM's end");
        (self.unshare, self.lines) = unshare(self.tmp.path(), &PLAIN, &[], megabytes);
        self.await_line("ready");
    }

    /// The pid of its first process.
    pub(crate) fn init(&self) -> u32 {
        child_of(self.unshare.id())
    }

    /// Waits until its JVM has printed that line.
    pub(crate) fn await_line(&mut self, wanted: &str) {
        let (mut line, mut said) = (String::new(), String::new());
        while self.lines.read_line(&mut line).expect("the container's output") > 0 {
            if line.trim_end() == wanted {
                return;
            }
            said.push_str(&line);
            line.clear();
        }
        panic!("the container ended before it said {wanted:?}; it said {said:?}");
    }

    /// Waits until its JVM has printed all threads and the heap behind them: what it prints meanwhile would stand among that.
    pub(crate) fn await_threads(&mut self) {
        let mut line = String::new();
        while !line.trim_start().starts_with("class space") {
            line.clear();
            let length = self.lines.read_line(&mut line).expect("the container's output");
            assert!(length > 0, "the container ended before all threads were printed");
        }
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
        let mut command = enter(self.init());
        command.arg(program);
        command
    }

    /// What lies in its /tmp, but for the fixture's own files and JVMs' sockets, and in its /dev/shm while it runs.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let names = |directory: &Path| {
            let entries = std::fs::read_dir(directory).into_iter().flatten();
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        };
        let tmp = names(self.tmp.path()).filter(|name| !name.starts_with("Hoard") && !name.starts_with(".java_pid"));
        let pid =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.unshare.id())).unwrap_or_default();
        tmp.chain(names(&Path::new("/proc").join(pid.trim()).join("root/dev/shm"))).collect()
    }

    /// Nothing of a dump or an agent lies in its /tmp; hold's socket may.
    #[track_caller]
    pub(crate) fn assert_only_sockets_left(&self) {
        let left = self.left_behind();
        assert!(left.iter().all(|name| name.ends_with(".sock")), "{left:?}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// Whether the JVM starts with these options.
pub(crate) fn jvm_knows(options: &[&str]) -> bool {
    let script = r#"mount -t proc none "$root/proc" && exec unshare --root="$root" java "$@" -version"#;
    let mut java = Command::new("unshare");
    java.args(["--mount", "sh", "-c", script, "sh"]).args(options).env("root", root());
    java.output().expect("unshare").status.success()
}

fn unshare(directory: &Path, shape: &Shape, options: &[&str], megabytes: u32) -> (Child, BufReader<ChildStdout>) {
    let shm = "mount -t tmpfs -o mode=1777,size=64m none /dev/shm";
    let (shown, mounts) = if own_root().is_some() { (SHOWN, ROOT) } else { (":", ":") };
    let script = format!(r#"{shm} && {shown} && {} && chmod 1777 "$0" /tmp && {mounts} && {}"#, shape.tmp, shape.java);
    let mut unshare = Command::new("unshare")
        .env("root", root())
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script])
        .arg(directory)
        .args(["-Xmx1g", "-XX:-UsePerfData"])
        .args(options)
        .arg("-cp")
        .arg(directory)
        .args(["Hoard", &megabytes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare");
    let lines = BufReader::new(unshare.stdout.take().expect("piped"));
    (unshare, lines)
}

/// hold refuses a dump that would leave less than a fifth of the disk free. Said here, in one way for all of these tests.
fn require_room(directory: &Path) {
    let disk = statvfs(directory).expect("its file system");
    let (free, total) = (disk.blocks_available() * disk.fragment_size(), disk.blocks() * disk.fragment_size());
    assert!(
        free >= total / 5 + ROOM,
        "these tests need a disk with 20 % and {} MiB free at {}: {} of {} MiB are",
        ROOM >> 20,
        directory.display(),
        free >> 20,
        total >> 20
    );
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
