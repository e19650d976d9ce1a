//! System V semaphores, which nix does not have: OpenJ9 wakes its JVMs with one.
#![expect(unsafe_code, reason = "one of the three places for it")]

use nix::Result;
use nix::errno::Errno;

/// semget(2) of a set of one semaphore: which rights it is to give, and whether it is made where there is none (IPC_CREAT).
pub(super) fn semget(key: libc::key_t, flags: i32) -> Result<i32> {
    // SAFETY: the call takes three integers.
    Errno::result(unsafe { libc::semget(key, 1, flags) })
}

/// semop(2) of a set's first semaphore: each step is what is added, and the flags of that.
pub(super) fn semop(set: i32, steps: &[(i16, i16)]) -> Result<()> {
    let step = |&(sem_op, sem_flg)| libc::sembuf { sem_num: 0, sem_op, sem_flg };
    let mut steps: Vec<libc::sembuf> = steps.iter().map(step).collect();
    // SAFETY: the array lives until the call returns, and has as many elements as it is told.
    let result = unsafe { libc::semop(set, steps.as_mut_ptr(), steps.len()) };
    Errno::result(result).map(drop)
}
