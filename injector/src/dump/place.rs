//! A directory where a dump may lie for a while: the injector's own /tmp, as the JVM reaches it through /proc, or else the
//! target's. Asked before anything is written whether the dump would harm the node, the pod, or the pod's memory.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{FsType, Statfs, TMPFS_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, mkfifoat, unlinkat};

use crate::process::{Target, read_own};
use crate::sys::describe;

/// Every name that is created begins so, then who created it: PID namespace, pid and start time. Enough to know, later,
/// that nobody uses it any more.
const PREFIX: &str = ".jattach-";

/// One tmpfs for all containers of a pod.
const SHARED: &str = "/dev/shm";

/// After so long without a change nobody uses a file whose creator cannot be seen from here: a container that is no more,
/// or another one that shares the directory.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Whether the filesystem that we see is the target's.
static TARGETS: AtomicBool = AtomicBool::new(false);

/// From now on nothing is put on the disk that nobody has asked to be there: it is the target's.
pub(crate) fn spare_the_disk() {
    TARGETS.store(true, Ordering::Relaxed);
}

/// A directory, and what the JVM calls it.
pub(crate) struct Place {
    directory: OwnedFd,
    seen: String,
    whose: &'static str,
}

impl Place {
    /// The injector's own /tmp. The JVM gets there if it may look into our /proc directory.
    pub(crate) fn own() -> nix::Result<Place> {
        let directory = nix::fcntl::open("/tmp", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Place { directory, seen: format!("/proc/{}/root/tmp", std::process::id()), whose: "the injector's /tmp" })
    }

    /// Our own /tmp for files without a name, unless its disk is the target's.
    pub(crate) fn disk() -> Option<Place> {
        if TARGETS.load(Ordering::Relaxed) { None } else { Place::own().ok() }
    }

    /// Our own /tmp, where the target can name it: in a PID namespace below ours our pid is another's.
    pub(crate) fn own_for(target: &Target<'_>) -> Result<Option<nix::Result<Place>>, Failure> {
        Ok((target.status()?.namespace_pids.len() == 1).then(Place::own))
    }

    /// Where FIFOs may be, the best first: our own /tmp, then what the JVM reaches on a way that goes with us. A JVM of 22 or
    /// newer opens its second file in the middle of the pause, and would wait there for ever before a FIFO whose reader has
    /// been killed; on such a way it finds nothing then, and goes on. By their own names FIFOs are only used where the JVM is
    /// not let in there, or is in a PID namespace below ours and knows our pid as another's.
    pub(crate) fn meeting(target: &Target<'_>) -> Result<Vec<Place>, Failure> {
        let plain = || [Place::shared(target), Place::of(target)].into_iter().filter_map(Result::ok);
        let Some(own) = Place::own_for(target)? else { return Ok(plain().collect()) };
        Ok(own.into_iter().chain(plain().map(Place::through_us)).chain(plain()).collect())
    }

    /// The same directory, as the JVM reaches it through ours in /proc. Whoever has our pid after us has no such names.
    fn through_us(self) -> Place {
        let seen = format!("/proc/{}/fd/{}", std::process::id(), self.directory.as_raw_fd());
        Place { seen, ..self }
    }

    /// Whether the JVM has to be let in to us to get there.
    pub(crate) fn is_through_us(&self) -> bool {
        self.seen.starts_with("/proc/")
    }

    /// The target's /tmp.
    pub(crate) fn of(target: &Target<'_>) -> nix::Result<Place> {
        let directory = target.open_in_root(b"/tmp", OFlag::O_DIRECTORY)?;
        Ok(Place { directory, seen: "/tmp".to_owned(), whose: "the target's /tmp" })
    }

    /// The pod's /dev/shm, where it is one for the target and us: an application may have mounted another. It is memory, so
    /// FIFOs alone may lie there.
    pub(crate) fn shared(target: &Target<'_>) -> nix::Result<Place> {
        let open = |path| nix::fcntl::open(path, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let (ours, theirs) = (open(SHARED)?, target.open_in_root(SHARED.as_bytes(), OFlag::O_DIRECTORY)?);
        let identity = |directory: &OwnedFd| fstat(directory).map(|stat| (stat.st_dev, stat.st_ino));
        if identity(&ours)? != identity(&theirs)? {
            return Err(Errno::EXDEV);
        }
        Ok(Place { directory: ours, seen: SHARED.to_owned(), whose: "the pod's /dev/shm" })
    }

    /// A name for something new here, which nobody can guess.
    pub(crate) fn name() -> Result<String, Failure> {
        let pid = std::process::id();
        let start_time =
            start_of(pid).ok_or_else(|| Failure::new(Code::Other, "cannot read our own /proc/self/stat"))?;
        // Seeded by the kernel.
        let random = RandomState::new().build_hasher().finish();
        Ok(format!("{PREFIX}{}-{pid}-{start_time}-{random:016x}", pid_namespace()))
    }

    /// What the JVM calls `name` here.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.seen)
    }

