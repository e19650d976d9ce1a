//! One OCI archive: a tar file in the OCI image layout. Everything read from it but its index is checked against the
//! digest that names it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Config, Error, Result};

const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// No manifest or configuration comes near this size.
const MAX_DOCUMENT: u64 = 4 << 20;

#[derive(Clone, Debug)]
pub(super) struct Archive {
    path: PathBuf,
}

/// An image of the archive's index.
pub(super) struct Named {
    pub(super) reference: String,
    pub(super) descriptor: Descriptor,
}

impl Archive {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The images that have a reference.
    pub(super) fn named(&self) -> Result<Vec<Named>> {
        let index: ImageIndex = self.entry("index.json", |entry| Ok(serde_json::from_reader(entry)?))?;
        let named = index.manifests().iter().filter_map(|descriptor| {
            let reference = descriptor.annotations().as_ref()?.get(REFERENCE)?.clone();
            Some(Named { reference, descriptor: descriptor.clone() })
        });
        Ok(named.collect())
    }

    /// The manifest, of this machine's platform where there are several.
    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<ImageManifest> {
        if !descriptor.media_type().to_string().contains("index") {
            return self.document(descriptor);
        }
        let index: ImageIndex = self.document(descriptor)?;
        let architecture = architecture();
        let own = index.manifests().iter().find(|entry| {
            entry.platform().as_ref().is_some_and(|platform| platform.architecture().to_string() == architecture)
        });
        self.document(
            own.ok_or_else(|| Error::Platform { path: self.path.clone(), platform: format!("linux/{architecture}") })?,
        )
    }

    /// The image's id and its configuration.
    pub(super) fn config(&self, manifest: &ImageManifest) -> Result<(String, Config)> {
        let document: ImageConfiguration = self.document(manifest.config())?;
        let config = document.config().clone().unwrap_or_default();
        let working_dir = config.working_dir().clone().filter(|dir| !dir.is_empty());
        Ok((
            manifest.config().digest().to_string(),
            Config {
                user: config.user().clone().unwrap_or_default(),
                env: config.env().clone().unwrap_or_default(),
                entrypoint: config.entrypoint().clone().unwrap_or_default(),
                cmd: config.cmd().clone().unwrap_or_default(),
                working_dir: working_dir.map(PathBuf::from),
                stop_signal: config.stop_signal().clone(),
            },
        ))
    }

    /// Hands the layer's tar stream to `read`. What `read` made of it counts only if this succeeds.
    pub(super) fn read_layer(
        &self,
        descriptor: &Descriptor,
        read: impl FnOnce(&mut dyn Read) -> io::Result<()>,
    ) -> Result<()> {
        let media_type = descriptor.media_type().to_string();
        self.blob(descriptor, |blob| {
            if media_type.ends_with("gzip") {
                read(&mut GzDecoder::new(blob))
            } else if media_type.ends_with("tar") {
                read(blob)
            } else {
                Err(io::Error::other(format!("layers of type {media_type} are not supported")))
            }
        })
    }

    fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        self.blob(descriptor, |blob| {
            let mut text = Vec::new();
            blob.take(MAX_DOCUMENT).read_to_end(&mut text)?;
            Ok(serde_json::from_slice(&text)?)
        })
    }

    fn blob<T>(&self, descriptor: &Descriptor, read: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> Result<T> {
        let digest = descriptor.digest();
        let hex = digest.digest();
        let mut actual = None;
        let result = self.entry(&format!("blobs/{}/{hex}", digest.algorithm()), |entry| {
            let mut hashing = Hashing { inner: BufReader::with_capacity(1 << 16, entry), hash: Sha256::new() };
            let value = read(&mut hashing);
            // A reader may stop before the end (tar's padding), the digest is of the whole.
            io::copy(&mut hashing, &mut io::sink())?;
            actual = Some(to_hex(&hashing.hash.finalize()));
            value
        });
        match actual {
            Some(actual) if actual != hex => Err(Error::Digest { path: self.path.clone(), digest: digest.to_string() }),
            _ => result,
        }
    }

    fn entry<T>(&self, name: &str, read: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> Result<T> {
        self.find_entry(name, read).map_err(|error| Error::Archive {
            path: self.path.clone(),
            detail: format!("{name}: {}", with_causes(&error)),
        })
    }

    fn find_entry<T>(&self, name: &str, read: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> io::Result<T> {
        let mut archive = tar::Archive::new(File::open(&self.path)?);
        for entry in archive.entries_with_seek()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            if path.strip_prefix(".").unwrap_or(&path) == Path::new(name) {
                return read(&mut entry);
            }
        }
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// tar's errors name the file, and only their sources what was wrong with it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// This machine's architecture by Go's name, which is what images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::ImageStore;
    use super::super::testing::{ImageBuilder, Layer};
    use super::*;

    fn open(dir: &tempfile::TempDir) -> ImageStore {
        ImageStore::open(dir.path(), &dir.path().join("cache")).expect("a store")
    }

    fn unpacked(layers: &[Layer]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        ImageBuilder::new("localhost/a:1").layers(layers).write(&dir.path().join("a.tar"));
        let image = open(&dir).get("localhost/a:1").expect("the image");
        (dir, image.rootfs)
    }

    #[test]
    fn layers_are_laid_over_each_other_and_modes_survive() {
        use std::os::unix::fs::PermissionsExt;
        let lower = Layer::new().directory("tmp", 0o1777).file("a", b"old").file("b", b"kept");
        let upper = Layer::new().file("a", b"new").gzip();
        let (_dir, root) = unpacked(&[lower, upper]);
        assert_eq!(fs::read(root.join("a")).unwrap(), b"new");
        assert_eq!(fs::read(root.join("b")).unwrap(), b"kept");
        assert_eq!(fs::metadata(root.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    }

    #[test]
    fn whiteouts_remove_what_lies_below_and_nothing_of_their_own_layer() {
        let lower = Layer::new().file("gone", b"").directory("d", 0o755).file("d/old", b"").file("kept", b"");
        let upper = Layer::new().file("d/new", b"").file("d/.wh..wh..opq", b"").file(".wh.gone", b"");
        let (_dir, root) = unpacked(&[lower, upper]);
        assert!(!root.join("gone").exists() && !root.join("d/old").exists());
        assert!(root.join("d/new").exists() && root.join("kept").exists());
        assert!(!root.join(".wh.gone").exists() && !root.join("d/.wh..wh..opq").exists());
    }

    #[test]
    fn a_file_may_take_a_directorys_place() {
        let lower = Layer::new().directory("d", 0o755).file("d/x", b"");
        let (_dir, root) = unpacked(&[lower, Layer::new().file("d", b"file")]);
        assert_eq!(fs::read(root.join("d")).unwrap(), b"file");
    }

    #[test]
    fn an_unknown_reference_is_not_present() {
        let dir = tempfile::tempdir().unwrap();
        ImageBuilder::new("localhost/a:1").write(&dir.path().join("a.tar"));
        let error = open(&dir).get("localhost/a:2").unwrap_err();
        assert!(matches!(error, Error::NotPresent { reference } if reference == "localhost/a:2"));
    }

    #[test]
    fn a_changed_byte_in_a_layer_is_noticed_and_leaves_no_image() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        ImageBuilder::new("localhost/a:1").layers(&[Layer::new().file("a", b"content to damage")]).write(&path);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(7).position(|window| window == b"content").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let store = open(&dir);
        for _ in 0..2 {
            assert!(matches!(store.get("localhost/a:1").unwrap_err(), Error::Digest { .. }));
        }
    }

    #[test]
    fn the_configuration_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let config = serde_json::json!({"User": "10001:10002", "Entrypoint": ["/a"], "Cmd": ["b"], "Env": ["X=1"]});
        ImageBuilder::new("a").config(config).write(&dir.path().join("a.tar"));
        let image = open(&dir).get("docker.io/library/a:latest").unwrap();
        assert_eq!(image.config.user, "10001:10002");
        assert_eq!((image.config.entrypoint, image.config.cmd), (vec!["/a".to_owned()], vec!["b".to_owned()]));
        assert_eq!(image.config.env, ["X=1"]);
        assert!(image.id.starts_with("sha256:"));
    }
}
