//! The injector's image: one binary, one folder, nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::oci::archive::Image;
use crate::oci::config::ContainerConfig;
use crate::oci::layer::Layer;
use crate::workspace::Workspace;

/// Writes target/images/injector.tar around the binary at `injector`, and target/rootfs for the Dockerfile's stage
/// `prebuilt`. Returns the archive's path.
pub(crate) fn write(workspace: &Workspace, arch: Arch, injector: &Path) -> Result<PathBuf> {
    let binary = fs::read(injector).with_context(|| format!("failed to read {}", injector.display()))?;
    write_rootfs(&rootfs(workspace, arch), &binary)?;
    let path = workspace.images().join("injector.tar");
    let image =
        Image { reference: &workspace.injector_image(), arch, config: &config(workspace), layers: &[layer(binary)] };
    image.write(&path)?;
    Ok(path)
}

/// How the image runs; the Dockerfile says the same, and a test compares.
pub(crate) fn config(workspace: &Workspace) -> ContainerConfig {
    let labels = [
        ("title", "kubectl-jattach injector"),
        ("description", "attaches to a JVM from an ephemeral container"),
        ("version", workspace.version()),
        ("licenses", workspace.license()),
        ("vendor", &workspace.authors()),
        ("source", workspace.repository()),
        ("url", workspace.repository()),
    ];
    let labels = labels.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value.to_owned()));
    ContainerConfig {
        // A number, because runAsNonRoot cannot be checked against a name.
        user: "65532:65532".to_owned(),
        // Docker adds a PATH of its own to an image that has none.
        env: vec!["PATH=/".to_owned()],
        entrypoint: vec!["/injector".to_owned()],
        cmd: Vec::new(),
        labels: BTreeMap::from(labels),
    }
}

/// /tmp is there because a uid other than root may write nowhere else in a scratch image.
fn layer(binary: Vec<u8>) -> Layer {
    let mut layer = Layer::default();
    layer.file("injector", 0o755, binary);
    layer.folder("tmp", 0o1777);
    layer
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_binary_gives_the_same_archive_byte_for_byte() {
        let workspace = Workspace::find().expect("tests run in the workspace");
        let archive = || {
            let config = config(&workspace);
            let layers = [layer(b"binary".to_vec())];
            let image =
                Image { reference: "example.test/injector:1", arch: Arch::X86_64, config: &config, layers: &layers };
            image.to_archive().expect("a small image")
        };
        assert_eq!(archive(), archive());
    }

    #[test]
    fn the_user_is_a_number_and_not_root() {
        let config = config(&Workspace::find().expect("tests run in the workspace"));
        let uid: u32 = config.user.split(':').next().and_then(|uid| uid.parse().ok()).expect("a numeric uid");
        assert_ne!(uid, 0);
    }
}