    /// That nothing can be made here.
    pub(crate) fn refusal(&self, errno: Errno) -> Failure {
        Failure::new(Code::NoSpace, "no place where the JVM can write its heap dump to").evidence(format!(
            "{}: {}",
            self.whose,
            describe(errno)
        ))
    }

    /// Creates `name`, for its owner alone.
    pub(crate) fn create(&self, name: &str) -> nix::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
    }

    /// Makes the FIFO `name`, for its owner alone, and opens it for reading and writing.
    pub(crate) fn create_fifo(&self, name: &str) -> nix::Result<File> {
        mkfifoat(&self.directory, name, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&self.directory, name, flags, Mode::empty()).map(File::from);
        // Whoever else may write here might have put something in its place.
        let fifo = opened.and_then(|file| is_fifo(&file).then_some(file).ok_or(Errno::EEXIST));
        if fifo.is_err() {
            self.unlink(name);
        }
        fifo
    }

    /// A new file that has lost its name already: it vanishes with us.
    pub(crate) fn create_nameless(&self) -> Option<File> {
        let name = Place::name().ok()?;
        let file = self.create(&name).ok()?;
        self.unlink(&name);
        Some(file)
    }

    /// Opens `name` to be read and to have holes made in it, which takes the right to write. Only if it is there and is a
    /// regular file: in the target's /tmp it might be anything by now.
    pub(crate) fn open(&self, name: &str) -> Option<File> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.directory, name, flags, Mode::empty()).ok()?);
        file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
    }

    /// Removes `name` alone.
    pub(crate) fn unlink(&self, name: &str) {
        // Whoever waits for the other end of a FIFO waits for ever once its name is gone: a JVM whose injector was killed,
        // perhaps in the middle of its pause. A reader that comes and goes has it fail, and go on.
        let _reader = self.is_fifo(name).then(|| {
            let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(&self.directory, name, flags, Mode::empty())
        });
        // What has gone is removed, and what is not ours we may not remove.
        let _ = unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Removes `name`, and what the JVM has put beside it for parts of the dump (`name.p0` and on, JDK 22 and newer).
    pub(crate) fn remove(&self, name: &str) {
        self.each(|entry| entry.starts_with(name));
    }

    /// Removes what an injector that was killed has left here: names of ours whose process is no more.
    pub(crate) fn sweep(&self) {
        self.each(|entry| match creator(entry) {
            Some((namespace, pid, start_time)) if namespace == pid_namespace() => start_of(pid) != Some(start_time),
            Some(_) => self.is_abandoned(entry),
            None => false,
        });
    }

    fn is_fifo(&self, name: &str) -> bool {
        let stat = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO)
    }

    fn is_abandoned(&self, name: &str) -> bool {
        let Ok(stat) = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { return false };
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        changed.elapsed().is_ok_and(|age| age > ABANDONED)
    }

    fn each(&self, mut unwanted: impl FnMut(&str) -> bool) {
        for entry in self.entries() {
            if unwanted(&entry) {
                self.unlink(&entry);
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = String> {
        let path = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| String::from_utf8(entry.file_name().as_bytes().to_vec()).ok())
    }

    /// What there is on its filesystem.
    pub(crate) fn space(&self) -> Option<Space> {
        fstatfs(self.directory.as_fd()).ok().map(Space::of)
    }

    /// Whether so many more bytes may be written.
    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.space().is_some_and(|space| more <= space.usable())
    }

    /// Whether what lies here is memory; also where that cannot be told.
    pub(crate) fn is_in_memory(&self) -> bool {
        fstatfs(self.directory.as_fd()).map_or(true, |stat| memory_backed(stat.filesystem_type()))
    }

    /// Whether something of `expected` bytes may lie here that takes `room` bytes while it is written. `storage_limit` is
    /// the smallest ephemeral-storage limit of the pod's containers, 0 for none.
    ///
    /// # Errors
    /// [`Code::NoSpace`], with the numbers.
    pub(crate) fn check(&self, expected: u64, room: u64, storage_limit: u64) -> Result<(), Failure> {
        let refuse = |why: &str| Failure::new(Code::NoSpace, format!("no room for the heap dump: {why}"));
        let stat = fstatfs(self.directory.as_fd()).map_err(|errno: Errno| refuse(&describe(errno)))?;
        if memory_backed(stat.filesystem_type()) {
            return Err(refuse("it would lie in the pod's memory").evidence(format!(
                "{} is a tmpfs, and it may take {}",
                self.whose,
                mebibytes(expected)
            )));
        }
        let space = Space::of(stat);
        if room > space.usable() {
            return Err(refuse("less than 20 % of the node's disk would stay free")
                .evidence(format!(
                    "{}: {} free of {}, it may take {}",
                    self.whose,
                    mebibytes(space.free),
                    mebibytes(space.size),
                    mebibytes(room)
                ))
                .remedy("free some of the node's disk: the kubelet evicts pods when it runs full"));
        }
        if storage_limit != 0 && storage_limit / 4 < expected {
            return Err(refuse("the pod's ephemeral-storage limit is below four times its expected size")
                .evidence(format!("limit {}, the dump may take {}", mebibytes(storage_limit), mebibytes(expected)))
                .remedy("the kubelet evicts a pod above that limit: raise it in the workload"));
        }
        Ok(())
    }
}

