//! Security labels: what stands between two processes whose ids are the same.

use std::os::fd::AsFd;

use jattach_protocol::label::module;
use nix::fcntl::OFlag;

use super::read_limited;
use crate::sys::Sys;

/// The content of `/proc/PID/attr/current`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label(Vec<u8>);

impl Label {
    /// Without the NUL or newline that AppArmor and SELinux end it with.
    pub(super) fn of(mut bytes: Vec<u8>) -> Label {
        while matches!(bytes.last(), Some(0 | b'\n')) {
            bytes.pop();
        }
        Label(bytes)
    }

    /// Ours.
    pub(crate) fn own(sys: &dyn Sys) -> Label {
        let read = || {
            let directory = sys.own_proc_dir()?;
            read_limited(sys.open_at(directory.as_fd(), b"attr/current", OFlag::O_RDONLY)?, 1 << 16)
        };
        Label::of(read().unwrap_or_default())
    }

    /// As text; empty where there is none.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Whether there is none, or it may not be read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which security module writes labels like this.
    pub(crate) fn module(&self) -> &'static str {
        module(&self.0).unwrap_or("no security module")
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_empty() {
            true => f.write_str("not shown"),
            false => f.write_str(&String::from_utf8_lossy(&self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_tells_its_module_without_what_ends_it() {
        assert_eq!(Label::of(b"cri-containerd.apparmor.d (enforce)\n".to_vec()).module(), "AppArmor");
        assert_eq!(Label::of(b"system_u:system_r:container_t:s0:c1,c2\0".to_vec()).module(), "SELinux");
        assert_eq!(Label::of(Vec::new()).module(), "no security module");
    }
}
