//! Small OCI archives, made by the tests that need one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A layer in the making. Entries of root, with the modes given.
#[derive(Clone, Default)]
pub struct Layer {
    entries: Vec<(String, u32, Option<Vec<u8>>)>,
    links: Vec<(String, String)>,
    gzip: bool,
}

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.entries.push((path.to_owned(), mode, None));
        self
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.file_with_mode(path, 0o644, content)
    }

    pub fn file_with_mode(mut self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entries.push((path.to_owned(), mode, Some(content.to_owned())));
        self
    }

    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.links.push((path.to_owned(), target.to_owned()));
        self
    }

    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// A program of this machine where it has it, and the libraries that it is linked with.
    pub fn program(mut self, path: &str) -> Self {
        let listing = Command::new("ldd").arg(path).output().expect("ldd runs").stdout;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        // A static one has none.
        let libraries: BTreeSet<&str> = listing.split_whitespace().filter(|word| word.starts_with('/')).collect();
        for path in libraries.into_iter().filter(|library| *library != path).chain([path]) {
            let content = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            self = self.file_with_mode(&path[1..], 0o755, &content);
        }
        self
    }

    /// This machine's busybox as /bin, with all its applets, and a /tmp for everybody. Of Debian's two packages one is static.
    pub fn busybox() -> Self {
        const PROGRAM: &str = "/bin/busybox";
        let list = Command::new(PROGRAM).arg("--list").output().expect("busybox (apt install busybox)").stdout;
        let mut layer = Self::new().directory("bin", 0o755).directory("tmp", 0o1777).program(PROGRAM);
        for applet in String::from_utf8_lossy(&list).lines().filter(|name| *name != "busybox") {
            layer = layer.symlink(&format!("bin/{applet}"), "busybox");
        }
        layer
    }

    fn blob(&self) -> (&'static str, Vec<u8>) {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, mode, content) in &self.entries {
            let kind = if content.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory };
            append(&mut tar, path, kind, *mode, content.as_deref().unwrap_or_default());
        }
        for (path, target) in &self.links {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut header, path, target).expect("an entry in memory");
        }
        let bytes = tar.into_inner().expect("a tar in memory");
        if !self.gzip {
            return ("application/vnd.oci.image.layer.v1.tar", bytes);
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).expect("writing to memory");
        ("application/vnd.oci.image.layer.v1.tar+gzip", gzip.finish().expect("writing to memory"))
    }
}

/// An image of one platform, this machine's.
pub struct ImageBuilder {
    reference: String,
    config: Value,
    layers: Vec<Layer>,
}

impl ImageBuilder {
    pub fn new(reference: &str) -> Self {
        Self { reference: reference.to_owned(), config: json!({}), layers: Vec::new() }
    }

    /// The `config` part of the image's configuration, in its own spelling (`User`, `Entrypoint`, …).
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    pub fn layers(mut self, layers: &[Layer]) -> Self {
        self.layers = layers.to_vec();
        self
    }

    /// Panics if `path` cannot be written: tests only. Another run of the tests may be reading a file of that name.
    pub fn write(&self, path: &Path) {
        let partial = path.with_extension(std::process::id().to_string());
        let mut tar = tar::Builder::new(File::create(&partial).expect("an archive to write"));
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| {
                let (media_type, bytes) = layer.blob();
                descriptor(&mut tar, media_type, &bytes)
            })
            .collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": []}});
        let config = descriptor(&mut tar, "application/vnd.oci.image.config.v1+json", &bytes(&config));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut named = descriptor(&mut tar, "application/vnd.oci.image.manifest.v1+json", &bytes(&manifest));
        named["annotations"] = json!({"org.opencontainers.image.ref.name": self.reference});
        let index = bytes(&json!({"schemaVersion": 2, "manifests": [named]}));
        append(&mut tar, "index.json", tar::EntryType::Regular, 0o644, &index);
        append(&mut tar, "oci-layout", tar::EntryType::Regular, 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        tar.finish().expect("an archive to write");
        std::fs::rename(partial, path).expect("a place for the archive");
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Stores the blob and gives its descriptor.
fn descriptor<W: Write>(tar: &mut tar::Builder<W>, media_type: &str, content: &[u8]) -> Value {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    append(tar, &format!("blobs/sha256/{hex}"), tar::EntryType::Regular, 0o644, content);
    json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": content.len()})
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &str, kind: tar::EntryType, mode: u32, content: &[u8]) {
    let mut header = header(kind, mode, content.len() as u64);
    tar.append_data(&mut header, path, content).expect("an archive to write");
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
