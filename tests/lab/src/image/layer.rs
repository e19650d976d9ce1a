//! A layer's changes, laid over the layers below: files, and the whiteouts that stand for removed ones.
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md>

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks the tar stream of a layer into `root`, which holds the layers below it. Extended attributes are not kept.
pub(super) fn apply(layer: &mut dyn Read, root: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(rustix::process::geteuid().is_root());
    archive.set_mask(0);
    let mut own = HashSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = relative(&entry.path()?)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parent = path.parent().unwrap_or(Path::new(""));
        if name == OPAQUE {
            remove_children(root, parent, &own)?;
        } else if let Some(removed) = name.strip_prefix(WHITEOUT) {
            let removed = parent.join(removed);
            if !own.contains(&removed) {
                remove(&root.join(removed))?;
            }
        } else {
            make_way(&root.join(&path), entry.header().entry_type())?;
            entry.unpack_in(root)?;
            own.extend(path.ancestors().map(Path::to_owned));
        }
    }
    Ok(())
}

fn relative(path: &Path) -> io::Result<PathBuf> {
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(io::Error::other(format!("{} leads out of the image", path.display()))),
        }
    }
    Ok(relative)
}

fn remove_children(root: &Path, directory: &Path, own: &HashSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let child = directory.join(name);
        if own.contains(&child) {
            if root.join(&child).symlink_metadata()?.is_dir() {
                remove_children(root, &child, own)?;
            }
        } else {
            remove(&root.join(child))?;
        }
    }
    Ok(())
}

/// A directory replaces anything but a directory, anything else replaces a directory too.
fn make_way(path: &Path, kind: tar::EntryType) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() != kind.is_dir() => remove(path),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    }
}
