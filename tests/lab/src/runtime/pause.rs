//! The pause container: it holds the pod's namespaces, and is pid 1 where the pod shares its processes.
//!
//! Its program is `lab-pause`, built beside the lab. As it is linked dynamically, its root filesystem is empty but for
//! the machine's library directories, read-only.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::Bind;
use super::error::{IoContext, Result};
use super::spec::{ContainerSpec, PodSandboxSpec, SeccompProfile, SecurityContext};

/// Where the program stands in the container.
const PROGRAM: &str = "/pause";
/// The user of Kubernetes' own pause image.
const USER: u32 = 65535;
/// The kernel takes it last of all of the pod's processes.
const OOM_SCORE_ADJ: i32 = -998;
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// The program's path where the lab was built as a whole: beside the running one.
pub fn program_beside_this() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("lab-pause"))
}

pub(super) fn container(pod: &PodSandboxSpec) -> ContainerSpec {
    ContainerSpec {
        name: "POD".to_owned(),
        command: vec![PROGRAM.to_owned()],
        security: SecurityContext {
            run_as_user: Some(pod.run_as_user.unwrap_or(USER)),
            run_as_group: Some(pod.run_as_group.unwrap_or(USER)),
            no_new_privileges: true,
            read_only_root: true,
            seccomp: SeccompProfile::RuntimeDefault,
            ..SecurityContext::default()
        },
        oom_score_adj: OOM_SCORE_ADJ,
        ..ContainerSpec::default()
    }
}

pub(super) fn binds(program: &Path) -> Vec<Bind> {
    let libraries = LIBRARIES.iter().filter(|path| is_directory(Path::new(path)));
    let mut binds: Vec<Bind> = libraries.map(|path| Bind::new(path, path, true)).collect();
    binds.push(Bind::new(program, PROGRAM, true));
    binds
}

/// Links among the machine's library directories (`/lib` to `usr/lib`) are made again.
pub(super) fn create_root(root: &Path) -> Result<()> {
    fs::create_dir_all(root).context("create", root)?;
    for path in LIBRARIES {
        let inside = root.join(&path[1..]);
        if let Ok(target) = fs::read_link(path) {
            std::os::unix::fs::symlink(target, &inside).context("create", inside)?;
        } else if is_directory(Path::new(path)) {
            fs::create_dir_all(&inside).context("create", inside)?;
        }
    }
    Ok(())
}

/// What containerd sets in a pod's network namespace, so that no container needs a capability for a low port or a ping.
pub(super) fn sysctls() -> HashMap<String, String> {
    let pairs = [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}
