//! Image references: the short forms that users write, and what they stand for.

use super::archive::Named;

/// The full form: `busybox` is `docker.io/library/busybox:latest`.
pub(super) fn normalize(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let name = match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    };
    match digest {
        Some(digest) => format!("{}@{digest}", repository(&name)),
        None if repository(&name) == name => format!("{name}:latest"),
        None => name,
    }
}

/// Whether the image of an archive is the one that the normalized reference `wanted` means.
pub(super) fn matches(wanted: &str, named: &Named) -> bool {
    let name = normalize(&named.reference);
    match wanted.split_once('@') {
        Some((wanted, digest)) => wanted == repository(&name) && digest == named.descriptor.digest().to_string(),
        None => wanted == name,
    }
}

/// Without the tag; a colon before the last slash belongs to a port.
fn repository(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn short_references_are_written_out() {
        for (short, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("team/app:1", "docker.io/team/app:1"),
            ("localhost/jattach-test/jvm:17", "localhost/jattach-test/jvm:17"),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
            ("host:5000/a", "host:5000/a:latest"),
            ("host:5000/a:1@sha256:00", "host:5000/a@sha256:00"),
        ] {
            assert_eq!(normalize(short), full);
        }
    }
}
