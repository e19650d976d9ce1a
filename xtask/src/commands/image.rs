//! `cargo xtask image`: the images as OCI archives, without a daemon.

use anyhow::Result;

use crate::cli::Image;
use crate::images::{injector, jvm};
use crate::static_build;
use crate::tools::java::Java;
use crate::tools::jdk::{self, Jdk};
use crate::workspace::Workspace;

/// Writes them; stdout gets the path and the reference of each, one a line.
pub(crate) fn run(workspace: &Workspace, arguments: &Image, yes: bool) -> Result<()> {
    if arguments.jvm {
        let jdk = match &arguments.java_home {
            Some(home) => Jdk::at(home)?,
            None => jdk::ensure(&workspace.shell()?, yes)?,
        };
        let images = match arguments.jdk {
            Some(version) => jvm::write_of(workspace, &Java::of(workspace, version)?, &jdk, yes)?,
            None => jvm::write(workspace, &jdk, yes)?,
        };
        for image in [images.plain, images.shell, images.user] {
            println!("{} {}", image.path.display(), image.reference);
        }
        return Ok(());
    }
    let binary = match &arguments.injector {
        Some(binary) => binary.clone(),
        None => static_build::build(workspace, arguments.arch, None, yes)?,
    };
    let path = injector::write(workspace, arguments.arch, &binary)?;
    println!("{} {}", path.display(), workspace.injector_image());
    Ok(())
}
