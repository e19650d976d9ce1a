//! The layers of a JVM that has brought its own C library: the JRE as its package has it, and every library of its root
//! filesystem.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jattach_image::Layer;

use super::super::disk::FromDisk;
use super::{JAVA_HOME, furnish, link_applets};
use crate::tools::jdk_root::JdkRoot;

/// What belongs to a JRE, where it has it: up to 8 there is neither a `conf` nor a `release`.
const FOLDERS: [&str; 2] = ["lib", "conf"];
const FILES: [&str; 2] = ["release", "bin/java"];

pub(super) fn java_layer(jdk: &JdkRoot) -> Result<Layer> {
    let mut layer = Layer::default();
    let (home, jre) = (Path::new(JAVA_HOME), jdk.jre()?);
    for folder in FOLDERS.iter().filter(|folder| jre.join(folder).is_dir()) {
        layer.copy_tree(&home.join(folder), &jre.join(folder))?;
    }
    for file in FILES.iter().filter(|file| jre.join(file).is_file()) {
        layer.copy(home.join(file), &jre.join(file))?;
    }
    let (name, loader) = jdk.loader();
    layer.copy(name, &loader)?;
    let (inside, libraries) = (JdkRoot::libraries(), jdk.root.join(JdkRoot::libraries()));
    for entry in fs::read_dir(&libraries).with_context(|| format!("failed to list {}", libraries.display()))? {
        let path = entry?.path();
        if path.is_file()
            && let Some(name) = path.file_name()
        {
            layer.copy(inside.join(name), &path)?;
        }
    }
    furnish(&mut layer);
    Ok(layer)
}

/// The machine's own busybox may want a newer C library than this JVM has.
pub(super) fn shell_layer(jdk: &JdkRoot) -> Result<Layer> {
    let mut layer = Layer::default();
    layer.copy("bin/busybox", &jdk.root.join("bin/busybox"))?;
    link_applets(&mut layer);
    Ok(layer)
}
