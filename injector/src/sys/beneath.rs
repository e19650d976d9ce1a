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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sys::Kernel;

    /// A root directory, and beside it what must never be reached.
    fn root() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("root/a/b")).expect("created");
        for file in ["outside", "root/top", "root/a/inner", "root/a/b/deep"] {
            fs::write(path(file), file).expect("written");
        }
        for (target, link) in [
            ("/a/b/deep", "absolute"),
            ("a/../top", "relative"),
            ("../../../../outside", "escape"),
            ("/../outside", "escape-absolute"),
            ("../b", "a/b/up"),
            ("/a", "a/b/home"),
            ("loop", "loop"),
            ("/proc/self/root", "magic"),
            ("new-by-link", "dangling"),
        ] {
            symlink(target, path("root").join(link)).expect("linked");
        }
        let root = fs::File::open(path("root")).expect("opened").into();
        (folder, root)
    }

    fn content(opened: Result<OwnedFd>) -> Result<String> {
        let mut text = String::new();
        let mut file = fs::File::from(opened?);
        std::io::Read::read_to_string(&mut file, &mut text).map(|_| text).map_err(|_| Errno::EIO)
    }

    #[test]
    fn the_walk_ends_where_the_kernel_ends() {
        let (_folder, root) = root();
        for path in [
            "top",
            "/top",
            "//a/./inner",
            "a/b/../inner",
            "a/b/../../../../top",
            "absolute",
            "relative",
            "a/b/up/deep",
            "a/b/home/inner",
            "a/b/home/../top",
            "escape",
            "escape-absolute",
            "../outside",
            "loop",
            "top/below",
            "no/such",
            "magic/top",
        ] {
            for flags in [OFlag::O_RDONLY, OFlag::O_RDONLY | OFlag::O_NOFOLLOW] {
                let walked = content(walk(&Kernel, root.as_fd(), path.as_bytes(), flags));
                let kernels = content(Kernel.open_at_root(root.as_fd(), path.as_bytes(), flags));
                assert_eq!(walked, kernels, "{path} {flags:?}");
                assert_ne!(walked.as_deref(), Ok("outside"), "{path}");
            }
        }
    }

    #[test]
    fn a_directory_is_opened_by_the_empty_rest_of_a_path_too() {
        let (folder, root) = root();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        for (path, expected) in [("/", "root"), ("a/b/..", "root/a"), ("a/b/home", "root/a"), ("..", "root")] {
            let seen = fstat(walk(&Kernel, root.as_fd(), path.as_bytes(), flags).expect(path)).expect("seen");
            let wanted = fs::metadata(folder.path().join(expected)).expect("there");
            assert_eq!(seen.st_ino, std::os::unix::fs::MetadataExt::ino(&wanted), "{path}");
        }
    }
}
