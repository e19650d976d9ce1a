//! What the plugin is made for, and what Rust, zig, krew and people call that.

use std::fmt;

use crate::arch::Arch;

/// An operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Os {
    Linux,
    Darwin,
    Windows,
}

/// A system and a processor. It is printed as in the names of the archives: `linux-amd64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) os: Os,
    pub(super) arch: Arch,
}

/// The ones that every machine has to be able to build for come first.
pub(super) const PLATFORMS: [Platform; 6] = [
    Platform { os: Os::Linux, arch: Arch::X86_64 },
    Platform { os: Os::Linux, arch: Arch::Aarch64 },
    Platform { os: Os::Windows, arch: Arch::X86_64 },
    Platform { os: Os::Darwin, arch: Arch::X86_64 },
    Platform { os: Os::Darwin, arch: Arch::Aarch64 },
    Platform { os: Os::Windows, arch: Arch::Aarch64 },
];

impl Platform {
    /// The target triple.
    pub(super) fn triple(self) -> String {
        let system = match self.os {
            Os::Linux => "unknown-linux-musl",
            Os::Darwin => "apple-darwin",
            // LLVM's linker and runtime, as zig has them, and not GCC's.
            Os::Windows => "pc-windows-gnullvm",
        };
        format!("{}-{system}", self.arch.rust())
    }

    /// As zig names it.
    pub(super) fn zig(self) -> String {
        let system = match self.os {
            Os::Linux => "linux-musl",
            Os::Darwin => "macos",
            Os::Windows => "windows-gnu",
        };
        format!("{}-{system}", self.arch.rust())
    }

    /// The plugin's file name there.
    pub(super) fn program(self) -> &'static str {
        if self.os == Os::Windows { "kubectl-jattach.exe" } else { "kubectl-jattach" }
    }

    /// The archive's file name.
    pub(super) fn archive(self, version: &str) -> String {
        let extension = if self.os == Os::Windows { "zip" } else { "tar.gz" };
        format!("kubectl-jattach-v{version}-{self}.{extension}")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = match self.os {
            Os::Linux => "linux",
            Os::Darwin => "darwin",
            Os::Windows => "windows",
        };
        write!(f, "{os}-{}", self.arch.oci())
    }
}
