//! What a layer takes from this machine, and what an archive leaves there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use jattach_image::Layer;

/// Copying into a layer. Paths are relative to the image's root.
pub(crate) trait FromDisk {
    /// Copies a file of this machine, following links; executable for all if it is for its owner, readable for all.
    fn copy(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()>;
    /// Copies a folder of this machine with all that is below it.
    fn copy_tree(&mut self, path: &Path, from: &Path) -> Result<()>;
}

impl FromDisk for Layer {
    fn copy(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
        let executable = fs::metadata(from)?.permissions().mode() & 0o100 != 0;
        self.file(name(path.as_ref())?, if executable { 0o755 } else { 0o644 }, bytes);
        Ok(())
    }

    fn copy_tree(&mut self, path: &Path, from: &Path) -> Result<()> {
        self.folder(name(path)?, 0o755);
        for entry in fs::read_dir(from).with_context(|| format!("failed to list {}", from.display()))? {
            let entry = entry?;
            let (inner, outer) = (path.join(entry.file_name()), entry.path());
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                self.link(name(&inner)?, name(&fs::read_link(&outer)?)?);
            } else if kind.is_dir() {
                self.copy_tree(&inner, &outer)?;
            } else {
                self.copy(inner, &outer)?;
            }
        }
        Ok(())
    }
}

fn name(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Writes an archive; a reader sees the old file or the new one, never a part.
pub(crate) fn write(path: &Path, archive: &[u8]) -> Result<()> {
    let folder = path.parent().context("an archive has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let unfinished = path.with_extension("tar.part");
    fs::write(&unfinished, archive)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("failed to write {}", path.display()))
}
