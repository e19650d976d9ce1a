//! The lab's own mounts: overlays, tmpfs, and their removal.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::error::{IoContext, Result};

/// An overlay of the read-only `lower` with its own `upper`; all directories but `lower` are created.
pub(super) fn overlay(lower: &Path, upper: &Path, work: &Path, target: &Path) -> Result<()> {
    for directory in [upper, work, target] {
        fs::create_dir_all(directory).context("create", directory)?;
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let options = std::ffi::CString::new(options).map_err(io::Error::from).context("mount", target)?;
    mount("overlay", target, "overlay", MountFlags::empty(), Some(options.as_c_str()))
        .context("mount the overlay (the state directory must not itself be on one)", target)
}

/// A tmpfs with `options` as mount(8) takes them; `target` is created.
pub(super) fn tmpfs(target: &Path, flags: MountFlags, options: &str) -> Result<()> {
    fs::create_dir_all(target).context("create", target)?;
    let options = std::ffi::CString::new(options).map_err(io::Error::from).context("mount", target)?;
    mount("tmpfs", target, "tmpfs", flags, Some(options.as_c_str())).context("mount a tmpfs at", target)
}

/// Unmounts everything at or below `directory`, the last mount first. Lazily: a process that is ending may still
/// stand in it.
pub(super) fn unmount_below(directory: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("read", "/proc/self/mountinfo")?;
    for target in table.lines().rev().filter_map(mount_point).filter(|target| target.starts_with(directory)) {
        match unmount(&target, UnmountFlags::DETACH) {
            // Gone with one that it was mounted on.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            result => result.context("unmount", &target)?,
        }
    }
    Ok(())
}

/// The fifth field; blanks, tabs, line ends and backslashes are written in octal.
fn mount_point(line: &str) -> Option<PathBuf> {
    let field = line.split(' ').nth(4)?;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_blanks_in_mount_points_are_read() {
        let line = r"36 35 98:0 / /a\040b\134c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from(r"/a b\c")));
    }
}