/// The room on a filesystem, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Space {
    pub(crate) free: u64,
    pub(crate) size: u64,
}

impl Space {
    fn of(stat: Statfs) -> Space {
        let block = u64::try_from(stat.block_size()).unwrap_or(0);
        Space { free: stat.blocks_available().saturating_mul(block), size: stat.blocks().saturating_mul(block) }
    }

    /// How much of it a dump may take: a fifth stays free, because the kubelet evicts pods when the disk runs full.
    pub(crate) fn usable(self) -> u64 {
        self.free.saturating_sub(self.size / 5)
    }
}

fn is_fifo(file: &File) -> bool {
    use std::os::unix::fs::FileTypeExt;
    file.metadata().is_ok_and(|meta| meta.file_type().is_fifo())
}

fn memory_backed(filesystem: FsType) -> bool {
    // linux/magic.h; nix has no name for it.
    const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
    filesystem == TMPFS_MAGIC || filesystem == RAMFS_MAGIC
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// PID namespace, pid and start time in a name of ours.
fn creator(name: &str) -> Option<(u64, u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The inode of our PID namespace.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// When the process of that pid started; none where there is none, or only what its parent has not looked after: a JVM that
/// is pid 1 looks after nobody.
fn start_of(pid: u32) -> Option<u64> {
    let stat = read_own(&format!("/proc/{pid}/stat")).ok()?;
    if crate::process::is_over(&stat) { None } else { crate::process::start_time(&stat) }
}

#[cfg(test)]
impl Place {
    /// A directory of a test's.
    pub(super) fn at(directory: &std::path::Path) -> Place {
        let directory = File::open(directory).expect("the directory").into();
        Place { directory, seen: "/tmp".into(), whose: "a test's directory" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_start() -> u64 {
        start_of(std::process::id()).expect("our own start")
    }

    #[test]
    fn a_sweep_takes_what_a_dead_injector_left_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (namespace, pid) = (pid_namespace(), std::process::id());
        let elsewhere = format!("{PREFIX}{}-{pid}-1-00.p0", namespace + 1);
        let old = format!("{PREFIX}{}-{pid}-1-01.p0", namespace + 1);
        let kept = [Place::name().expect("a name"), "something-else".into(), ".jattach-hold-1.sock".into(), elsewhere];
        let swept = [
            format!("{PREFIX}{namespace}-{pid}-{}-00", own_start() + 1),
            format!("{PREFIX}{namespace}-4194304-1-00.p0"),
            old.clone(),
        ];
        for name in kept.iter().chain(&swept) {
            fs::write(directory.path().join(name), "x").expect("a file");
        }
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        let file = File::options().write(true).open(directory.path().join(&old)).expect("the file");
        file.set_modified(long_ago).expect("its time");
        Place::at(directory.path()).sweep();
        let mut left: Vec<String> = Place::at(directory.path()).entries().collect();
        left.sort();
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(left, kept);
    }

    #[test]
    fn a_link_or_fifo_in_the_dumps_place_is_not_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("link")).expect("a link");
        nix::unistd::mkfifo(&directory.path().join("fifo"), Mode::S_IRUSR).expect("a FIFO");
        fs::write(directory.path().join("file"), "x").expect("a file");
        let place = Place::at(directory.path());
        assert!(place.open("link").is_none());
        assert!(place.open("fifo").is_none());
        assert!(place.open("file").is_some());
    }

    #[test]
    fn a_dump_is_refused_in_memory_on_a_full_disk_and_under_a_small_limit() {
        let cause = |place: &Place, expected, limit| {
            place.check(expected, expected, limit).expect_err("refused").into_parts().cause
        };
        assert!(cause(&Place::at("/dev/shm".as_ref()), 1, 0).contains("the pod's memory"));
        let disk = Place::at("/var".as_ref());
        assert!(cause(&disk, u64::MAX, 0).contains("20 %"));
        assert!(cause(&disk, 1 << 20, (4 << 20) - 1).contains("ephemeral-storage"));
        assert_eq!(disk.check(1, 1, 4), Ok(()));
    }
}
