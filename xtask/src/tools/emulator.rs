//! Programs that start programs of another processor or system.

use anyhow::{Result, bail};
use xshell::Shell;

use super::{Package, apt};

/// A way to start a program of another platform.
pub(crate) struct Emulator {
    package: Package,
    pub(crate) program: &'static str,
}

pub(crate) const QEMU_ARM64: Emulator =
    Emulator { package: ("qemu-user-static", "qemu-aarch64-static"), program: "qemu-aarch64-static" };
pub(crate) const QEMU_AMD64: Emulator =
    Emulator { package: ("qemu-user-static", "qemu-x86_64-static"), program: "qemu-x86_64-static" };
pub(crate) const WINE: Emulator = Emulator { package: ("wine64", WINE_PROGRAM), program: WINE_PROGRAM };
/// Debian's package puts none on the PATH.
const WINE_PROGRAM: &str = "/usr/lib/wine/wine64";

impl Emulator {
    /// Installs what is missing of it.
    pub(crate) fn ensure(&self, sh: &Shell, yes: bool) -> Result<()> {
        let (package, proof) = self.package;
        apt::install(sh, &super::missing(&[self.package]), yes)?;
        if super::find(proof).is_none() {
            bail!("{package} has no {proof}");
        }
        Ok(())
    }
}
