//! The calls that nix does not have. Each function is one system call; everything else in the crate is safe code.
#![expect(unsafe_code, reason = "the one place for it")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::Result;
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::wait::Bell;

/// pidfd_open(2).
pub(super) fn pidfd_open(pid: libc::pid_t) -> Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// pidfd_send_signal(2) with the siginfo of kill(2).
pub(super) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed by the call, the other arguments are integers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal as i32, info, 0) };
    Errno::result(result).map(drop)
}

/// `struct __user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct` of linux/capability.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// capset(2) of the calling thread.
pub(super) fn capset(effective: u64, permitted: u64) -> Result<()> {
    let header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the set")]
    let data = [0u32, 32].map(|shift| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: 0,
    });
    // SAFETY: version 3 reads one header and exactly two data structs, both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    Errno::result(result).map(drop)
}

/// The permitted set of a thread: capget(2).
pub(super) fn capget(thread: libc::pid_t) -> Result<u64> {
    let header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: thread };
    let mut data = [CapData { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: version 3 reads one header and writes exactly two data structs, both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    Errno::result(result)?;
    Ok(u64::from(data[1].permitted) << 32 | u64::from(data[0].permitted))
}

/// tgkill(2).
pub(super) fn tgkill(process: libc::pid_t, thread: libc::pid_t, signal: Signal) -> Result<()> {
    // SAFETY: the call takes three integers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal as i32) };
    Errno::result(result).map(drop)
}

/// What [`give_up`] leaves, and whom it tells.
static LEFT: AtomicU64 = AtomicU64::new(0);
static TOLD: OnceLock<&'static Bell> = OnceLock::new();

/// From now on a thread that gets `signal` keeps no capability but `left`, and rings `told`.
pub(super) fn capset_on(signal: Signal, left: u64, told: &'static Bell) -> Result<()> {
    LEFT.store(left, Ordering::SeqCst);
    let _ = TOLD.set(told);
    let action = SigAction::new(SigHandler::Handler(give_up), SaFlags::SA_RESTART, SigSet::all());
    // SAFETY: the handler may run at any point of any thread: it makes system calls, reads two atomics, and leaves errno as
    // it was.
    unsafe { sigaction(signal, &action) }.map(drop)
}

extern "C" fn give_up(_signal: libc::c_int) {
    let errno = Errno::last_raw();
    let left = LEFT.load(Ordering::SeqCst);
    // A thread that has lost some already, with its uid, cannot have them back.
    if capset(left, left).is_err() {
        let _ = capset(0, 0);
    }
    if let Some(told) = TOLD.get() {
        told.ring();
    }
    Errno::set_raw(errno);
}

/// std names its threads with this, where they have names, which ours have not; musl's own brings its printf along, 10 KB
/// of a binary that every pod pulls.
///
/// # Safety
/// Takes anything and touches nothing.
// SAFETY: the C library's symbol of this name may be replaced (it is in an object file of its own), and does no more than
// give a thread a name for debuggers.
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_thread: libc::pthread_t, _name: *const libc::c_char) -> libc::c_int {
    0
}
