//! The cgroups of the lab: `/jattach-lab-<id>/pod<uid>/<container id>`. runc makes those of the containers; those of
//! the pods, which hold the pod's limits, are made here.
//!
//! Version 1 controllers, mounted one by one or beside an empty version 2 tree, are what this is tried on. The code for
//! version 2 alone follows the kernel's documentation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statfs;
use rustix::process::Signal;

use super::child::Child;
use super::error::{IoContext, Result};
use super::spec::{CPU_PERIOD_MICROS, Resources};

const MOUNT: &str = "/sys/fs/cgroup";
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// A cgroup by its path from the hierarchy's root.
#[derive(Clone, Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name) }
    }

    /// As a runtime's configuration takes it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the cgroup and sets the limits.
    pub(super) fn create(&self, resources: &Resources) -> Result<()> {
        if is_v2() { self.create_v2(resources) } else { self.create_v1(resources) }
    }

    fn create_v1(&self, resources: &Resources) -> Result<()> {
        let memory = self.directory(&Path::new(MOUNT).join("memory"));
        let cpu = self.directory(&Path::new(MOUNT).join("cpu"));
        for directory in [&memory, &cpu] {
            fs::create_dir_all(directory).context("create", directory)?;
        }
        write(&memory, "memory.limit_in_bytes", resources.memory_limit)?;
        write(&cpu, "cpu.shares", resources.cpu_shares)?;
        write(&cpu, "cpu.cfs_period_us", resources.cpu_quota.map(|_| CPU_PERIOD_MICROS))?;
        write(&cpu, "cpu.cfs_quota_us", resources.cpu_quota)
    }

    /// Every ancestor hands its controllers down. <https://docs.kernel.org/admin-guide/cgroup-v2.html>
    fn create_v2(&self, resources: &Resources) -> Result<()> {
        let directory = self.directory(Path::new(MOUNT));
        fs::create_dir_all(&directory).context("create", &directory)?;
        let ancestors: Vec<&Path> = directory.ancestors().take_while(|path| path.starts_with(MOUNT)).collect();
        for ancestor in ancestors.into_iter().rev() {
            let file = ancestor.join("cgroup.subtree_control");
            fs::write(&file, "+cpu +memory +pids").context("enable controllers in", file)?;
        }
        write(&directory, "memory.max", resources.memory_limit)?;
        write(&directory, "cpu.weight", resources.cpu_shares.map(weight))?;
        write(&directory, "cpu.max", resources.cpu_quota.map(|quota| format!("{quota} {CPU_PERIOD_MICROS}")))
    }

    /// How many of this cgroup's processes the kernel has killed for want of memory.
    pub(super) fn oom_kills(&self) -> u64 {
        let file = if is_v2() {
            self.directory(Path::new(MOUNT)).join("memory.events")
        } else {
            self.directory(&Path::new(MOUNT).join("memory")).join("memory.oom_control")
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).unwrap_or(0)
    }

    /// Kills everything in this cgroup and below, and returns when nothing of it runs any more.
    pub(super) async fn kill(&self) -> Result<()> {
        loop {
            let mut processes = Vec::new();
            for pid in self.processes() {
                // One that cannot be opened has ended meanwhile.
                if let Ok(process) = Child::adopt(pid) {
                    process.signal(Signal::KILL).context("kill a process of", &self.path)?;
                    processes.push(process);
                }
            }
            if processes.is_empty() {
                return Ok(());
            }
            for process in processes {
                process.gone().await.context("await a process of", &self.path)?;
            }
        }
    }

    /// In all hierarchies: a process may have been moved in one only.
    fn processes(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for hierarchy in hierarchies() {
            collect_processes(&self.directory(&hierarchy), &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Removes this cgroup and those below. One whose last process has only just been reaped is busy for a moment,
    /// and version 1 has no event for the end of that.
    pub(super) async fn remove(&self) -> Result<()> {
        for hierarchy in hierarchies() {
            let directory = self.directory(&hierarchy);
            for wait in [1, 3, 10, 30, 100, 300, 0] {
                match remove_tree(&directory) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy && wait > 0 => {
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                    }
                    result => {
                        result.context("remove", &directory)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn directory(&self, hierarchy: &Path) -> PathBuf {
        hierarchy.join(self.path.strip_prefix("/").unwrap_or(&self.path))
    }
}

fn is_v2() -> bool {
    statfs(MOUNT).is_ok_and(|fs| i128::from(fs.f_type) == i128::from(CGROUP2_MAGIC))
}

/// Where the hierarchies are mounted. Links (`cpu` to `cpu,cpuacct`) are left out.
fn hierarchies() -> Vec<PathBuf> {
    if is_v2() {
        return vec![PathBuf::from(MOUNT)];
    }
    let entries = fs::read_dir(MOUNT).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// runc's conversion. <https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2>
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn write(directory: &Path, file: &str, value: Option<impl ToString>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let path = directory.join(file);
    fs::write(&path, value.to_string()).context("write", path)
}

fn collect_processes(directory: &Path, pids: &mut Vec<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in children(directory) {
        collect_processes(&child, pids);
    }
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    for child in children(directory) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_become_weights_over_the_whole_range() {
        assert_eq!([2, 1024, 262_144].map(super::weight), [1, 39, 10_000]);
    }
}
