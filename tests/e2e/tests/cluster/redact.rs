//! Dumps from which what the application holds is taken out in the pod.

use std::path::Path;

use jattach_e2e::{Namespace, Pod, dump, jvm, manifest};
use tempfile::tempdir;

/// A word of the application's, which nothing but its objects holds.
const SECRET: &str = "pin-4711-of-the-customer";

/// A dump as the flags want it, and how many objects of each kind are in it.
fn dumped(pod: &Pod<'_>, directory: &Path, name: &str, flags: &[&str]) -> (Vec<u8>, [u64; 2]) {
    let file = directory.join(name);
    let _ = pod.plugin(["dumpheap"]).args(flags).arg(&file).run().succeeded().says("verified to its end");
    let summary = dump::verify(&file);
    (std::fs::read(file).expect("the dump"), [summary.instances, summary.classes])
}

/// Whether the secret stands in there, in Latin-1 or in UTF-16 of either order.
fn tells(dump: &[u8]) -> bool {
    let wide = |bytes: fn(u16) -> [u8; 2]| SECRET.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let forms = [SECRET.as_bytes().to_vec(), wide(u16::to_be_bytes), wide(u16::to_le_bytes)];
    forms.iter().any(|form| memchr::memmem::find(dump, form).is_some())
}

#[test]
fn a_redacted_dump_has_all_the_objects_and_none_of_their_text() {
    let namespace = Namespace::new();
    let app = manifest::jvm_with("app", &["--thread", SECRET]);
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(app)]));
    let directory = tempdir().expect("a directory");
    let (plain, [instances, classes]) = dumped(&pod, directory.path(), "plain", &[]);
    assert!(tells(&plain), "it is in there");
    for flag in ["--redact", "--redact=text", "--redact=all"] {
        let (redacted, [less, same]) = dumped(&pod, directory.path(), flag, &[flag]);
        assert!(!tells(&redacted), "{flag}");
        // Between two dumps the JVM does a little of its own.
        assert!(less.abs_diff(instances) < instances / 10 && same.abs_diff(classes) < classes / 10, "{flag}: {less}");
        assert!(redacted.len().abs_diff(plain.len()) < plain.len() / 10, "{flag}");
    }
    jvm::answers(&pod, "app");
}
