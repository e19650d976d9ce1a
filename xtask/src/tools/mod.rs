//! What the build and the tests need and the machine may lack: found, or installed, or explained.

pub(crate) mod actionlint;
pub(crate) mod apt;
pub(crate) mod cargo_tool;
pub(crate) mod emulator;
pub(crate) mod java;
pub(crate) mod jdk;
pub(crate) mod jdk_root;
pub(crate) mod kubectl;
pub(crate) mod nginx;
pub(crate) mod python;
pub(crate) mod root;
pub(crate) mod rust_src;
pub(crate) mod rustup;
pub(crate) mod slurp;
pub(crate) mod suite;
pub(crate) mod zig;

use std::env;
use std::path::PathBuf;

/// A Debian package, and by what its work is known to be there already: a program's name, or a file's path.
pub(crate) type Package = (&'static str, &'static str);

/// The packages whose program or file this machine lacks. Whoever else brought it, it serves: Docker has its own runc.
pub(crate) fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|(_, proof)| find(proof).is_none()).map(|(name, _)| *name).collect()
}

/// The program of that name on the PATH, or in the folders that a user's PATH may lack and root's has; a path as it is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
