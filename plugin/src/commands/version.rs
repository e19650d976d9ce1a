//! `version`: of the plugin, and of the image that it starts.

use serde::Serialize;

use crate::options::{Injector, OutputFormat};
use crate::render::document::document;
use crate::render::stdout::print;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version<'a> {
    plugin: &'a str,
    image: &'a str,
    /// Who has named it.
    image_from: String,
}

/// Prints the version.
///
/// # Errors
/// Those of standard output.
pub(crate) fn run(injector: &Injector, format: Option<OutputFormat>) -> anyhow::Result<()> {
    let (plugin, image, image_from) = (env!("CARGO_PKG_VERSION"), &injector.image, injector.image_from.to_string());
    let text = match format {
        Some(format) => document(&Version { plugin, image, image_from }, format)?,
        None => format!("kubectl jattach {plugin}\ninjector image {image} ({image_from})\n"),
    };
    Ok(print(&text, &mut std::io::stdout())?)
}
