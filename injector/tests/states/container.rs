//! A JVM in PID and mount namespaces, with a /tmp of its own. It is not the first process in there, if that is not what a state
//! is about: the kernel keeps signals without a handler from that one, and a wrong signal is to be seen.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::{Health, Subject};
use crate::process::{mortal, send, stop};
use crate::rest::{has_pending_sigquit, settle, status};

/// $0 is the folder that becomes /tmp, $root the JVM's root, $java its java, $instead_of a program whose place that takes,
/// $work the folder it works in, $parent its [`Parent`], and $@ the program that is started, and its words. A root that is not
/// the machine's is overlaid: as in a pod, and so that users can have names in it, without which no JVM publishes performance
/// data. It may lie below /tmp, and is out of sight when that is covered.
const SCRIPT: &str = r#"if [ "$root" != / ]; then
    mount -t tmpfs none /mnt && cd /mnt && mkdir upper work root &&
        mount -t overlay -o "lowerdir=$root,upperdir=upper,workdir=work" none root || exit
fi
mount --bind "$0" /tmp && chmod 1777 /tmp || exit
if [ "$root" != / ]; then
    for folder in proc dev tmp; do mount --rbind "/$folder" "root/$folder" || exit; done &&
        cp /etc/passwd root/etc/passwd || exit
    root=/mnt/root
fi
if [ -n "$instead_of" ]; then mount --bind "$root$java" "$root$instead_of" || exit; fi
set -- sh -c 'echo STARTED; exec "$@"' sh unshare --root="$root" --wd="$work" $user "$@"
case $parent in
None) exec "$@" ;;
Shell) "$@"; exit ;;
Background) exec 3<&0; "$@" <&3 3<&- & wait $!; exit ;;
Init) exec setsid --fork --wait "$@" ;;
esac
exit 2"#;

/// Who is the JVM's parent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Parent {
    /// Nobody in its namespaces: it is the first process there.
    None,
    /// The first process, a shell.
    #[default]
    Shell,
    /// A shell that has it run in the background and waits, as a script that forwards signals does. That ignores SIGQUIT for it.
    Background,
    /// A process that only waits for it, as tini and dumb-init do, and has made it lead a session.
    Init,
}

/// How a JVM is started.
#[derive(Default)]
pub(crate) struct Launch {
    /// Options of `unshare` that name its user.
    pub(crate) user: &'static str,
    pub(crate) parent: Parent,
    /// What is executed, seen from inside; the path of `java` where there is none.
    pub(crate) program: Option<PathBuf>,
    /// A program that `java` takes the place of.
    pub(crate) instead_of: Option<PathBuf>,
    pub(crate) options: Vec<&'static str>,
    /// Where it works, seen from inside; /tmp where there is none.
    pub(crate) folder: Option<PathBuf>,
    /// The main class and its words.
    pub(crate) main: Vec<OsString>,
}

impl Launch {
    /// The fixture that answers, with these options of the JVM's.
    pub(crate) fn with(options: &[&'static str]) -> Launch {
        Launch { options: options.to_vec(), main: vec!["Fixture".into()], ..Launch::default() }
    }

    /// The program and its words.
    fn words(&self) -> Vec<OsString> {
        let mut words = vec![self.program.clone().unwrap_or_else(java).into_os_string(), "-Xmx64m".into()];
        let has_collector = self.options.iter().any(|option| option.ends_with("GC"));
        words.extend((!has_collector).then(|| "-XX:+UseSerialGC".into()));
        words.extend(self.options.iter().map(Into::into));
        words.extend(["-cp", "/tmp"].map(Into::into));
        words.extend(self.main.iter().cloned());
        words
    }
}

/// A JVM that is to say how it is; killed when dropped.
pub(crate) struct Jvm {
    pub(crate) tmp: Rc<TempDir>,
    /// Who has started it, and ends as it does.
    starter: Child,
    lines: BufReader<ChildStdout>,
    pid: u32,
    stopped: bool,
    /// It has said that it runs.
    is_ready: bool,
}

/// The root filesystem that has the JVM.
fn root() -> PathBuf {
    std::env::var_os("JATTACH_JDK_ROOT").map_or_else(|| "/".into(), PathBuf::from)
}

/// The path of `java` in that root, behind all links.
pub(crate) fn java() -> PathBuf {
    let root = root();
    let path = std::env::var_os("PATH").filter(|_| root == Path::new("/")).unwrap_or_else(|| "/usr/bin".into());
    let inside = |path: &Path| root.join(path.strip_prefix("/").expect("an absolute path"));
    let found = std::env::split_paths(&path).map(|folder| folder.join("java"));
    let mut java = found.into_iter().find(|java| inside(java).is_symlink() || inside(java).is_file()).expect("a java");
    while let Ok(next) = fs::read_link(inside(&java)) {
        java = java.parent().expect("a folder").join(next);
    }
    java
}

/// The fixtures, compiled for every JVM there is.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<TempDir> = OnceLock::new();
    CLASSES
        .get_or_init(|| {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
            let mut javac = Command::new("javac");
            javac.args(["--release", "8", "-Xlint:-options", "-d"]).arg(folder.path());
            javac.args(["Fixture.java", "Burden.java"].map(|source| sources.join(source)));
            assert!(javac.status().expect("javac").success());
            folder
        })
        .path()
}

