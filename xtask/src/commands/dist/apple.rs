//! What a program for macOS links with. zig brings the system library; of the other libraries only the names are needed, which
//! the loader there resolves against its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// A library of the system.
struct Library {
    /// Where the linker looks for it, below the folder that it is told.
    file: &'static str,
    /// Where the loader finds it on every macOS.
    install_name: &'static str,
    /// The names that are taken from it.
    symbols: &'static [&'static str],
}

/// What rustls-native-certs takes, through security-framework, and what the libc crate names and the plugin does not call. A
/// name that is missing here is an error of the linker.
const LIBRARIES: [Library; 3] = [
    Library {
        file: "CoreFoundation.framework/CoreFoundation.tbd",
        install_name: "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
        symbols: &[
            "_CFArrayCreate",
            "_CFDataCreate",
            "_CFDateCreate",
            "_CFErrorCopyDescription",
            "_CFErrorGetCode",
            "_CFRelease",
            "_CFStringCreateWithBytes",
            "_CFStringGetBytes",
            "_CFStringGetCStringPtr",
            "_CFStringGetLength",
            "_kCFAbsoluteTimeIntervalSince1970",
            "_kCFAllocatorDefault",
            "_kCFTypeArrayCallBacks",
        ],
    },
    Library {
        file: "Security.framework/Security.tbd",
        install_name: "/System/Library/Frameworks/Security.framework/Versions/A/Security",
        symbols: &[
            "_SecCertificateCopySubjectSummary",
            "_SecCertificateCreateWithData",
            "_SecCopyErrorMessageString",
            "_SecPolicyCreateSSL",
            "_SecTrustCreateWithCertificates",
            "_SecTrustEvaluateWithError",
            "_SecTrustSetAnchorCertificates",
            "_SecTrustSetAnchorCertificatesOnly",
            "_SecTrustSetOCSPResponse",
            "_SecTrustSetVerifyDate",
        ],
    },
    Library { file: "libiconv.tbd", install_name: "/usr/lib/libiconv.2.dylib", symbols: &[] },
];

/// The linker's arguments, and the stubs written to where these lead.
pub(super) fn link_flags(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.target().join("frameworks");
    LIBRARIES.iter().try_for_each(|library| library.write(&folder))?;
    Ok(vec![format!("-Clink-arg=-F{}", folder.display()), format!("-Clink-arg=-L{}", folder.display())])
}

impl Library {
    fn write(&self, folder: &Path) -> Result<()> {
        let file = folder.join(self.file);
        fs::create_dir_all(file.parent().context("it lies in a folder")?)
            .and_then(|()| fs::write(&file, self.stub()))
            .with_context(|| format!("failed to write {}", file.display()))
    }

    /// A text-based stub, version 4, as Apple's own SDK has them.
    fn stub(&self) -> String {
        let symbols = self.symbols.join(", ");
        format!(
            "--- !tapi-tbd\n\
             tbd-version: 4\n\
             targets: [ x86_64-macos, arm64-macos ]\n\
             install-name: '{}'\n\
             exports:\n  \
             - targets: [ x86_64-macos, arm64-macos ]\n    \
             symbols: [ {symbols} ]\n\
             ...\n",
            self.install_name
        )
    }
}
