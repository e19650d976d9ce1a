//! The injector's image, and its root filesystem for the Dockerfile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::disk;
use crate::arch::Arch;
use crate::workspace::Workspace;

/// Writes target/images/injector.tar around the binary at `injector`, and target/rootfs for the Dockerfile's stage
/// `prebuilt`. Returns the archive's path.
pub(crate) fn write(workspace: &Workspace, arch: Arch, injector: &Path) -> Result<PathBuf> {
    let binary = fs::read(injector).with_context(|| format!("failed to read {}", injector.display()))?;
    write_rootfs(&rootfs(workspace, arch), &binary)?;
    let path = workspace.images().join("injector.tar");
    let archive = jattach_image::image(&workspace.injector_image(), &[(arch.of_image(), binary)])?;
    disk::write(&path, &archive.bytes)?;
    Ok(path)
}

fn rootfs(workspace: &Workspace, arch: Arch) -> PathBuf {
    workspace.target().join("rootfs").join(arch.oci())
}

/// The layer's content as a folder: a Dockerfile can give /tmp its mode only by copying it with its parent.
pub(super) fn write_rootfs(folder: &Path, binary: &[u8]) -> Result<()> {
    let (injector, tmp) = (folder.join("injector"), folder.join("tmp"));
    fs::create_dir_all(&tmp)
        .and_then(|()| fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)))
        .and_then(|()| fs::write(&injector, binary))
        .and_then(|()| fs::set_permissions(&injector, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("failed to write {}", folder.display()))
}
