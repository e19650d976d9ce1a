//! `image`: which image the injector is started from, and how it comes into a registry that the nodes reach; `image save`
//! writes it, from what the plugin carries.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use jattach_image::{Architecture, Archive};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::inside;
use crate::options::{BUILT_IN, Injector, Output, OutputFormat, Save};
use crate::render::Notes;
use crate::render::document::document;
use crate::render::stdout::{heard, print};

/// What is printed, as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    image: &'a str,
    /// Who has named it.
    image_from: String,
    carried: Option<Carried>,
}

/// What `image save` writes.
#[derive(Serialize)]
struct Carried {
    /// That of its index, which a registry keeps.
    digest: String,
    /// `linux/amd64`
    platforms: Vec<&'static str>,
    /// What a registry stores of it, in bytes.
    size: u64,
}

/// Prints which image it is, or saves it.
///
/// # Errors
/// 2 for a file that exists or a terminal, 1 where none is carried or it cannot be written.
pub(super) fn run(injector: &Injector, save: Option<Save>, output: Output) -> anyhow::Result<()> {
    match save {
        Some(save) => Ok(write(injector, &save, &Notes::new(output.quiet))?),
        None => Ok(print(&tell(injector, output.format)?, &mut io::stdout())?),
    }
}

fn tell(injector: &Injector, format: Option<OutputFormat>) -> Result<String> {
    let (image, image_from) = (injector.image.as_str(), injector.image_from.to_string());
    let carried = if inside::is_carried() { Some(archive(image)?) } else { None }.map(|(_, carried)| carried);
    match format {
        Some(format) => document(&Document { image, image_from, carried }, format),
        None => Ok(text(image, &image_from, carried.as_ref())),
    }
}

fn text(image: &str, image_from: &str, carried: Option<&Carried>) -> String {
    let mut text = format!("image    {image} ({image_from})\n");
    let tag = tagged(image).rsplit_once(':').map(|(_, tag)| tag.to_owned()).unwrap_or_default();
    let mut explained = String::new();
    let (how, digest) = match carried {
        Some(carried) => {
            let _ = writeln!(text, "carried  {carried}");
            let copy = "kubectl jattach image save injector.tar\n  skopeo copy --all --preserve-digests oci-archive:injector.tar";
            (copy.to_owned(), carried.digest.clone())
        }
        None => {
            text += "carried  none: this build can save no archive\n";
            let digest = digest_of(image).unwrap_or_else(|| {
                explained = format!(
                    "DIGEST is what this prints: skopeo inspect --format '{{{{.Digest}}}}' docker://REGISTRY/injector:{tag}\n"
                );
                "DIGEST"
            });
            (
                format!("skopeo copy --all --preserve-digests docker://{}", without_tag_beside_digest(image)),
                digest.to_owned(),
            )
        }
    };
    let _ = write!(
        text,
        "\nInto a registry that the nodes reach, and from then on:\n  {how} docker://REGISTRY/injector:{tag}\n  \
         export KUBECTL_JATTACH_IMAGE=REGISTRY/injector@{digest}\n{explained}For good: image: REGISTRY/injector@… in the \
         configuration file. Without a registry: docs/air-gap.md\n"
    );
    text
}

fn write(injector: &Injector, save: &Save, notes: &Notes) -> Result<()> {
    let (archive, carried) = archive(&injector.image)?;
    let name = match &save.file {
        None if io::stdout().is_terminal() => {
            return Err(Failure::usage("the archive is no text for a terminal")
                .remedy("kubectl jattach image save injector.tar, or - into a pipe"));
        }
        None => {
            let mut stdout = io::stdout();
            let _ = heard(stdout.write_all(&archive.bytes).and_then(|()| stdout.flush()))?;
            "standard output".to_owned()
        }
        Some(path) => {
            store(path, &archive.bytes, save.force)?;
            path.display().to_string()
        }
    };
    notes.say(&format!("{name}: {}, {carried}", tagged(&injector.image)));
    if let Some(pinned) = digest_of(BUILT_IN).filter(|pinned| *pinned != carried.digest) {
        notes.say(&format!("That is another image than the one of this plugin's release, {pinned}"));
    }
    Ok(())
}

/// Whole or not at all.
fn store(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Replacing a device would take it from everybody; a link is not followed to what it points at, and not broken either.
    if force && fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(Failure::new(Id::CannotWrite, format!("cannot write {}", path.display()))
            .evidence("what is there is no regular file")
            .remedy("give another FILE, or - for standard output"));
    }
    let stored = NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        readable(file.as_file())?;
        // A name that survives a power failure without its bytes would be half a file.
        file.as_file().sync_all()?;
        if force { file.persist(path) } else { file.persist_noclobber(path) }.map(drop).map_err(io::Error::from)
    });
    stored.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(Id::FileExists, format!("{} exists", path.display()))
            .remedy("give another FILE, or --force to replace it"),
        _ => Failure::new(Id::CannotWrite, format!("cannot write {}", path.display()))
            .evidence(error.to_string())
            .remedy("give a FILE in a directory that is there and that you may write to"),
    })
}

/// A temporary file is its owner's alone; an image is no secret, and whoever loads it may be another user.
fn readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

