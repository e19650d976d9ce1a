//! The image of the hostile injector (`tests/e2e/src/bin/hostile`), as dynamic as cargo has built it. It is never published.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::cmd;

use super::injector;
use super::jvm::resolved;
use crate::arch::Arch;
use crate::oci::archive::Image;
use crate::oci::layer::Layer;
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
    let config = injector::config(workspace);
    let image = Image { reference: &reference, arch: Arch::host(), config: &config, layers: &[layer] };
    image.write(&workspace.images().join("hostile.tar"))?;
    Ok(reference)
}
