//! `version`: of the plugin, and of the image that it starts.

use serde::Serialize;

use crate::options::OutputFormat;
use crate::render::document::document;
use crate::render::stdout::print;

#[derive(Serialize)]
struct Version<'a> {
    plugin: &'a str,
    image: &'a str,
}

/// Prints the version.
///
/// # Errors
/// Those of standard output.
pub(crate) fn run(image: &str, format: Option<OutputFormat>) -> anyhow::Result<()> {
    let version = Version { plugin: env!("CARGO_PKG_VERSION"), image };
    let text = match format {
        Some(format) => document(&version, format)?,
        None => format!("kubectl jattach {}\ninjector image {}\n", version.plugin, version.image),
    };
    Ok(print(&text, &mut std::io::stdout())?)
}
