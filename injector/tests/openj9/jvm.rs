//! The stand-in, seen from outside: in namespaces of its own, with a /tmp and a semaphore that nobody else has.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::rc::Rc;

use tempfile::TempDir;

use crate::standin::{COMMON, COMMON_AT, DETACHED, ENDED, READY, ROLE, SYNC, TOKENS, WOKEN};
use crate::{injector, text};

/// How this program is told to be the stand-in.
const WORDS: [&str; 4] = ["--exact", "standin::process", "--ignored", "--nocapture"];

/// A process that is an OpenJ9 to who looks; killed when dropped.
pub(crate) struct Jvm {
    pub(crate) pid: u32,
    tmp: Rc<TempDir>,
    unshare: Child,
    said: BufReader<ChildStderr>,
    /// Its namespace of semaphores, which outlives it as long as this is open.
    semaphores: File,
    wakes: u32,
}

/// Puts into what becomes its /tmp: this program, the injector, and libraries of OpenJ9's names, which are whatever else. What
/// lies below the machine's /tmp is out of sight in there.
fn equip(tmp: &Path) {
    let maps = fs::read_to_string("/proc/self/maps").expect("our own");
    let library = maps.lines().find(|line| line.ends_with("/libgcc_s.so.1")).expect("a library");
    let library = PathBuf::from(&library[library.find('/').expect("a path")..]);
    let injector = injector().get_program().into();
    for (name, source) in
        [(LIBRARIES[0], &library), (LIBRARIES[1], &library), (PROGRAM, &own_program()), (INJECTOR, &injector)]
    {
        let copy = tmp.join(name);
        if !copy.exists() {
            fs::copy(source, copy).expect("copied");
        }
    }
}

const LIBRARIES: [&str; 2] = ["libj9vm29.so", "libjvm.so"];
const PROGRAM: &str = "standin";
pub(crate) const INJECTOR: &str = "injector";

fn own_program() -> PathBuf {
    std::env::current_exe().expect("ourselves")
}

impl Jvm {
    /// Starts one with that fault, and waits until it can be attached to.
    pub(crate) fn start(fault: &str) -> Jvm {
        let tmp = tempfile::Builder::new().prefix("jattach-").tempdir_in("/var/tmp").expect("a folder");
        Jvm::start_in(Rc::new(tmp), Command::new("unshare").arg("--ipc"), fault)
    }

    /// The same in another container of the pod, with the same volume at /tmp.
    pub(crate) fn start_beside(&self, fault: &str) -> Jvm {
        let mut enter = Command::new("nsenter");
        let enter = enter.arg(format!("--ipc=/proc/{}/ns/ipc", self.pid)).arg("unshare");
        Jvm::start_in(Rc::clone(&self.tmp), enter, fault)
    }

    /// `unshare` is the command of that name, in or with the namespace of semaphores.
    fn start_in(tmp: Rc<TempDir>, unshare: &mut Command, fault: &str) -> Jvm {
        equip(tmp.path());
        let preload = LIBRARIES.map(|name| format!("/tmp/{name}")).join(" ");
        // Out of a background job, SIGQUIT would be ignored: a JVM that gets one by mistake is to die of it.
        let script = r#"mount --bind "$0" /tmp && chmod 1777 /tmp && exec env --default-signal=QUIT "$@""#;
        let mut unshare = unshare
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script])
            .arg(tmp.path())
            .arg(format!("LD_PRELOAD={preload}"))
            .arg(Path::new("/tmp").join(PROGRAM))
            .args(WORDS)
            .env(ROLE, fault)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut said = BufReader::new(unshare.stderr.take().expect("piped"));
        await_line(&mut said, READY);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", unshare.id())).expect("its children");
        let pid = children.trim().parse().expect("one child");
        let semaphores = File::open(format!("/proc/{pid}/ns/ipc")).expect("its namespace");
        Jvm { pid, tmp, unshare, said, semaphores, wakes: 0 }
    }

    fn common(&self) -> PathBuf {
        self.tmp.path().join(COMMON)
    }

    pub(crate) fn reply_info(&self) -> PathBuf {
        self.common().join("1/replyInfo")
    }

    /// What it has to be woken for, and one at a time.
    pub(crate) fn locks(&self) -> Vec<PathBuf> {
        let syncs = ENDED.iter().copied().chain(["1"]).map(|pid| self.common().join(pid).join(SYNC));
        syncs.chain([self.common().join("_attachlock")]).collect()
    }

    pub(crate) fn await_woken(&mut self) {
        await_line(&mut self.said, WOKEN);
    }

    pub(crate) fn await_detached(&mut self) {
        await_line(&mut self.said, DETACHED);
    }

    /// How often it was woken since this was asked.
    pub(crate) fn new_wakes(&mut self) -> u32 {
        self.unshare.stdin.as_mut().expect("piped").write_all(b"\n").expect("it listens");
        let mut line = String::new();
        let wakes = loop {
            line.clear();
            assert!(self.said.read_line(&mut line).expect("its words") > 0, "it has ended");
            if let Ok(wakes) = line.trim().parse::<u32>() {
                break wakes;
            }
        };
        wakes - std::mem::replace(&mut self.wakes, wakes)
    }

    /// That there is nothing in the semaphore, no file of ours, and no lock.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert!(!self.has_tokens(), "something is left in the semaphore");
        assert!(!self.reply_info().exists(), "replyInfo is left");
        for lock in self.locks() {
            File::open(&lock).expect("opened").try_lock().unwrap_or_else(|_| panic!("{} is locked", lock.display()));
        }
    }

    /// Whether somebody would be woken.
    pub(crate) fn has_tokens(&self) -> bool {
        let namespace = format!("--ipc=/proc/{}/fd/{}", std::process::id(), self.semaphores.as_raw_fd());
        let mut looker = Command::new("nsenter");
        looker.arg(namespace).arg(own_program()).args(WORDS).env(ROLE, TOKENS).env(COMMON_AT, self.common());
        let output = looker.output().expect("nsenter");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr).lines().find_map(|line| line.parse().ok()).expect("true or false")
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.unshare.try_wait().expect("a child").is_none()
    }
}

fn await_line(said: &mut BufReader<ChildStderr>, wanted: &str) {
    let mut line = String::new();
    while line.trim_end() != wanted {
        line.clear();
        assert!(said.read_line(&mut line).expect("its words") > 0, "it ended before it said {wanted}");
        if line.contains("panicked") {
            let mut rest = String::new();
            let _ = said.read_line(&mut rest);
            panic!("{line}{rest}");
        }
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