/// The archive under that reference's name, and what is in it.
fn archive(reference: &str) -> Result<(Archive, Carried)> {
    let broken = |error: io::Error| {
        Failure::new(Id::NotCarried, "the injector that this plugin carries cannot be unpacked")
            .evidence(error.to_string())
    };
    let carried: Vec<_> = inside::carried()
        .map_err(broken)?
        .into_iter()
        .filter_map(|(machine, program)| Some((architecture(machine)?, program)))
        .collect();
    if carried.is_empty() {
        return Err(carries_none());
    }
    let platforms = carried.iter().map(|(architecture, _)| platform(*architecture)).collect();
    let archive = jattach_image::image(&tagged(reference), &carried).map_err(broken)?;
    let carried = Carried { digest: archive.digest.clone(), platforms, size: archive.size };
    Ok((archive, carried))
}

fn carries_none() -> Failure {
    Failure::new(Id::NotCarried, "this build of the plugin carries no injector to make an image of")
        .evidence("it was built without the static injector (JATTACH_INJECTORS)")
        .remedy("take a released plugin, or build it after `cargo xtask injector`")
}

/// The processor that `uname -m` calls so.
fn architecture(machine: &str) -> Option<Architecture> {
    match machine {
        "x86_64" => Some(Architecture::Amd64),
        "aarch64" => Some(Architecture::Arm64),
        _ => None,
    }
}

fn platform(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "linux/amd64",
        Architecture::Arm64 => "linux/arm64",
    }
}

/// `NAME:TAG` of a reference, with the plugin's version for a tag that is not there: what an archive may be called.
fn tagged(reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or_default();
    // A colon before the last slash is a port's.
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag { name.to_owned() } else { format!("{name}:{}", env!("CARGO_PKG_VERSION")) }
}

fn digest_of(reference: &str) -> Option<&str> {
    reference.split_once('@').map(|(_, digest)| digest)
}

/// skopeo takes a tag or a digest, not both.
fn without_tag_beside_digest(reference: &str) -> String {
    match digest_of(reference) {
        Some(digest) => {
            let name = tagged(reference);
            format!("{}@{digest}", name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name))
        }
        None => reference.to_owned(),
    }
}

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, {} KB", self.digest, self.platforms.join(" and "), self.size.div_ceil(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::seen::assert_seen;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn an_archive_is_called_by_name_and_tag() {
        let version = env!("CARGO_PKG_VERSION");
        for (reference, name) in [
            ("r.example/i:1", "r.example/i:1".to_owned()),
            ("r.example:5000/i", format!("r.example:5000/i:{version}")),
            (&format!("r.example:5000/a/i:1@{DIGEST}"), "r.example:5000/a/i:1".to_owned()),
            (&format!("i@{DIGEST}"), format!("i:{version}")),
        ] {
            assert_eq!(tagged(reference), name, "{reference}");
        }
    }

    #[test]
    fn the_lines_to_copy_it_name_what_is_carried_or_what_is_published() {
        let platforms = vec!["linux/amd64", "linux/arm64"];
        let carried = Carried { digest: DIGEST.to_owned(), platforms, size: 300_000 };
        let text = super::text("ghcr.io/o/injector:0.1.0", "built in", Some(&carried));
        assert!(text.starts_with("image    ghcr.io/o/injector:0.1.0 (built in)\n"), "{text}");
        assert!(text.contains(&format!("\ncarried  {DIGEST}, linux/amd64 and linux/arm64, 300 KB\n")), "{text}");
        assert!(text.contains("oci-archive:injector.tar docker://REGISTRY/injector:0.1.0\n"), "{text}");
        assert!(text.contains(&format!("KUBECTL_JATTACH_IMAGE=REGISTRY/injector@{DIGEST}\n")), "{text}");
        let text = super::text(&format!("ghcr.io/o/injector:0.1.0@{DIGEST}"), "built in", None);
        let line = format!(" docker://ghcr.io/o/injector@{DIGEST} docker://REGISTRY/injector:0.1.0\n");
        assert!(text.contains(&line) && !text.contains("image save"), "{text}");
        let text = super::text("ghcr.io/o/injector:0.1.0", "built in", None);
        assert!(text.contains("\n  export KUBECTL_JATTACH_IMAGE=REGISTRY/injector@DIGEST\nDIGEST is what"), "{text}");
        assert!(text.contains(" --format '{{.Digest}}' docker://REGISTRY/injector:0.1.0\n"), "{text}");
    }

    #[test]
    fn a_plugin_without_an_injector_says_so() {
        assert_seen("image-save", &carries_none());
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all_and_none_is_replaced_unasked() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("injector.tar");
        store(&path, b"first", false).expect("a new file");
        assert_eq!(store(&path, b"second", false).expect_err("it is there").id, Id::FileExists);
        assert_eq!(fs::read(&path).expect("it is there"), b"first");
        store(&path, b"third", true).expect("replaced");
        assert_eq!(fs::read(&path).expect("it is there"), b"third");
        assert_eq!(fs::read_dir(folder.path()).expect("a directory").count(), 1);
        let other = folder.path().join("other");
        fs::create_dir(&other).expect("a directory");
        #[cfg(unix)]
        let other = {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&path, &link).expect("a link");
            link
        };
        let failure = store(&other, b"fourth", true).expect_err("no regular file");
        assert_eq!((failure.id, failure.evidence.as_str()), (Id::CannotWrite, "what is there is no regular file"));
        assert!(!fs::symlink_metadata(&other).expect("it is there").is_file());
        let nowhere = folder.path().join("none/injector.tar");
        assert_eq!(store(&nowhere, b"x", false).expect_err("no directory").id, Id::CannotWrite);
    }
}
