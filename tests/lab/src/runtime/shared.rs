//! What all pods of a lab share, and the removal of what a killed lab left behind.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Capability, LinuxSeccomp};
use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;

use super::Config;
use super::cgroup::Cgroup;
use super::child;
use super::container::remove_directory;
use super::error::{Error, IoContext, Result};
use super::kernel_mounts::unmount_below;
use super::pause;
use super::runc::Runc;
use super::seccomp::{PROFILE, Profile};
use super::spec::SeccompDefault;
use crate::image::{Image, ImageStore};

#[derive(Debug)]
pub(super) struct Shared {
    images: ImageStore,
    pub(super) runc: Runc,
    pub(super) cgroup: Cgroup,
    pub(super) pods: PathBuf,
    pub(super) pause_root: PathBuf,
    pub(super) pause_program: PathBuf,
    /// The tasks that write below `pods`.
    pub(super) writers: TaskTracker,
    profile: Profile,
    seccomp_default: SeccompDefault,
    /// Held for as long as the lab lives: two labs on one state directory would sweep each other away.
    _lock: File,
}

impl Shared {
    pub(super) async fn prepare(config: Config) -> Result<Self> {
        let Config { state, images, seccomp_default, pause_program } = config;
        fs::create_dir_all(&state).context("create", &state)?;
        let state = state.canonicalize().context("resolve", &state)?;
        let lock = lock(&state)?;
        child::become_subreaper().context("become the subreaper of", &state)?;
        let shared = Self {
            images,
            runc: Runc::new(state.join("runc")),
            cgroup: Cgroup::new(format!("/jattach-lab-{}", name_of(&state))),
            pods: state.join("pods"),
            pause_root: state.join("pause"),
            pause_program,
            writers: TaskTracker::new(),
            profile: Profile::read(Path::new(PROFILE))?,
            seccomp_default,
            _lock: lock,
        };
        shared.sweep().await?;
        pause::create_root(&shared.pause_root)?;
        Ok(shared)
    }

    pub(super) async fn image(&self, reference: &str) -> Result<Image> {
        let (images, wanted) = (self.images.clone(), reference.to_owned());
        let image = tokio::task::spawn_blocking(move || images.get(&wanted)).await;
        Ok(image.map_err(std::io::Error::from).context("unpack", reference)??)
    }

    pub(super) fn seccomp(&self, capabilities: &HashSet<Capability>) -> Result<LinuxSeccomp> {
        self.profile.filter(self.seccomp_default, capabilities)
    }

    /// Removes every process, cgroup, mount and file of this lab's containers, an earlier lab's on the same state
    /// directory included: the cgroup's name follows from that directory.
    pub(super) async fn sweep(&self) -> Result<()> {
        self.cgroup.kill().await?;
        // The end of a killed container is still being written down.
        self.writers.close();
        self.writers.wait().await;
        self.cgroup.remove().await?;
        unmount_below(&self.pods)?;
        for directory in [self.pods.as_path(), &self.pause_root, self.runc.root()] {
            remove_directory(directory)?;
        }
        Ok(())
    }
}

fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let file = File::create(&path).context("create", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::StateInUse { path: state.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(source).context("lock", path),
    }
}

/// Eight digits that tell the labs of one machine apart.
fn name_of(state: &Path) -> String {
    let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
