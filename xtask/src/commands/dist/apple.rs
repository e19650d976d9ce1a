//! What a program for macOS links with. zig brings the system library; of the frameworks only the names are needed, which the
//! loader there resolves against its own.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// A framework: its name, and the names that are taken from it.
struct Framework {
    name: &'static str,
    symbols: &'static [&'static str],
}

/// What rustls-native-certs takes, through security-framework. A name that is missing here is an error of the linker.
const FRAMEWORKS: [Framework; 2] =
    [Framework { name: "CoreFoundation", symbols: &[] }, Framework { name: "Security", symbols: &[] }];

/// The linker's arguments, and the stubs written to where these lead.
pub(super) fn link_flags(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.target().join("frameworks");
    for framework in &FRAMEWORKS {
        let place = folder.join(format!("{}.framework", framework.name));
        let file = place.join(format!("{}.tbd", framework.name));
        fs::create_dir_all(&place)
            .and_then(|()| fs::write(&file, framework.stub()))
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    // Stripped by the linker, because it signs what it writes, and whoever strips it after that breaks the signature.
    Ok(vec![format!("-Clink-arg=-F{}", folder.display()), "-Cstrip=none".to_owned(), "-Clink-arg=-s".to_owned()])
}

impl Framework {
    /// A text-based stub, version 4, as Apple's own SDK has them.
    fn stub(&self) -> String {
        let Framework { name, symbols } = self;
        let symbols = symbols.join(", ");
        format!(
            "--- !tapi-tbd\n\
             tbd-version: 4\n\
             targets: [ x86_64-macos, arm64-macos ]\n\
             install-name: '/System/Library/Frameworks/{name}.framework/Versions/A/{name}'\n\
             exports:\n  \
             - targets: [ x86_64-macos, arm64-macos ]\n    \
             symbols: [ {symbols} ]\n\
             ...\n"
        )
    }
}
