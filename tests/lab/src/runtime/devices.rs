//! The machine's devices, all of which a privileged container gets.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceBuilder, LinuxDeviceType};
use rustix::fs::{major, minor};

use super::error::Result;

/// Those that a container has mounts or devices of its own for.
const OWN: [&str; 10] = ["pts", "shm", "mqueue", "console", "null", "zero", "full", "random", "urandom", "tty"];

pub(super) fn of_this_machine() -> Result<Vec<LinuxDevice>> {
    let mut devices = Vec::new();
    collect(Path::new("/dev"), &mut devices)?;
    Ok(devices)
}

fn collect(directory: &Path, devices: &mut Vec<LinuxDevice>) -> Result<()> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let own = entry.file_name().to_str().is_some_and(|name| OWN.contains(&name));
        let Some(metadata) = entry.metadata().ok().filter(|_| !own) else { continue };
        let kind = metadata.file_type();
        if kind.is_dir() {
            collect(&entry.path(), devices)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            let kind = if kind.is_block_device() { LinuxDeviceType::B } else { LinuxDeviceType::C };
            let device = LinuxDeviceBuilder::default()
                .path(entry.path())
                .typ(kind)
                .major(i64::from(major(metadata.rdev())))
                .minor(i64::from(minor(metadata.rdev())))
                .file_mode(metadata.mode() & 0o7777)
                .uid(metadata.uid())
                .gid(metadata.gid());
            devices.push(device.build()?);
        }
    }
    Ok(())
}
