//! Watches, from this machine, the memory of programs in the lab's pods and beside them while they run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks. A process's peak is kept by the kernel, and only lost with the process: what is missed is a peak in
/// its last moments.
const LOOK: Duration = Duration::from_millis(10);
/// Between two searches of all processes for those of the pod.
const SEARCH: Duration = Duration::from_millis(200);

/// The most of each that was seen, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peaks {
    pub(super) plugin: u64,
    /// The injector's main process and its session together.
    pub(super) injector: u64,
    /// On the disk, of files of the injector that have no name. None where this process may not look.
    pub(super) spool: Option<u64>,
}

pub(super) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Peaks>,
}

impl Watch {
    /// Watches the plugin that runs as `plugin`, or will once kubectl has become it, and the injector in the pod of this uid.
    pub(super) fn start(plugin: u32, pod_uid: &str) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let (its_over, pod_uid) = (Arc::clone(&over), pod_uid.to_owned());
        let thread = thread::spawn(move || watch(&process(plugin), &pod_uid, &its_over));
        Watch { over, thread }
    }

    pub(super) fn finish(self) -> Peaks {
        self.over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

fn watch(plugin: &Path, pod_uid: &str, over: &AtomicBool) -> Peaks {
    let mut peaks = Peaks::default();
    let (mut hold, mut session) = (0, 0);
    let mut found: Vec<Injector> = Vec::new();
    let mut searched: Option<Instant> = None;
    while !over.load(Ordering::Relaxed) {
        if searched.is_none_or(|at| at.elapsed() >= SEARCH) {
            found = injectors(pod_uid);
            searched = Some(Instant::now());
        }
        // Until kubectl has become the plugin the memory is kubectl's.
        if fs::read_link(plugin.join("exe")).is_ok_and(|exe| exe.ends_with("kubectl-jattach")) {
            peaks.plugin = peak(plugin).max(peaks.plugin);
        }
        for injector in &found {
            let most = if injector.is_hold { &mut hold } else { &mut session };
            *most = peak(&injector.process).max(*most);
            if injector.is_hold {
                peaks.spool = spool(&injector.process).max(peaks.spool);
            }
        }
        thread::park_timeout(LOOK);
    }
    peaks.injector = hold + session;
    peaks
}

struct Injector {
    process: PathBuf,
    is_hold: bool,
}

/// The injector's processes in that pod.
fn injectors(pod_uid: &str) -> Vec<Injector> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let injector = |process: PathBuf| {
        let command = fs::read(process.join("cmdline")).ok()?;
        let is_hold = match command.as_slice() {
            b"/injector\0hold\0" => true,
            b"/injector\0session\0" => false,
            _ => return None,
        };
        let cgroup = fs::read_to_string(process.join("cgroup")).ok()?;
        cgroup.contains(pod_uid).then_some(Injector { process, is_hold })
    };
    entries.filter_map(|entry| injector(entry.path())).collect()
}

fn process(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// The most memory that the process has had at a time, in bytes.
fn peak(process: &Path) -> u64 {
    fs::read_to_string(process.join("status")).ok().and_then(|status| high_water_mark(&status)).unwrap_or(0)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let kib: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// What the process has on the disk in files without a name.
fn spool(process: &Path) -> Option<u64> {
    let descriptors = fs::read_dir(process.join("fd")).ok()?.flatten();
    let nameless = descriptors.filter(|descriptor| {
        fs::read_link(descriptor.path()).is_ok_and(|file| file.to_string_lossy().ends_with(" (deleted)"))
    });
    let on_disk = |descriptor: fs::DirEntry| {
        let file = fs::metadata(descriptor.path()).ok()?;
        // One file may be open twice; blocks are of 512 bytes, always.
        file.is_file().then(|| (file.ino(), file.blocks() * 512))
    };
    let mut files: Vec<(u64, u64)> = nameless.filter_map(on_disk).collect();
    files.sort_unstable();
    files.dedup_by_key(|(inode, _)| *inode);
    Some(files.into_iter().map(|(_, bytes)| bytes).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tinjector\nVmPeak:\t    9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(high_water_mark(status), Some(1234 << 10));
        assert_eq!(high_water_mark("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_file_without_a_name_counts_with_what_it_has_on_the_disk() {
        use std::io::Write;
        let before = spool(&process(std::process::id())).expect("our own descriptors");
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).expect("a file");
        file.write_all(&[1; 1 << 20]).and_then(|()| file.sync_all()).expect("written");
        let after = spool(&process(std::process::id())).expect("our own descriptors");
        assert!(after >= before + (1 << 20), "{before}, then {after}");
    }
}
