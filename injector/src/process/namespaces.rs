//! Namespaces: whether the target's are ours, and going where it is.

use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, stat};

use super::Target;

impl Target<'_> {
    /// Enters the target's `kind` ("net", "ipc") of namespace unless it is ours already. Errors as setns(2).
    ///
    /// Its mount namespace is nothing to enter: the handle of its root serves, and /proc/self would be lost there.
    pub(crate) fn enter_namespace(&self, kind: &str) -> nix::Result<()> {
        let name = format!("ns/{kind}");
        let theirs = self.open_entry(name.as_bytes(), OFlag::O_RDONLY)?;
        let ours = stat(format!("/proc/self/{name}").as_str())?;
        let seen = fstat(&theirs)?;
        if (ours.st_dev, ours.st_ino) == (seen.st_dev, seen.st_ino) {
            return Ok(());
        }
        self.sys.enter_namespace(std::os::fd::AsFd::as_fd(&theirs))
    }
}
