//! The JVM's socket, `/tmp/.java_pidN` in the target's root: reached without being led elsewhere, and believed only when
//! the target itself listens on it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};

use crate::jvm::clash;
use crate::process::Target;
use crate::process::identity::explain_refusal;
use crate::sys::describe;

/// The target's /tmp, where the JVM puts its socket and looks for the trigger file. HotSpot takes no other directory,
/// whatever java.io.tmpdir says.
pub(super) struct MeetingPlace<'t> {
    pub(super) target: &'t Target<'t>,
    /// Opened O_PATH.
    pub(super) directory: OwnedFd,
    /// The target's pid in its own namespace, as it stands in the files' names.
    pub(super) inner_pid: u32,
}

/// What became of an attempt to connect.
pub(super) enum Attempt {
    /// The target itself listens.
    Connected(OwnedFd),
    /// No socket, or one that was left behind.
    NobodyListens,
}

impl<'t> MeetingPlace<'t> {
    pub(super) fn open(target: &'t Target<'t>) -> Result<MeetingPlace<'t>, Failure> {
        let inner_pid = target.status()?.inner_pid();
        target.root().map_err(|errno| explain_refusal(target, &format!("/proc/{}/root", target.pid()), errno))?;
        let directory =
            target.open_in_root(b"/tmp", OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(|errno| match errno {
                Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => no_tmp(target, errno),
                _ => explain_refusal(target, &format!("/proc/{}/root/tmp", target.pid()), errno),
            })?;
        Ok(MeetingPlace { target, directory, inner_pid })
    }

    /// The name of the socket in the directory.
    pub(super) fn socket_name(&self) -> String {
        format!(".java_pid{}", self.inner_pid)
    }

    /// How a path in the directory is called in messages.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/proc/{}/root/tmp/{name}", self.target.pid())
    }

    /// Connects, if somebody listens; fails if that is anybody but the target.
    pub(super) fn connect(&self, limit: Duration) -> Result<Attempt, Failure> {
        let name = self.socket_name();
        let sys = self.target.sys();
        let refused = |errno| explain_refusal(self.target, &self.path(&name), errno);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let socket = match sys.open_at(self.directory.as_fd(), name.as_bytes(), flags) {
            Ok(socket) => socket,
            Err(Errno::ENOENT) => return Ok(Attempt::NobodyListens),
            Err(errno) => return Err(refused(errno)),
        };
        let mode = fstat(&socket).map_err(refused)?.st_mode;
        if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFSOCK {
            return Err(Failure::new(Code::NotAttachable, "something else stands where the JVM's socket belongs")
                .evidence(format!("{} is no socket (mode {mode:o})", self.path(&name)))
                .remedy("remove it in the target"));
        }
        match sys.connect(socket.as_fd(), limit) {
            Ok(stream) => self.check_peer(stream),
            Err(Errno::ECONNREFUSED) => Ok(Attempt::NobodyListens),
            Err(Errno::EAGAIN) => Err(Failure::new(Code::NoAnswer, "the JVM's attach listener is busy")
                .evidence(format!("{}: connections wait in line", self.path(&name)))
                .remedy("another tool holds it; try again when that is done")),
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Two containers that share a volume at /tmp, with JVMs of the same inner pid, share the socket's name too.
    fn check_peer(&self, stream: OwnedFd) -> Result<Attempt, Failure> {
        let target = self.target;
        let sys = target.sys();
        let peer = sys.peer(stream.as_fd()).map_err(|errno| explain_refusal(target, "SO_PEERCRED", errno))?;
        let uid = target.status()?.uid.effective;
        if (peer.pid, peer.uid) == (target.pid(), uid) {
            return Ok(Attempt::Connected(stream));
        }
        let who = match peer.pid {
            0 => "a process outside our PID namespace".to_string(),
            pid => format!("process {pid}"),
        };
        let path = self.path(&self.socket_name());
        Err(clash(
            format!("{who} listens on the socket of process {}", target.pid()),
            format!("{path}: peer pid {} uid {}; target pid {} uid {uid}", peer.pid, peer.uid, target.pid()),
        ))
    }
}

fn no_tmp(target: &Target<'_>, errno: Errno) -> Failure {
    Failure::new(Code::TmpNotWritable, "the target has no /tmp, where HotSpot's attach files have to be")
        .evidence(format!("/proc/{}/root/tmp: {}", target.pid(), describe(errno)))
        .remedy("mount an emptyDir at /tmp")
}
