//! One layer: a tar of sorted entries that all belong to root and carry no time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use super::EPOCH;

/// A layer in the making. Paths are relative to the image's root.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: PathBuf },
}

impl Layer {
    /// Adds a folder with these permissions.
    pub(crate) fn folder(&mut self, path: impl AsRef<Path>, mode: u32) {
        self.parents(path.as_ref());
        self.entries.insert(path.as_ref().to_path_buf(), Entry::Folder { mode });
    }

    /// Adds a file with these permissions.
    pub(crate) fn file(&mut self, path: impl AsRef<Path>, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.parents(path.as_ref());
        self.entries.insert(path.as_ref().to_path_buf(), Entry::File { mode, bytes: bytes.into() });
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        self.parents(path.as_ref());
        self.entries.insert(path.as_ref().to_path_buf(), Entry::Link { target: target.into() });
    }

    /// Copies a file of this machine, following links; executable for all if it is for its owner, readable for all.
    pub(crate) fn copy(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
        let executable = fs::metadata(from)?.permissions().mode() & 0o100 != 0;
        self.file(path, if executable { 0o755 } else { 0o644 }, bytes);
        Ok(())
    }

    /// Copies a folder of this machine with all that is below it.
    pub(crate) fn copy_tree(&mut self, path: &Path, from: &Path) -> Result<()> {
        self.folder(path, 0o755);
        for entry in fs::read_dir(from).with_context(|| format!("failed to list {}", from.display()))? {
            let entry = entry?;
            let (inner, outer) = (path.join(entry.file_name()), entry.path());
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                self.link(inner, fs::read_link(&outer)?);
            } else if kind.is_dir() {
                self.copy_tree(&inner, &outer)?;
            } else {
                self.copy(inner, &outer)?;
            }
        }
        Ok(())
    }

    /// The layer as an uncompressed tar.
    pub(crate) fn to_tar(&self) -> Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mtime(EPOCH);
            header.set_uid(0);
            header.set_gid(0);
            let added = match entry {
                Entry::Folder { mode } => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    // Without the slash some readers take a folder for a file.
                    tar.append_data(&mut header, path.join(""), &[][..])
                }
                Entry::File { mode, bytes } => {
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, path, bytes.as_slice())
                }
                Entry::Link { target } => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, path, target)
                }
            };
            added.with_context(|| format!("failed to add {} to a layer", path.display()))?;
        }
        Ok(tar.into_inner()?)
    }

    fn parents(&mut self, path: &Path) {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.entries.entry(parent.to_path_buf()).or_insert(Entry::Folder { mode: 0o755 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(layer: &Layer) -> Vec<(String, u32)> {
        let tar = layer.to_tar().expect("a layer of the test fits in a tar");
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().expect("a tar has entries").map(|entry| {
            let entry = entry.expect("an entry that was just written");
            let path = entry.path().expect("a path").display().to_string();
            (path, entry.header().mode().expect("a mode"))
        });
        entries.collect()
    }

    #[test]
    fn a_layer_is_the_same_whatever_the_order_of_its_making() {
        let (mut one, mut other) = (Layer::default(), Layer::default());
        one.file("b/file", 0o644, "text");
        one.folder("a", 0o1777);
        other.folder("a", 0o1777);
        other.file("b/file", 0o644, "text");
        assert_eq!(one.to_tar().expect("fits"), other.to_tar().expect("fits"));
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_keep_their_mode() {
        let mut layer = Layer::default();
        layer.file("tmp/x", 0o600, "x");
        layer.folder("tmp", 0o1777);
        assert_eq!(listing(&layer), [("tmp/".to_owned(), 0o1777), ("tmp/x".to_owned(), 0o600)]);
    }
}
