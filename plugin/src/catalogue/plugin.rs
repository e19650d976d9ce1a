//! What is wrong with the plugin's own installation.

use super::{Entry, Id};

pub(super) fn entry(id: Id) -> Option<Entry> {
    let (meaning, evidence, remedy) = match id {
        Id::Config => (
            "The configuration file is there and cannot be used: it is not to be read, is no YAML, or says what no flag takes. It \
             is not passed over, because the injector would then come from another place than the site has chosen.",
            "The file, the line, and what is wrong in it.",
            "Correct or remove it. docs/air-gap.md has its keys; `kubectl jattach version` says what comes from it.",
        ),
        Id::NotCarried => (
            "This build of the plugin was made without the injector: it can start an image, and write none.",
            "How it was built.",
            "Take a released plugin, or build it after `cargo xtask injector`. `kubectl jattach image` shows the image's name.",
        ),
        _ => return None,
    };
    Some(Entry { meaning, evidence, remedy })
}
