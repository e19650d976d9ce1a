//! OCI images without a daemon, and the injector's own. The same input gives the same bytes, so that a digest can be known
//! before anything is pushed, and an archive that the plugin writes has the digest of the one in the registry.

mod archive;
mod config;
mod injector;
mod layer;

pub use archive::{Architecture, Archive, Image, LayerFormat};
pub use config::ContainerConfig;
pub use injector::{config, image, layer};
pub use layer::Layer;

/// The time of everything in an image, in seconds since 1970: a fixed one, so that the same input gives the same bytes.
const EPOCH: u64 = 0;
/// The same as RFC 3339, for the configuration.
const EPOCH_TEXT: &str = "1970-01-01T00:00:00Z";
