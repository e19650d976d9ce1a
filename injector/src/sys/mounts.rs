//! Mounting where a directory handle leads, and not by a path that somebody else may change.

use std::os::fd::BorrowedFd;

use nix::Result;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::fchdir;

/// A file system for a few sockets and empty files, open to everybody as a /tmp is.
const OPTIONS: &str = "size=1m,nr_inodes=1k,mode=1777";

/// A tmpfs over the directory, which has to be in our mount namespace. Our working directory becomes what lies below.
pub(super) fn mount_over(directory: BorrowedFd<'_>, source: &str) -> Result<()> {
    fchdir(directory)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(source), ".", Some("tmpfs"), flags, Some(OPTIONS))
}

/// Takes away what is mounted there: at once for who opens it anew, later for who has it open. The handle is that of the mount's
/// own root, not of what lies below.
pub(super) fn unmount(directory: BorrowedFd<'_>) -> Result<()> {
    fchdir(directory)?;
    umount2(".", MntFlags::MNT_DETACH)
}
