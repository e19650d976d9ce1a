//! Images: OCI archives in a directory, looked up by reference, verified, and unpacked once into root filesystems.

mod archive;
mod layer;
mod reference;
pub mod testing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, io};

use archive::{Archive, Named};

/// An unpacked image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The reference, as containerd writes it out.
    pub reference: String,
    /// `sha256:…` of the configuration: what a pod's status shows as imageID.
    pub id: String,
    /// The unpacked layers: an overlay's lower directory, never to be written to.
    pub rootfs: PathBuf,
    pub config: Config,
}

/// What an image says about how it is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `USER`, as it stands there: empty, a number or a name, with or without a group.
    pub user: String,
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub working_dir: Option<PathBuf>,
    /// A name (`SIGTERM`) or a number.
    pub stop_signal: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("image {reference:?} is not present")]
    NotPresent { reference: String },
    #[error("failed to read the image archive {path}: {detail}")]
    Archive { path: PathBuf, detail: String },
    #[error("image archive {path}: {digest} does not match its content")]
    Digest { path: PathBuf, digest: String },
    #[error("image archive {path} has no image for {platform}")]
    Platform { path: PathBuf, platform: String },
    #[error("failed to {operation} {path}")]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub type Result<T> = std::result::Result<T, Error>;

/// The images of one directory. Clones share the cache.
#[derive(Clone, Debug)]
pub struct ImageStore {
    archives: Arc<Path>,
    cache: Arc<Path>,
    /// Held while an image is unpacked, so that each is unpacked once.
    unpacking: Arc<Mutex<()>>,
}

impl ImageStore {
    /// Reads the archives (`*.tar`) of `archives` and unpacks below `cache`, which is created. Archives that appear
    /// later are found as well.
    pub fn open(archives: &Path, cache: &Path) -> Result<Self> {
        fs::create_dir_all(cache).map_err(|source| io_error("create", cache, source))?;
        let store = Self { archives: archives.into(), cache: cache.into(), unpacking: Arc::default() };
        store.list()?;
        Ok(store)
    }

    /// The references of all images there are, as they are named in their archives.
    pub fn list(&self) -> Result<Vec<String>> {
        Ok(self.named()?.into_iter().map(|(_, named)| named.reference).collect())
    }

    /// The image of that reference, unpacked if it is not yet. Blocks for as long as that takes.
    pub fn get(&self, reference: &str) -> Result<Image> {
        let wanted = reference::normalize(reference);
        let found = self.named()?.into_iter().find(|(_, named)| reference::matches(&wanted, named));
        let (archive, named) = found.ok_or_else(|| Error::NotPresent { reference: reference.to_owned() })?;
        let manifest = archive.manifest(&named.descriptor)?;
        let (id, config) = archive.config(&manifest)?;
        let rootfs = self.cache.join(id.replace(':', "-"));
        let _one_at_a_time = self.unpacking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !rootfs.exists() {
            self.unpack(&archive, &manifest, &rootfs)?;
        }
        Ok(Image { reference: reference::normalize(&named.reference), id, rootfs, config })
    }

    /// A root filesystem stands under its final name only when it is whole.
    fn unpack(&self, archive: &Archive, manifest: &oci_spec::image::ImageManifest, rootfs: &Path) -> Result<()> {
        let partial = rootfs.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|source| io_error("remove", &partial, source))?;
        }
        fs::create_dir_all(&partial).map_err(|source| io_error("create", &partial, source))?;
        for layer in manifest.layers() {
            archive.read_layer(layer, |reader| layer::apply(reader, &partial))?;
        }
        fs::rename(&partial, rootfs).map_err(|source| io_error("rename", &partial, source))
    }

    fn named(&self) -> Result<Vec<(Archive, Named)>> {
        let entries = fs::read_dir(&self.archives).map_err(|source| io_error("list", &self.archives, source))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| io_error("list", &self.archives, source))?.path();
            if path.extension().is_some_and(|extension| extension == "tar") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut images = Vec::new();
        for path in paths {
            let archive = Archive::new(path);
            images.extend(archive.named()?.into_iter().map(|named| (archive.clone(), named)));
        }
        Ok(images)
    }
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { operation, path: path.to_owned(), source }
}
