//! The image of the hostile injector (`tests/e2e/src/bin/hostile`), as dynamic as cargo has built it. It is never published.

use std::path::Path;

use anyhow::{Context, Result};
use jattach_image::{Archive, Image, Layer, LayerFormat};
use xshell::cmd;

use super::disk::{self, FromDisk};
use super::jvm::resolved;
use crate::arch::Arch;
use crate::workspace::Workspace;

/// Writes target/images/hostile.tar around the program; returns the image's reference.
pub(crate) fn write(workspace: &Workspace, program: &Path) -> Result<String> {
    let sh = workspace.shell()?;
    let mut layer = Layer::default();
    layer.copy("injector", program)?;
    let listing = cmd!(sh, "ldd {program}").quiet().read().context("ldd failed on the hostile injector")?;
    for library in listing.lines().filter_map(resolved) {
        layer.copy(library.strip_prefix("/")?, &library)?;
    }
    layer.folder("tmp", 0o1777);
    let reference = format!("localhost/jattach-test/hostile:{}", workspace.version());
    let (architecture, config) = (Arch::host().of_image(), jattach_image::config());
    let image = Image { architecture, config: &config, layers: &[layer], format: LayerFormat::Tar };
    disk::write(&workspace.images().join("hostile.tar"), &Archive::single(&reference, &image)?.bytes)?;
    Ok(reference)
}
