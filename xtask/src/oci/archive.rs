//! An OCI image layout in one tar, as `docker load`, `podman load`, `ctr images import` and the lab read it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::EPOCH_TEXT;
use super::config::ContainerConfig;
use super::layer::Layer;
use crate::arch::Arch;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image ready to be written.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    /// The full reference, with a tag.
    pub(crate) reference: &'a str,
    pub(crate) arch: Arch,
    pub(crate) config: &'a ContainerConfig,
    /// Lowest first.
    pub(crate) layers: &'a [Layer],
}

impl Image<'_> {
    /// Writes the archive; a reader sees the old file or the new one, never a part.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let bytes = self.to_archive()?;
        let folder = path.parent().context("an archive has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let unfinished = path.with_extension("tar.part");
        fs::write(&unfinished, bytes)
            .and_then(|()| fs::rename(&unfinished, path))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// The archive's bytes: the same for the same image.
    pub(crate) fn to_archive(&self) -> Result<Vec<u8>> {
        let mut archive = Layer::default();
        let mut layers = Vec::new();
        for layer in self.layers {
            layers.push(add_blob(&mut archive, LAYER, layer.to_tar()?));
        }
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "created": EPOCH_TEXT,
            "architecture": self.arch.oci(),
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = add_blob(&mut archive, CONFIG, serde_json::to_vec(&config)?);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = add_blob(&mut archive, MANIFEST, serde_json::to_vec(&manifest)?);
        manifest["platform"] = json!({ "architecture": self.arch.oci(), "os": "linux" });
        // containerd and docker read the second name, podman and skopeo the first.
        manifest["annotations"] = json!({
            "org.opencontainers.image.ref.name": self.reference,
            "io.containerd.image.name": self.reference,
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
        archive.file("index.json", 0o644, serde_json::to_vec(&index)?);
        archive.file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
        archive.to_tar()
    }
}

/// Adds a blob and returns its descriptor.
fn add_blob(archive: &mut Layer, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let descriptor = json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() });
    archive.file(format!("blobs/sha256/{digest}"), 0o644, bytes);
    descriptor
}
