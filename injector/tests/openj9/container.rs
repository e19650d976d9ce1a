//! The stand-in's namespaces, as the client of the session tests enters them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::jvm::{INJECTOR, Jvm};

pub(crate) struct Container {
    pub(crate) jvm: Jvm,
}

impl Container {
    pub(crate) fn injector(&self) -> PathBuf {
        Path::new("/tmp").join(INJECTOR)
    }

    /// The program, executed in there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.jvm.pid)).args(["--mount", "--pid", "--ipc"]).arg(program);
        command
    }
}
