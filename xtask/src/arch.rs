//! The processors the injector is built for, and what Rust, OCI and Debian call them.

use clap::ValueEnum;
use jattach_image::Architecture;

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    /// The machine that xtask itself was built for.
    pub(crate) fn host() -> Arch {
        if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
    }

    /// As in a Rust target triple, and as zig names it.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }

    /// As the image's code names it.
    pub(crate) fn of_image(self) -> Architecture {
        match self {
            Arch::X86_64 => Architecture::Amd64,
            Arch::Aarch64 => Architecture::Arm64,
        }
    }

    /// As in an OCI image configuration; Debian uses the same words.
    pub(crate) fn oci(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }
}
