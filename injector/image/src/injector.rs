//! The injector's image: one binary, one folder, nothing else.

use std::collections::BTreeMap;
use std::io;

use crate::archive::{Architecture, Archive, Image, LayerFormat};
use crate::config::ContainerConfig;
use crate::layer::Layer;

/// The image for these processors under one name, with compressed layers, as it is pushed.
///
/// # Errors
/// None that a program in memory could give: what the tar writer says.
pub fn image(reference: &str, injectors: &[(Architecture, Vec<u8>)]) -> io::Result<Archive> {
    let config = config();
    let layers: Vec<[Layer; 1]> = injectors.iter().map(|(_, program)| [layer(program.clone())]).collect();
    let images = injectors.iter().zip(&layers).map(|((architecture, _), layers)| Image {
        architecture: *architecture,
        config: &config,
        layers,
        format: LayerFormat::Gzip,
    });
    Archive::index(reference, &images.collect::<Vec<_>>())
}

/// How the image runs; the Dockerfile says the same, and a test of xtask compares.
#[must_use]
pub fn config() -> ContainerConfig {
    let labels = [
        ("title", "kubectl-jattach injector"),
        ("description", "attaches to a JVM from an ephemeral container"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("vendor", env!("CARGO_PKG_AUTHORS")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
        ("url", env!("CARGO_PKG_REPOSITORY")),
    ];
    let labels = labels.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value.to_owned()));
    ContainerConfig {
        // A number, because runAsNonRoot cannot be checked against a name.
        user: "65532:65532".to_owned(),
        // Docker adds a PATH of its own to an image that has none.
        env: vec!["PATH=/".to_owned()],
        entrypoint: vec!["/injector".to_owned()],
        cmd: Vec::new(),
        labels: BTreeMap::from(labels),
    }
}

/// /tmp is there because a uid other than root may write nowhere else in a scratch image.
#[must_use]
pub fn layer(program: Vec<u8>) -> Layer {
    let mut layer = Layer::default();
    layer.file("injector", 0o755, program);
    layer.folder("tmp", 0o1777);
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_programs_give_the_same_archive_byte_for_byte() {
        let archive = || {
            let programs = [(Architecture::Amd64, b"one".to_vec()), (Architecture::Arm64, b"other".to_vec())];
            image("example.test/injector:1", &programs).expect("small")
        };
        assert_eq!(archive().bytes, archive().bytes);
        assert_eq!(archive().digest, archive().digest);
    }

    #[test]
    fn another_program_has_another_digest() {
        let digest = |program: &[u8]| {
            image("example.test/injector:1", &[(Architecture::Amd64, program.to_vec())]).expect("small").digest
        };
        assert_ne!(digest(b"one"), digest(b"other"));
    }

    #[test]
    fn the_user_is_a_number_and_not_root() {
        let config = config();
        let uid: u32 = config.user.split(':').next().and_then(|uid| uid.parse().ok()).expect("a numeric uid");
        assert_ne!(uid, 0);
    }
}
