//! The injector's image, and its root filesystem for the Dockerfile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::disk;
use crate::arch::Arch;
use crate::static_build::SIZE_TARGET;
use crate::workspace::Workspace;

/// What the image may weigh as it is pulled, in bytes: layers compressed, manifest and configuration. It is what it weighs and
/// 1 %, and is only to fall.
const PULL_TARGET: u64 = 198_900;

/// Writes target/images/injector.tar around the binary at `injector`, and target/rootfs for the Dockerfile's stage
/// `prebuilt`. Returns the archive's path.
pub(crate) fn write(workspace: &Workspace, arch: Arch, injector: &Path) -> Result<PathBuf> {
    let binary = fs::read(injector).with_context(|| format!("failed to read {}", injector.display()))?;
    write_rootfs(&rootfs(workspace, arch), &binary)?;
    let path = workspace.images().join("injector.tar");
    // A binary that misses its own target was made another way, or by hand, and that was said.
    let weighed = arch == Arch::X86_64 && binary.len() as u64 <= SIZE_TARGET;
    let archive = jattach_image::image(&workspace.injector_image(), &[(arch.of_image(), binary)])?;
    eprintln!("image for {}: {} bytes to pull, of {PULL_TARGET} that it may have", arch.oci(), archive.size);
    ensure!(
        !weighed || archive.size <= PULL_TARGET,
        "the image is larger than it may be: xtask/src/static_build.rs has the levers"
    );
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
