//! Which capabilities a container's processes may have, by containerd's rules.

use std::collections::HashSet;
use std::str::FromStr;

use oci_spec::runtime::Capability;

use super::spec::SecurityContext;

/// containerd's default set.
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// By number, from 0. <https://github.com/torvalds/linux/blob/master/include/uapi/linux/capability.h>
const BY_NUMBER: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The bounding, permitted and effective set. The kernel takes the latter two from a non-root process at exec.
///
/// The error is the name that nobody knows.
pub(super) fn of(security: &SecurityContext) -> Result<HashSet<Capability>, String> {
    let names = |name: &&String| !name.eq_ignore_ascii_case("ALL");
    let has_all = |list: &[String]| list.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    let mut set = HashSet::from(DEFAULT);
    if security.privileged || has_all(&security.add_capabilities) {
        set = all();
    }
    if security.privileged {
        return Ok(set);
    }
    if has_all(&security.drop_capabilities) {
        set.clear();
    }
    for name in security.add_capabilities.iter().filter(names) {
        set.insert(parse(name)?);
    }
    for name in security.drop_capabilities.iter().filter(names) {
        set.remove(&parse(name)?);
    }
    Ok(set)
}

fn parse(name: &str) -> Result<Capability, String> {
    let upper = name.to_ascii_uppercase();
    Capability::from_str(upper.strip_prefix("CAP_").unwrap_or(&upper)).map_err(|_| name.to_owned())
}

/// All that this process may hand on: a machine may withhold some even from root.
fn all() -> HashSet<Capability> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapBnd:")?.trim(), 16).ok());
    let bounding = bounding.unwrap_or(0);
    let held = BY_NUMBER.iter().enumerate().filter(|(number, _)| bounding >> number & 1 == 1);
    held.filter_map(|(_, name)| Capability::from_str(name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(add: &[&str], drop: &[&str]) -> SecurityContext {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SecurityContext { add_capabilities: owned(add), drop_capabilities: owned(drop), ..SecurityContext::default() }
    }

    #[test]
    fn every_number_has_a_name_that_the_runtime_knows() {
        for name in BY_NUMBER {
            assert!(Capability::from_str(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn drop_all_leaves_what_is_added() {
        assert_eq!(of(&context(&["SYS_PTRACE"], &["ALL"])).unwrap(), HashSet::from([Capability::SysPtrace]));
        assert_eq!(of(&context(&[], &["all"])).unwrap(), HashSet::new());
    }

    #[test]
    fn single_capabilities_are_added_to_and_dropped_from_the_default() {
        let set = of(&context(&["cap_sys_ptrace"], &["KILL"])).unwrap();
        assert!(set.contains(&Capability::SysPtrace) && !set.contains(&Capability::Kill));
        assert_eq!(set.len(), DEFAULT.len());
    }

    #[test]
    fn an_unknown_name_is_named() {
        assert_eq!(of(&context(&["NO_SUCH"], &[])).unwrap_err(), "NO_SUCH");
    }
}
