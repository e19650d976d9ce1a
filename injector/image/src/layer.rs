//! One layer: a tar of sorted entries that all belong to root and carry no time.

use std::collections::BTreeMap;
use std::io;

use tar::{Builder, EntryType, Header};

use crate::EPOCH;

/// A layer in the making. Paths are relative to the image's root, with `/` between their parts.
#[derive(Debug, Default)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: String },
}

impl Layer {
    /// Adds a folder with these permissions.
    pub fn folder(&mut self, path: impl Into<String>, mode: u32) {
        self.add(path.into(), Entry::Folder { mode });
    }

    /// Adds a file with these permissions.
    pub fn file(&mut self, path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.add(path.into(), Entry::File { mode, bytes: bytes.into() });
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.add(path.into(), Entry::Link { target: target.into() });
    }

    /// The layer as an uncompressed tar.
    ///
    /// # Errors
    /// For a path that a tar cannot hold.
    pub fn to_tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mtime(EPOCH);
            header.set_uid(0);
            header.set_gid(0);
            match entry {
                Entry::Folder { mode } => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    // Without the slash some readers take a folder for a file.
                    tar.append_data(&mut header, format!("{path}/"), &[][..])
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
            }
            .map_err(|error| io::Error::new(error.kind(), format!("failed to add {path} to a layer: {error}")))?;
        }
        tar.into_inner()
    }

    /// Adds what is at that path, and the folders above it that are not there yet.
    fn add(&mut self, path: String, entry: Entry) {
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry::Folder { mode: 0o755 });
        }
        self.entries.insert(path, entry);
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