impl Jvm {
    /// Starts it and waits until it says that it runs.
    pub(crate) fn start(launch: &Launch) -> Jvm {
        let mut jvm = Jvm::launch(launch);
        jvm.await_ready().expect("it runs");
        jvm
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(launch: &Launch) -> Jvm {
        Jvm::launch_in(Jvm::folder(), launch)
    }

    /// What will be its /tmp, with the fixtures in it.
    pub(crate) fn folder() -> Rc<TempDir> {
        let tmp = tempfile::Builder::new().prefix("jattach-").tempdir_in("/var/tmp").expect("a folder");
        for class in fs::read_dir(classes()).expect("the fixtures").flatten() {
            fs::copy(class.path(), tmp.path().join(class.file_name())).expect("a copy");
        }
        Rc::new(tmp)
    }

    /// Starts it with that /tmp and waits for nothing.
    pub(crate) fn launch_in(tmp: Rc<TempDir>, launch: &Launch) -> Jvm {
        let mut unshare = mortal("unshare");
        unshare
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", SCRIPT])
            .arg(tmp.path())
            .args(launch.words())
            .env("root", root())
            .env("java", java())
            .env("instead_of", launch.instead_of.clone().unwrap_or_default())
            .env("work", launch.folder.as_deref().unwrap_or(Path::new("/tmp")))
            .env("user", launch.user)
            .env("parent", format!("{:?}", launch.parent));
        let mut jvm = Jvm::spawn(tmp, &mut unshare);
        assert_eq!(jvm.line(), "STARTED\n");
        let first = child_of(jvm.starter.id());
        jvm.pid = if launch.parent == Parent::None { first } else { child_of(first) };
        assert_eq!(jvm.inner_pid() == "1", launch.parent == Parent::None);
        jvm
    }

    /// Starts one in the same container as this one, as an exec does, and waits until it says that it runs.
    pub(crate) fn start_beside(&self, launch: &Launch) -> Jvm {
        let mut nsenter = mortal("nsenter");
        nsenter.arg(format!("--target={}", self.pid)).args(["--mount", "--pid", "--root", "--wd"]);
        let mut jvm = Jvm::spawn(Rc::clone(&self.tmp), nsenter.args(launch.words()));
        jvm.await_ready().expect("it runs");
        jvm.pid = child_of(jvm.starter.id());
        jvm
    }

    fn spawn(tmp: Rc<TempDir>, starter: &mut Command) -> Jvm {
        let mut starter = starter.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("util-linux");
        let lines = BufReader::new(starter.stdout.take().expect("piped"));
        Jvm { tmp, starter, lines, pid: 0, stopped: false, is_ready: false }
    }

    /// Waits until it says that it runs. An error is what it says instead.
    pub(crate) fn await_ready(&mut self) -> Result<(), String> {
        let line = self.line();
        self.is_ready = line == "READY\n";
        if self.is_ready { Ok(()) } else { Err(line) }
    }

    /// What it says up to its end.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("its output");
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("its output");
        line
    }

    /// Where its socket is, seen from outside.
    pub(crate) fn socket(&self) -> PathBuf {
        self.tmp.path().join(format!(".java_pid{}", self.inner_pid()))
    }

    /// Its pid as it sees itself.
    fn inner_pid(&self) -> String {
        let status = status(self.pid).expect("it lives");
        let pids = status.lines().find_map(|line| line.strip_prefix("NStgid:")).expect("its pids");
        pids.split_ascii_whitespace().next_back().expect("its own").to_owned()
    }

    /// Stops it until it is asked how it is.
    pub(crate) fn stop(mut self) -> Jvm {
        stop(self.pid);
        self.stopped = true;
        self
    }
}

impl Subject for Jvm {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn is_to_be_tried_again(&mut self) -> bool {
        let mut stdout = [PollFd::new(self.lines.get_ref().as_fd(), PollFlags::POLLIN)];
        let says_more = !self.lines.buffer().is_empty() || poll(&mut stdout, PollTimeout::ZERO).expect("polled") > 0;
        !self.is_ready && !says_more
    }

    /// It is spoken to, and told to end. A thread dump that nobody has asked for stands among its answers.
    fn health(mut self: Box<Self>) -> Health {
        if self.stopped {
            if has_pending_sigquit(self.pid) {
                return Health::Signalled("SIGQUIT was sent to it while it stood still".to_string());
            }
            send(self.pid, Signal::SIGCONT);
        }
        settle(self.pid);
        let mut input = self.starter.stdin.take().expect("piped");
        // A JVM that is dead takes nothing; it has an exit status, too.
        let _ = input.write_all(b"are you well?\n");
        drop(input);
        let said = self.rest();
        let status = self.starter.wait().expect("its end");
        let answer = if self.is_ready { "PONG are you well?\n" } else { "READY\nPONG are you well?\n" };
        match (status.success(), said == answer) {
            (true, true) => Health::Well,
            (true, false) => Health::Signalled(format!("it said {said:?}")),
            (false, _) => Health::Dead(format!("{status}, and before that {said:?}")),
        }
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.starter.kill();
        let _ = self.starter.wait();
    }
}

/// The one child of a process that has forked.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
    children.trim().parse().expect("one child")
}
