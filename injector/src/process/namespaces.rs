//! Namespaces: whether the target's are ours, and going where it is.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, stat};

use super::Target;

impl Target<'_> {
    /// Enters the target's `kind` ("net", "ipc") of namespace unless it is ours already. Errors as setns(2).
    ///
    /// Its mount namespace is nothing to enter: the handle of its root serves, and /proc/self would be lost there.
    pub(crate) fn enter_namespace(&self, kind: &str) -> nix::Result<()> {
        let theirs = self.open_entry(format!("ns/{kind}").as_bytes(), OFlag::O_RDONLY)?;
        if is_ours(kind, &theirs)? {
            return Ok(());
        }
        self.sys.enter_namespace(theirs.as_fd())
    }

    /// Whether its `kind` of namespace is ours. Where that cannot be seen, what is done there will tell.
    pub(crate) fn shares_namespace(&self, kind: &str) -> bool {
        let theirs = self.open_entry(format!("ns/{kind}").as_bytes(), OFlag::O_RDONLY);
        theirs.and_then(|theirs| is_ours(kind, &theirs)).unwrap_or(true)
    }
}

fn is_ours(kind: &str, theirs: &OwnedFd) -> nix::Result<bool> {
    let ours = stat(format!("/proc/self/ns/{kind}").as_str())?;
    let seen = fstat(theirs)?;
    Ok((ours.st_dev, ours.st_ino) == (seen.st_dev, seen.st_ino))
}
