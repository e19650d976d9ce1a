//! An OCI image layout in one tar, as `docker load`, `podman load`, `skopeo`, `ctr images import` and the lab read it.

use std::io;

use miniz_oxide::deflate::compress_to_vec;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::EPOCH_TEXT;
use crate::config::ContainerConfig;
use crate::layer::Layer;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A processor, as the OCI image specification names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

/// How layers lie in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerFormat {
    /// Quick to write and to read: for images that never travel.
    Tar,
    /// As registries keep them: what is pushed keeps its digest.
    Gzip,
}

/// An image for one processor, ready to be written.
#[derive(Debug)]
pub struct Image<'a> {
    /// The processor that its programs are for.
    pub architecture: Architecture,
    /// How it runs.
    pub config: &'a ContainerConfig,
    /// Lowest first.
    pub layers: &'a [Layer],
    /// How they are kept.
    pub format: LayerFormat,
}

/// An archive in memory.
#[derive(Debug)]
pub struct Archive {
    /// The tar.
    pub bytes: Vec<u8>,
    /// What a registry knows the image by: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// What it takes in a registry, all that its digest leads to, in bytes.
    pub size: u64,
}

impl Archive {
    /// The archive of one image. `reference` is the full one, with a tag.
    ///
    /// # Errors
    /// What the tar writer says.
    pub fn single(reference: &str, image: &Image<'_>) -> io::Result<Archive> {
        let mut blobs = Blobs::default();
        let manifest = blobs.image(image)?;
        blobs.archive(reference, manifest)
    }

    /// The archive of one image for several processors: each node pulls its own.
    ///
    /// # Errors
    /// What the tar writer says.
    pub fn index(reference: &str, images: &[Image<'_>]) -> io::Result<Archive> {
        let mut blobs = Blobs::default();
        let manifests = images.iter().map(|image| blobs.image(image)).collect::<io::Result<Vec<_>>>()?;
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let index = blobs.add(INDEX, index.to_string().into_bytes());
        blobs.archive(reference, index)
    }
}

/// What an archive holds, each thing by its digest.
#[derive(Default)]
struct Blobs {
    tar: Layer,
    size: u64,
}

impl Blobs {
    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (digest(&bytes), bytes.len() as u64);
        self.size += size;
        self.tar.file(format!("blobs/{}", digest.replace(':', "/")), 0o644, bytes);
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    /// Adds all of an image and returns the descriptor of its manifest.
    fn image(&mut self, image: &Image<'_>) -> io::Result<Value> {
        let (mut layers, mut contents) = (Vec::new(), Vec::new());
        for layer in image.layers {
            let tar = layer.to_tar()?;
            contents.push(digest(&tar));
            layers.push(match image.format {
                LayerFormat::Tar => self.add(LAYER, tar),
                LayerFormat::Gzip => self.add(LAYER_GZIP, gzip(&tar)),
            });
        }
        let config = json!({
            "created": EPOCH_TEXT,
            "architecture": image.architecture,
            "os": "linux",
            "config": image.config,
            "rootfs": { "type": "layers", "diff_ids": contents },
        });
        let config = self.add(CONFIG, config.to_string().into_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = self.add(MANIFEST, manifest.to_string().into_bytes());
        manifest["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
        Ok(manifest)
    }

    fn archive(mut self, reference: &str, mut image: Value) -> io::Result<Archive> {
        let digest = image["digest"].as_str().unwrap_or_default().to_owned();
        // containerd and docker read the second name, podman and skopeo the first.
        image["annotations"] = json!({
            "org.opencontainers.image.ref.name": reference,
            "io.containerd.image.name": reference,
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [image] });
        self.tar.file("index.json", 0o644, index.to_string());
        self.tar.file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
        Ok(Archive { bytes: self.tar.to_tar()?, digest, size: self.size })
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A gzip file (RFC 1952) of one member, without a name and a time, which differ from run to run.
///
/// It does not go through flate2: which library that calls is for the whole build to say, and each writes other bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    /// Deflate, no flags, no time, compressed as far as it goes, on a system that is not told.
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];
    const BEST: u8 = 9;
    /// The length is told modulo 2^32.
    const MODULUS: u64 = 1 << 32;
    let length = u32::try_from(bytes.len() as u64 % MODULUS).unwrap_or_default();
    let mut gzip = HEADER.to_vec();
    gzip.extend(compress_to_vec(bytes, BEST));
    gzip.extend(crc32fast::hash(bytes).to_le_bytes());
    gzip.extend(length.to_le_bytes());
    gzip
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// The files of an archive by their names.
    fn files(archive: &Archive) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(archive.bytes.as_slice());
        let entries = tar.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("in memory");
            (name, bytes)
        });
        entries.filter(|(name, _)| !name.ends_with('/')).collect()
    }

    fn parsed(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Value {
        let name = format!("blobs/{}", descriptor["digest"].as_str().expect("a digest").replace(':', "/"));
        let bytes = &files[&name];
        assert_eq!(descriptor["size"], bytes.len());
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn each_processor_finds_its_own_image_behind_the_digest() {
        let (amd64, arm64) = ([crate::layer(b"one".to_vec())], [crate::layer(b"other".to_vec())]);
        let config = crate::config();
        let image = |architecture, layers| Image { architecture, config: &config, layers, format: LayerFormat::Gzip };
        let images = [image(Architecture::Amd64, &amd64), image(Architecture::Arm64, &arm64)];
        let archive = Archive::index("example.test/injector:1", &images).expect("small");
        let files = files(&archive);
        let top: Value = serde_json::from_slice(&files["index.json"]).expect("JSON");
        let index = &top["manifests"][0];
        assert_eq!(
            (index["digest"].as_str(), index["mediaType"].as_str()),
            (Some(archive.digest.as_str()), Some(INDEX))
        );
        assert_eq!(index["annotations"]["org.opencontainers.image.ref.name"], "example.test/injector:1");
        let index = parsed(&files, index);
        for (place, name, program) in [(0, "amd64", &b"one"[..]), (1, "arm64", b"other")] {
            let manifest = &index["manifests"][place];
            assert_eq!(manifest["platform"]["architecture"], name);
            let manifest = parsed(&files, manifest);
            let config = parsed(&files, &manifest["config"]);
            assert_eq!(config["architecture"], name);
            let layer = &manifest["layers"][0];
            assert_eq!(layer["mediaType"], LAYER_GZIP);
            let packed = &files[&format!("blobs/{}", layer["digest"].as_str().expect("a digest").replace(':', "/"))];
            let mut tar = Vec::new();
            GzDecoder::new(packed.as_slice()).read_to_end(&mut tar).expect("gzip");
            assert_eq!(config["rootfs"]["diff_ids"][0], digest(&tar));
            assert!(tar.windows(program.len()).any(|window| window == program));
        }
    }
}
