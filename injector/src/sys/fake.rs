//! A [`Sys`] for tests: a process made of files in a temporary directory. Files are opened for real; what would act on
//! another process or change our identity is recorded, answered as the test wants, and not done.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;

use super::{Kernel, Peer, Sys};
use crate::process::Status;

/// The pid of the process that a [`Fake`] has.
pub(crate) const PID: u32 = 4711;
/// The same in its own namespace.
pub(crate) const INNER_PID: u32 = 7;

/// What a call brings about.
type Handler = Box<dyn FnMut() + Send>;

/// See the module.
pub(crate) struct Fake {
    directory: TempDir,
    calls: Mutex<Vec<String>>,
    errors: Mutex<Vec<(&'static str, Errno)>>,
    handlers: Mutex<Vec<(&'static str, Handler)>>,
    /// The value of the one semaphore there is.
    pub(crate) semaphore: Mutex<i32>,
    /// Who listens on the socket.
    pub(crate) peer: Peer,
    /// The process is closed to its own user: the files of its /proc directory are root's.
    pub(crate) closed: bool,
}

impl Fake {
    /// A process that is a willing JVM, owned by us, without a socket.
    pub(crate) fn jvm() -> Fake {
        let fake = Fake {
            directory: TempDir::new().expect("a temporary directory"),
            calls: Mutex::default(),
            errors: Mutex::default(),
            handlers: Mutex::default(),
            semaphore: Mutex::default(),
            peer: Peer { pid: PID, uid: geteuid().as_raw(), gid: getegid().as_raw() },
            closed: false,
        };
        for directory in ["proc/root/tmp", "proc/cwd", "proc/attr", "self/attr"] {
            std::fs::create_dir_all(fake.directory.path().join(directory)).expect("created");
        }
        fake.write("proc/stat", "4711 (java) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 0");
        fake.write("proc/maps", "7f00-7f01 r-xp 00000000 00:00 1 /opt/jdk/lib/server/libjvm.so\n");
        fake.set_status(&[]);
        fake.set_own_status(&[]);
        fake
    }

    /// The status of the process, with lines replaced: ("State", "T (stopped)").
    pub(crate) fn set_status(&self, changes: &[(&str, &str)]) {
        self.write("proc/status", &status_text(&format!("{PID}\t{INNER_PID}"), changes));
    }

    /// Our own status, with lines replaced.
    pub(crate) fn set_own_status(&self, changes: &[(&str, &str)]) {
        self.write("self/status", &status_text("1234", changes));
    }

    /// Writes a file of `/proc/T` ("proc/maps") or of its root ("proc/root/tmp/x").
    pub(crate) fn write(&self, path: &str, content: &str) {
        std::fs::write(self.path(path), content).expect("written");
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Makes every further call of that name fail, or those alone that are recorded with these words; and of all that is
    /// opened what "open NAME" names.
    pub(crate) fn refuse(&self, call: &'static str, errno: Errno) {
        self.errors.lock().expect("no panic").push((call, errno));
    }

    /// What happens when the process gets a signal.
    pub(crate) fn on_signal(&self, handler: impl FnMut() + Send + 'static) {
        self.on("signal", handler);
    }

    /// What happens at each call of that name before it is carried out.
    pub(crate) fn on(&self, call: &'static str, handler: impl FnMut() + Send + 'static) {
        self.handlers.lock().expect("no panic").push((call, Box::new(handler)));
    }

    /// What was done, in order, in the words of the calls below.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }

    fn record(&self, call: &'static str, what: &str) -> Result<()> {
        let words = if what.is_empty() { call.to_string() } else { format!("{call} {what}") };
        self.calls.lock().expect("no panic").push(words.clone());
        self.happens(call);
        self.allowed(call).and_then(|()| self.allowed(&words))
    }

    fn allowed(&self, call: &str) -> Result<()> {
        let errors = self.errors.lock().expect("no panic");
        errors.iter().find(|(name, _)| *name == call).map_or(Ok(()), |(_, errno)| Err(*errno))
    }

    fn happens(&self, call: &str) {
        for (_, handler) in self.handlers.lock().expect("no panic").iter_mut().filter(|(name, _)| *name == call) {
            handler();
        }
    }

    fn open(&self, path: &str) -> Result<OwnedFd> {
        let file = std::fs::File::open(self.path(path)).map_err(|_| Errno::ENOENT)?;
        Ok(file.into())
    }
}

fn status_text(namespace_pids: &str, changes: &[(&str, &str)]) -> String {
    let (uid, gid) = (geteuid(), getegid());
    let mut text = String::new();
    for (name, value) in [
        ("Name", "java".to_string()),
        ("State", "S (sleeping)".to_string()),
        ("Uid", format!("{uid}\t{uid}\t{uid}\t{uid}")),
        ("Gid", format!("{gid}\t{gid}\t{gid}\t{gid}")),
        ("Groups", String::new()),
        ("NStgid", namespace_pids.to_string()),
        ("SigIgn", "0000000000000000".to_string()),
        ("SigCgt", "2000000181005ccf".to_string()),
        ("CapPrm", "0000000000000000".to_string()),
        ("CapEff", "0000000000000000".to_string()),
    ] {
        let changed = changes.iter().find(|(changed, _)| *changed == name);
        let value = changed.map_or(value.as_str(), |(_, value)| value);
        text.push_str(&format!("{name}:\t{value}\n"));
    }
    text
}

impl Sys for Fake {
    fn proc_dir(&self, pid: u32) -> Result<OwnedFd> {
        if pid == PID { self.open("proc") } else { Err(Errno::ENOENT) }
    }

    fn own_proc_dir(&self) -> Result<OwnedFd> {
        self.open("self")
    }

    fn owner(&self, _dir: BorrowedFd<'_>, _path: &[u8]) -> Result<u32> {
        let status = std::fs::read(self.path("proc/status")).expect("written");
        let its = Status::parse(&status).expect("a status").uid.effective;
        Ok(if self.closed { 0 } else { its })
    }

    fn open_at(&self, dir: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
        if flags.contains(OFlag::O_CREAT) {
            self.record("create", &String::from_utf8_lossy(path))?;
        }
        self.allowed(&format!("open {}", String::from_utf8_lossy(path)))?;
        Kernel.open_at(dir, path, flags)
    }

    fn open_at_root(&self, root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
        self.allowed("openat2")?;
        Kernel.open_at_root(root, path, flags)
    }

    fn pidfd_open(&self, _pid: u32) -> Result<OwnedFd> {
        self.allowed("pidfd_open")?;
        // A descriptor that never becomes readable, as a pidfd of a process that lives.
        let (reader, writer) = std::io::pipe().map_err(|_| Errno::EMFILE)?;
        std::mem::forget(writer);
        Ok(reader.into())
    }

    fn pidfd_send_signal(&self, _pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
        self.record("pidfd_send_signal", signal.as_str())?;
        self.happens("signal");
        Ok(())
    }

    fn kill(&self, pid: u32, signal: Signal) -> Result<()> {
        self.record("kill", &format!("{pid} {}", signal.as_str()))?;
        self.happens("signal");
        Ok(())
    }

    fn connect(&self, socket: BorrowedFd<'_>, limit: Duration) -> Result<OwnedFd> {
        let stream = Kernel.connect(socket, limit)?;
        self.record("connect", "").map(|()| stream)
    }

    fn peer(&self, stream: BorrowedFd<'_>) -> Result<Peer> {
        Kernel.peer(stream.as_fd()).map(|_| self.peer)
    }

    fn semaphore(&self, _key: i32) -> Result<i32> {
        self.record("semget", "").map(|()| 0)
    }

    fn semop(&self, _semaphore: i32, steps: &[(i16, i16)]) -> Result<()> {
        let amounts: Vec<String> = steps.iter().map(|(amount, _)| format!("{amount:+}")).collect();
        self.record("semop", &amounts.join(" "))?;
        let mut value = self.semaphore.lock().expect("no panic");
        let mut after = *value;
        for (amount, _) in steps {
            after += i32::from(*amount);
            if after < 0 {
                return Err(Errno::EAGAIN);
            }
        }
        *value = after;
        Ok(())
    }

    fn enter_namespace(&self, namespace: BorrowedFd<'_>) -> Result<()> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", namespace.as_raw_fd())).expect("a path");
        self.record("setns", if path.starts_with(self.path("self")) { "own" } else { "theirs" })
    }

    fn mount_over(&self, _directory: BorrowedFd<'_>, source: &str) -> Result<()> {
        self.record("mount", source)
    }

    fn unmount(&self, _root: BorrowedFd<'_>) -> Result<()> {
        self.record("umount", "")
    }

    fn set_groups(&self, groups: &[u32]) -> Result<()> {
        self.record("setgroups", &format!("{groups:?}"))
    }

    fn set_gid(&self, gid: u32) -> Result<()> {
        self.record("setresgid", &gid.to_string())
    }

    fn set_uid(&self, uid: u32) -> Result<()> {
        self.record("setresuid", &uid.to_string())
    }

    fn set_capabilities(&self, capabilities: u64) -> Result<()> {
        self.record("capset", &format!("{capabilities:x}"))
    }

    fn set_dumpable(&self, dumpable: bool) -> Result<()> {
        self.record(if dumpable { "dumpable" } else { "not dumpable" }, "")
    }

    fn set_fs_ids(&self, uid: u32, gid: u32) {
        let _ = self.record("setfsids", &format!("{uid}:{gid}"));
    }
}
