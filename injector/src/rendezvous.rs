//! Where `session` finds `hold`: a Unix socket in the container's own /tmp or, where the root filesystem is read-only, in
//! /dev/shm, which every container of the pod sees. Never an abstract one: those belong to the pod's network namespace.
//!
//! The name holds the inode of the mount namespace. It is the one thing that two processes of a container share and no
//! other container has, visible from inside under every runtime; the container's id is not (a cgroup namespace hides it).

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::process::read_own;
use crate::sys::arrivals::Arrivals;
use crate::sys::{Kernel, Sys};

const DIRECTORIES: [&str; 2] = ["/tmp", "/dev/shm"];

/// How long a socket that takes no connections at once is given. hold accepts before it does anything else.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The name of this container's socket.
fn name() -> io::Result<String> {
    Ok(format!(".jattach-hold-{:x}.sock", mount_namespace("self")?))
}

/// The socket of this container in `directory`.
fn path(directory: &str) -> io::Result<PathBuf> {
    Ok(Path::new(directory).join(name()?))
}

/// The socket that `hold` listens on, and its path. It appears with everything in place: bound under another name,
/// listening, and then renamed, so that who sees it can connect.
pub(crate) fn listen() -> io::Result<(UnixListener, PathBuf)> {
    listen_in(&DIRECTORIES)
}

fn listen_in(directories: &[&str]) -> io::Result<(UnixListener, PathBuf)> {
    let mut last = Error::from(ErrorKind::NotFound);
    for directory in directories {
        match path(directory).and_then(|path| listen_at(&path)) {
            Ok(socket) => return Ok(socket),
            // Not beside it in the next directory either: who listens first has the container.
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_at(path: &Path) -> io::Result<(UnixListener, PathBuf)> {
    if connect_at(path).is_ok() {
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
    connect_in(&DIRECTORIES, deadline)
}

fn connect_in(directories: &[&str], deadline: Instant) -> io::Result<UnixStream> {
    let mut arrivals = None;
    loop {
        // A socket that is not ours is worth telling of, but need not be the last word: hold may be about to start.
        let mut reason = Error::from(ErrorKind::NotFound);
        for directory in directories {
            match path(directory).and_then(|path| connect_at(&path)) {
                Ok(stream) => return Ok(stream),
                Err(error) if reason.kind() == ErrorKind::NotFound => reason = error,
                Err(_) => {}
            }
        }
        // Only now, and followed by another look: where hold runs already, no inotify instance is taken.
        match &arrivals {
            None => arrivals = Some(Arrivals::watch(directories)),
            Some(_) if Instant::now() >= deadline => return Err(reason),
            Some(arrivals) => arrivals.wait_for(&name()?, deadline)?,
        }
    }
}

/// Connects, and makes sure that it is `hold` of this container that answers: in /dev/shm anybody of the pod can put a
/// socket of that name, and leave it full.
fn connect_at(path: &Path) -> io::Result<UnixStream> {
    let socket = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    if fstat(&socket)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
        return Err(Error::new(ErrorKind::PermissionDenied, format!("{} is no socket", path.display())));
    }
    let stream = UnixStream::from(Kernel.connect(socket.as_fd(), CONNECT_LIMIT)?);
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
    Ok(read_own(&format!("/proc/{pid}/cgroup"))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::thread;

    use nix::sys::socket::{Backlog, listen};
    use tempfile::TempDir;

    use super::*;

    fn directory() -> (TempDir, String) {
        let directory = TempDir::new().expect("a directory");
        let name = directory.path().to_str().expect("UTF-8").to_owned();
        (directory, name)
    }

    #[test]
    fn a_second_hold_is_refused_and_does_not_go_to_the_next_directory() {
        let ((_tmp, tmp), (_shm, shm)) = (directory(), directory());
        let (_listener, _) = listen_in(&[&tmp, &shm]).expect("the first one listens");
        let second = listen_in(&[&tmp, &shm]).expect_err("the second one is refused");
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn a_directory_that_takes_no_socket_leaves_the_next_one() {
        let (_shm, shm) = directory();
        let (_listener, listens) = listen_in(&["/proc", &shm]).expect("it listens");
        assert!(listens.starts_with(&shm));
        connect_in(&["/proc", &shm], Instant::now() + Duration::from_secs(60)).expect("found there");
    }

    #[test]
    fn a_socket_that_was_planted_and_left_full_keeps_nobody_from_hold() {
        let ((_planted, planted), (_own, own)) = (directory(), directory());
        let listener = UnixListener::bind(path(&planted).expect("a name")).expect("bound");
        listen(&listener, Backlog::new(0).expect("valid")).expect("without a queue");
        let _first = UnixStream::connect(path(&planted).expect("a name")).expect("the one that fits");
        let (_hold, _) = listen_in(&[&own]).expect("hold listens");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(connect_in(&[&planted, &own], Instant::now() + Duration::from_secs(60))));
        let found = receiver.recv_timeout(Duration::from_secs(60)).expect("connect ends");
        found.expect("and has found hold");
    }

    #[test]
    fn a_hold_that_starts_later_is_found_when_its_socket_appears() {
        let (_tmp, tmp) = directory();
        let its = tmp.clone();
        let session = thread::spawn(move || connect_in(&[&its], Instant::now() + Duration::from_secs(60)));
        let (_listener, _) = listen_in(&[&tmp]).expect("hold listens");
        session.join().expect("no panic").expect("found");
    }

    #[test]
    fn both_ends_of_a_connection_within_a_container_take_each_other_for_that() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        assert!(is_of_this_container(&ours) && is_of_this_container(&theirs));
        assert!(!shares_container("0").unwrap_or(false), "a process that cannot be seen");
    }

    #[cfg(feature = "root")]
    #[test]
    fn a_process_of_another_mount_namespace_is_of_another_container() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};

        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "echo; read end"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut other = command.spawn().expect("unshare");
        let mut line = String::new();
        BufReader::new(other.stdout.take().expect("piped")).read_line(&mut line).expect("it is there");
        assert!(!shares_container(&other.id().to_string()).expect("its namespace"));
        drop(other.stdin.take());
        other.wait().expect("its end");
    }
}
