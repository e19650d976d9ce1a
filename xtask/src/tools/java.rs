//! The JVM of a given version, from wherever it is to be had.

use std::ffi::OsString;

use anyhow::Result;

use super::jdk::{self, Jdk};
use super::jdk_root::{self, JdkRoot};
use crate::workspace::Workspace;

/// A JVM to test with.
#[derive(Debug)]
pub(crate) enum Java {
    /// Of a JDK that somebody has installed.
    Installed(Jdk),
    /// In a root filesystem of its own.
    Fetched(JdkRoot),
}

impl Java {
    /// The installed one of that version, else the one that Debian has.
    pub(crate) fn of(workspace: &Workspace, version: u32) -> Result<Java> {
        match jdk::of_version(version) {
            Some(jdk) => Ok(Java::Installed(jdk)),
            None => Ok(Java::Fetched(jdk_root::ensure(workspace, version)?)),
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Java::Installed(jdk) => jdk.version,
            Java::Fetched(jdk) => jdk.version,
        }
    }

    /// What has the session tests run this JVM.
    pub(crate) fn variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        match self {
            Java::Installed(jdk) => jdk.variables(),
            Java::Fetched(jdk) => Ok(vec![("JATTACH_JDK_ROOT", jdk.root.clone().into_os_string())]),
        }
    }
}
