//! `/proc/PID/status` and `/proc/PID/stat`, read by anybody for any process: what a refusal is explained with.

use std::str;

use jattach_protocol::Identity;

/// The four ids of a user or group line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) real: u32,
    pub(crate) effective: u32,
    pub(crate) saved: u32,
    pub(crate) filesystem: u32,
}

/// What a process is, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The thread's name, 15 bytes at most; the process can write anything there.
    pub(crate) name: Vec<u8>,
    /// One letter: R, S, D, T (stopped), t (traced), Z, X.
    pub(crate) state: u8,
    pub(crate) uid: Ids,
    pub(crate) gid: Ids,
    pub(crate) groups: Vec<u32>,
    /// Its pid in each PID namespace, from ours down to its own.
    pub(crate) namespace_pids: Vec<u32>,
    /// Signals ignored and signals caught, bit n − 1 for signal n.
    pub(crate) ignored: u64,
    pub(crate) caught: u64,
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
}

impl Status {
    /// None where a field that every kernel since 4.1 prints is missing or no number.
    pub(crate) fn parse(text: &[u8]) -> Option<Status> {
        let inner = numbers(field(text, "NStgid")?);
        Some(Status {
            name: field(text, "Name")?.to_vec(),
            state: *field(text, "State")?.first()?,
            uid: ids(field(text, "Uid")?)?,
            gid: ids(field(text, "Gid")?)?,
            groups: numbers(field(text, "Groups")?),
            namespace_pids: (!inner.is_empty()).then_some(inner)?,
            ignored: mask(field(text, "SigIgn")?)?,
            caught: mask(field(text, "SigCgt")?)?,
            permitted: mask(field(text, "CapPrm")?)?,
            effective: mask(field(text, "CapEff")?)?,
        })
    }

    /// Its pid in its own PID namespace.
    pub(crate) fn inner_pid(&self) -> u32 {
        self.namespace_pids.last().copied().unwrap_or_default()
    }

    /// What another process has to be for the kernel to let it in.
    pub(crate) fn identity(&self) -> Identity {
        Identity { uid: self.uid.effective, gid: self.gid.effective, capabilities: self.permitted }
    }

    /// Whether a signal handler is set for `signal` and the signal is not ignored.
    pub(crate) fn catches(&self, signal: i32) -> bool {
        let bit = 1u64 << (signal - 1);
        self.caught & bit != 0 && self.ignored & bit == 0
    }
}

/// Field 22 of `/proc/PID/stat`: clock ticks from boot to the start of the process.
pub(crate) fn start_time(stat: &[u8]) -> Option<u64> {
    number(stat, 22)
}

/// Whether field 3 of `/proc/PID/stat` says that only the process's remains are there, until its parent looks after them.
pub(crate) fn is_over(stat: &[u8]) -> bool {
    matches!(stat_field(stat, 3), None | Some(b"Z" | b"X" | b"x"))
}

/// Whether field 9 of `/proc/PID/stat`, the kernel's flags, holds PF_EXITING (linux/sched.h).
pub(super) fn is_exiting(stat: &[u8]) -> bool {
    number(stat, 9).is_none_or(|flags| flags & 4 != 0)
}

fn number(stat: &[u8], number: usize) -> Option<u64> {
    str::from_utf8(stat_field(stat, number)?).ok()?.parse().ok()
}

/// A field of `/proc/PID/stat`, counted from 1. The name in field 2 may hold blanks and brackets: the last bracket ends it.
fn stat_field(stat: &[u8], number: usize) -> Option<&[u8]> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat[end_of_name + 1..].split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    fields.nth(number.checked_sub(3)?)
}

/// The value of `name:`, without the white space around it. The first one counts: the kernel escapes newlines in names.
fn field<'t>(text: &'t [u8], name: &str) -> Option<&'t [u8]> {
    text.split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":").map(<[u8]>::trim_ascii))
}

fn numbers(value: &[u8]) -> Vec<u32> {
    let words = value.split(|byte| byte.is_ascii_whitespace());
    words.filter_map(|word| str::from_utf8(word).ok()?.parse().ok()).collect()
}

fn ids(value: &[u8]) -> Option<Ids> {
    match numbers(value)[..] {
        [real, effective, saved, filesystem] => Some(Ids { real, effective, saved, filesystem }),
        _ => None,
    }
}

fn mask(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] = b"Name:\tja:va \\n\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4711\nUid:\t1\t2\t3\t4\n\
        Gid:\t5\t6\t7\t8\nGroups:\t9 10 \nNStgid:\t4711\t7\t1\nSigIgn:\t0000000000000006\nSigCgt:\t2000000181005ccf\n\
        CapPrm:\t00000000a80425fb\nCapEff:\t0000000000000000\n";

    #[test]
    fn a_status_is_read_with_its_ids_masks_and_inner_pid() {
        let status = Status::parse(STATUS).expect("all fields are there");
        assert_eq!(status.name, b"ja:va \\n");
        assert_eq!(status.state, b'S');
        assert_eq!(status.uid, Ids { real: 1, effective: 2, saved: 3, filesystem: 4 });
        assert_eq!(status.gid, Ids { real: 5, effective: 6, saved: 7, filesystem: 8 });
        assert_eq!(status.groups, [9, 10]);
        assert_eq!(status.inner_pid(), 1);
        assert_eq!(status.permitted, 0xa804_25fb);
        assert!(!status.catches(3), "caught and ignored at once is not caught");
        assert!(status.catches(1));
    }

    #[test]
    fn a_status_without_one_of_its_fields_is_refused() {
        for missing in ["NStgid", "State", "Uid", "Gid", "Groups", "SigIgn", "SigCgt", "CapPrm", "CapEff", "Name"] {
            let text = String::from_utf8(STATUS.to_vec()).expect("text").replace(&format!("{missing}:"), "Else:");
            assert_eq!(Status::parse(text.as_bytes()), None, "without {missing}");
        }
    }

    #[test]
    fn the_start_time_is_found_behind_a_name_that_imitates_the_fields() {
        let stat = b"12 (a) S 1 (b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time(b"12 (a) S 1 2"), None);
        assert_eq!(start_time(b""), None);
    }

    #[test]
    fn a_process_that_is_being_killed_is_known_before_its_state_says_so() {
        let running = b"12 (java) S 1 12 12 0 -1 4194560 1 2 3";
        let killed = b"12 (java) S 1 12 12 0 -1 4194564 1 2 3";
        assert!(!is_exiting(running));
        assert!(is_exiting(killed) && is_exiting(b""));
        assert!(is_over(b"12 (a) b) Z 1 2") && is_over(b""));
        assert!(!is_over(running));
    }
}
