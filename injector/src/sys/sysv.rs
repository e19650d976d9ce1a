//! System V semaphores, which nix does not have: OpenJ9 wakes its JVMs with one.
#![expect(unsafe_code, reason = "beside `raw` the one place for it")]

use nix::Result;
use nix::errno::Errno;

/// semget(2) of a set of one semaphore, which anybody may use, made where there is none.
pub(super) fn semget(key: libc::key_t) -> Result<i32> {
    // SAFETY: the call takes three integers.
    Errno::result(unsafe { libc::semget(key, 1, libc::IPC_CREAT | 0o666) })
}

/// semop(2) of a set's first semaphore: each step is what is added, and the flags of that.
pub(super) fn semop(set: i32, steps: &[(i16, i16)]) -> Result<()> {
    let step = |&(sem_op, sem_flg)| libc::sembuf { sem_num: 0, sem_op, sem_flg };
    let mut steps: Vec<libc::sembuf> = steps.iter().map(step).collect();
    // SAFETY: the array lives until the call returns, and has as many elements as it is told.
    let result = unsafe { libc::semop(set, steps.as_mut_ptr(), steps.len()) };
    Errno::result(result).map(drop)
}
