//! Opening a path of the target's without being led out of its root.
//!
//! The target owns everything below `/proc/T/root`: a symbolic link there may point anywhere, and the kernel would follow
//! an absolute one from *our* root. openat2(2) has RESOLVE_IN_ROOT for that; where it is missing, or where a seccomp
//! profile refuses it with EPERM, [`walk`] does the same, one component at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{SFlag, fstat};

use super::Sys;

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Opens `path` as a process whose root directory is `root` would, following no magic link. A last component that is a
/// symbolic link is followed unless `flags` hold O_NOFOLLOW.
pub(crate) fn open_in_root(sys: &dyn Sys, root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
    match sys.open_at_root(root, path, flags) {
        Err(Errno::ENOSYS | Errno::EPERM) => walk(sys, root, path, flags),
        result => result,
    }
}

/// The same without openat2: `parents` is the chain of directories from the root down, so that ".." never leaves it.
fn walk(sys: &dyn Sys, root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> Result<OwnedFd> {
    let mut parents: Vec<OwnedFd> = Vec::new();
    let mut rest: Vec<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == b".." {
            parents.pop();
            continue;
        }
        let here = parents.last().map_or(root, |directory| directory.as_fd());
        if rest.is_empty() && flags.contains(OFlag::O_NOFOLLOW) {
            return sys.open_at(here, &name, flags);
        }
        let found = match sys.open_at(here, &name, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Err(Errno::ENOENT) if rest.is_empty() && flags.contains(OFlag::O_CREAT) => {
                return sys.open_at(here, &name, flags | OFlag::O_NOFOLLOW);
            }
            found => found?,
        };
        if !is_symlink(found.as_fd())? {
            if rest.is_empty() {
                return sys.open_at(here, &name, flags | OFlag::O_NOFOLLOW);
            }
            parents.push(found);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let target = readlinkat(&found, "")?;
        let target = std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str());
        if target.starts_with(b"/") {
            parents.clear();
        }
        rest.extend(components(target));
    }
    let here = parents.last().map_or(root, |directory| directory.as_fd());
    sys.open_at(here, b".", flags)
}

/// The components of a path, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    let mut names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
    names.reverse();
    names
}

fn is_symlink(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK)
}
