//! Gives the plugin the reference of the injector image that belongs to it, as `JATTACH_IMAGE`, and the static injectors that
//! it carries for `--via=exec`, as `injectors.rs`.
//!
//! The address stands once, in the workspace's metadata (`[workspace.metadata.jattach] image`); the tag is the plugin's
//! version. A build may set the environment variable `JATTACH_IMAGE` to another whole reference (a mirror). A published
//! crate carries no workspace file: there the same address is derived from the package's repository.
//!
//! The injectors lie in the directory that `JATTACH_INJECTORS` names (`.cargo/config.toml`; `cargo xtask injector` puts them
//! there). Without it, or without them, the plugin is built all the same, and says so when it is asked for one.

use std::env;
use std::fs;
use std::path::Path;

const WORKSPACE: &str = "../Cargo.toml";

/// The processors that there may be injectors for.
const MACHINES: [&str; 2] = ["x86_64", "aarch64"];

fn main() {
    println!("cargo::rerun-if-env-changed=JATTACH_IMAGE");
    println!("cargo::rerun-if-changed={WORKSPACE}");
    let image = env::var("JATTACH_IMAGE").ok().filter(|image| !image.is_empty()).unwrap_or_else(|| {
        let name = workspace_image(Path::new(WORKSPACE)).unwrap_or_else(published_image);
        format!("{name}:{}", variable("CARGO_PKG_VERSION"))
    });
    println!("cargo::rustc-env=JATTACH_IMAGE={image}");
    println!("cargo::rerun-if-env-changed=JATTACH_INJECTORS");
    let out = Path::new(&variable("OUT_DIR")).join("injectors.rs");
    fs::write(&out, injectors()).unwrap_or_else(|error| panic!("failed to write {}: {error}", out.display()));
}

/// An expression of type `&[(&str, &[u8])]`: each machine, as `uname -m` calls it, and its injector.
fn injectors() -> String {
    let directory = env::var_os("JATTACH_INJECTORS").filter(|directory| !directory.is_empty());
    let files = directory.into_iter().flat_map(|directory| {
        MACHINES.map(|machine| (machine, Path::new(&directory).join(format!("injector-{machine}.zst"))))
    });
    let carried = files.filter(|(_, file)| file.is_file()).map(|(machine, file)| {
        // Only what is there: cargo would run this again and again for a file that is not.
        println!("cargo::rerun-if-changed={}", file.display());
        format!("({machine:?}, include_bytes!({file:?}) as &[u8]),")
    });
    format!("&[{}]", carried.collect::<String>())
}

/// The image's name in the workspace's metadata; `None` where that file is not ours or is not there.
fn workspace_image(manifest: &Path) -> Option<String> {
    let manifest: toml::Table = fs::read_to_string(manifest).ok()?.parse().ok()?;
    let image = manifest.get("workspace")?.get("metadata")?.get("jattach")?.get("image")?;
    Some(image.as_str().expect("workspace.metadata.jattach.image is a string").to_owned())
}

/// `https://github.com/OWNER/NAME` publishes its images as `ghcr.io/OWNER/injector`.
fn published_image() -> String {
    let repository = variable("CARGO_PKG_REPOSITORY");
    let owner = repository.trim_start_matches("https://github.com/").split('/').next();
    match owner.filter(|owner| !owner.is_empty() && *owner != repository) {
        Some(owner) => format!("ghcr.io/{owner}/injector"),
        None => panic!("no workspace metadata and no GitHub repository to derive the image from: set JATTACH_IMAGE"),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
