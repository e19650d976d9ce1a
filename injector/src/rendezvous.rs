//! Where `session` finds `hold`: a Unix socket in the container's own /tmp or, where the root filesystem is read-only, in
//! /dev/shm, which every container of the pod sees. Never an abstract one: those belong to the pod's network namespace.
//!
//! The name holds the inode of the mount namespace. It is the one thing that two processes of a container share and no
//! other container has, visible from inside under every runtime; the container's id is not (a cgroup namespace hides it).

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::sys::wait::{Wanted, wait};

const DIRECTORIES: [&str; 2] = ["/tmp", "/dev/shm"];

/// The socket of this container in `directory`.
fn path(directory: &str) -> io::Result<PathBuf> {
    let inode = mount_namespace("self")?;
    Ok(Path::new(directory).join(format!(".jattach-hold-{inode:x}.sock")))
}

/// The socket that `hold` listens on, and its path. It appears with everything in place: bound under another name,
/// listening, and then renamed, so that who sees it can connect.
pub(crate) fn listen() -> io::Result<(UnixListener, PathBuf)> {
    let mut last = Error::from(ErrorKind::NotFound);
    for directory in DIRECTORIES {
        match path(directory).and_then(|path| listen_at(&path)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_at(path: &Path) -> io::Result<(UnixListener, PathBuf)> {
    if UnixStream::connect(path).is_ok() {
        return Err(Error::new(ErrorKind::AddrInUse, "another hold runs in this container"));
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    // What a hold that was killed has left; its name is ours alone.
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    Ok((listener, path.to_owned()))
}

/// A connection to this container's `hold`, which may be about to start: waited for until `deadline`.
pub(crate) fn connect(deadline: Instant) -> io::Result<UnixStream> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    for directory in DIRECTORIES {
        // A directory that cannot be watched cannot hold the socket either.
        let _ = inotify.add_watch(directory, AddWatchFlags::IN_MOVED_TO);
    }
    loop {
        let mut last = Error::from(ErrorKind::NotFound);
        for directory in DIRECTORIES {
            match path(directory).and_then(|path| connect_at(&path)) {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(error),
                Err(error) => last = error,
            }
        }
        let [appeared] = wait([Wanted::read(inotify.as_fd())], Some(deadline))?;
        if !appeared {
            return Err(last);
        }
        let _ = inotify.read_events();
    }
}

/// Connects, and makes sure that it is `hold` of this container that answers: in /dev/shm anybody of the pod can put a
/// socket of that name.
fn connect_at(path: &Path) -> io::Result<UnixStream> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(Error::new(ErrorKind::PermissionDenied, format!("{} is no socket", path.display())));
    }
    let stream = UnixStream::connect(path)?;
    if is_of_this_container(&stream) {
        return Ok(stream);
    }
    Err(Error::new(
        ErrorKind::PermissionDenied,
        format!("a process of another container listens on {}", path.display()),
    ))
}

/// Whether the process that made the other end of `stream` belongs to this container. To be asked by both ends: a uid is
/// no answer, since two containers of a pod may have the same, and root has everybody's.
pub(crate) fn is_of_this_container(stream: &UnixStream) -> bool {
    // A process that our PID namespace does not show has pid 0, and no directory of that name exists.
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| shares_container(&peer.pid().to_string()).unwrap_or(false))
}

/// The mount namespace tells. Where it may not be looked at, because one of the two is a root that has become the target's
/// user, the control groups do, which anybody may read: as one reader sees them, they are the same text for processes of
/// one container only.
fn shares_container(pid: &str) -> io::Result<bool> {
    match mount_namespace(pid) {
        Ok(theirs) => Ok(theirs == mount_namespace("self")?),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Ok(control_groups(pid)? == control_groups("self")?)
        }
        Err(error) => Err(error),
    }
}

fn mount_namespace(pid: &str) -> io::Result<u64> {
    fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|file| file.ino())
}

fn control_groups(pid: &str) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cgroup"))
}
