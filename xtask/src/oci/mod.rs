//! OCI images without a daemon: layers, configuration, and the archive that holds them.

pub(crate) mod archive;
pub(crate) mod config;
pub(crate) mod layer;

/// The time of everything in an image, in seconds since 1970: a fixed one, so that the same input gives the same bytes.
const EPOCH: u64 = 0;
/// The same as RFC 3339, for the configuration.
const EPOCH_TEXT: &str = "1970-01-01T00:00:00Z";
