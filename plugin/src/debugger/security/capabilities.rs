//! Linux capabilities by name and by bit.

use std::fmt;

use k8s_openapi::api::core::v1::Capabilities;

/// By their bit, from `linux/capability.h`, without `CAP_`, as Kubernetes names them.
const NAMES: [&str; 41] = [
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

/// What containerd gives root where nothing else is said (`oci/spec.go`, defaultUnixCaps). CRI-O gives fewer; a name too
/// many here adds none: the injector's container has the target's list, whatever its runtime makes of that.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    /// All that have a name.
    pub(super) const ALL: Set = Set((1 << NAMES.len()) - 1);

    /// From a mask as /proc/PID/status shows it. Bits without a name are left out.
    pub(super) fn from_bits(bits: u64) -> Set {
        Set(bits & Set::ALL.0)
    }

    /// What a root process of a container has that asks for these.
    pub(super) fn of_container(asked: Option<&Capabilities>) -> Set {
        let list = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
        let (add, drop) = (list(asked.and_then(|asked| asked.add.as_ref())), list(asked.and_then(|a| a.drop.as_ref())));
        let all = |list: &[String]| list.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
        let named = |list: &[String]| list.iter().fold(Set(0), |set, name| set.with(bare(&name.to_ascii_uppercase())));
        let base = DEFAULT.iter().fold(Set(0), |set, name| set.with(name));
        // As containerd does it (WithCapabilities of internal/cri/opts): ALL added, ALL dropped, names added, names dropped.
        let start = match (all(&add), all(&drop)) {
            (_, true) => Set(0),
            (true, false) => Set::ALL,
            (false, false) => base,
        };
        Set(start.0 | named(&add).0).without(named(&drop))
    }

    pub(super) fn with(self, name: &str) -> Set {
        Set(NAMES.iter().position(|known| *known == name).map_or(self.0, |bit| self.0 | 1 << bit))
    }

    /// Whether it is the name of one.
    pub(super) fn is_known(name: &str) -> bool {
        name == "ALL" || NAMES.contains(&name)
    }

    pub(super) fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.with(name) == self
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of their bits.
    pub(super) fn names(self) -> impl Iterator<Item = String> {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & 1 << bit != 0).map(|(_, name)| (*name).to_owned())
    }
}

impl fmt::Display for Set {
    /// The names, or that there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Set(0) => f.write_str("no capabilities"),
            Set::ALL => f.write_str("all capabilities"),
            _ => f.write_str(&self.names().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Those of a mask as /proc/PID/status shows it, for a person.
pub(crate) fn names(bits: u64) -> String {
    Set::from_bits(bits).to_string()
}

/// The name without the prefix that some people write.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix("CAP_").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(add: &[&str], drop: &[&str]) -> Capabilities {
        let list = |list: &[&str]| Some(list.iter().map(|name| (*name).to_owned()).collect());
        Capabilities { add: list(add), drop: list(drop) }
    }

    fn names(set: Set) -> Vec<String> {
        set.names().collect()
    }

    #[test]
    fn the_bits_are_the_kernels() {
        // CapPrm of a root process in a container with the default list.
        assert_eq!(Set::of_container(None), Set::from_bits(0xa804_25fb));
        assert_eq!(names(Set::from_bits(1 << 19 | 1 << 40 | 1 << 63)), ["SYS_PTRACE", "CHECKPOINT_RESTORE"]);
    }

    #[test]
    fn dropped_and_added_names_change_the_default() {
        assert_eq!(names(Set::of_container(Some(&asked(&["NET_ADMIN"], &["ALL"])))), ["NET_ADMIN"]);
        assert_eq!(names(Set::of_container(Some(&asked(&["CAP_NET_ADMIN"], &["all"])))), ["NET_ADMIN"]);
        assert_eq!(names(Set::of_container(Some(&asked(&["net_admin"], &["ALL"])))), ["NET_ADMIN"]);
        let fewer = Set::of_container(Some(&asked(&[], &["NET_RAW", "MKNOD"])));
        assert_eq!(names(Set::of_container(None).without(fewer)), ["NET_RAW", "MKNOD"]);
        assert_eq!(Set::of_container(Some(&asked(&["ALL"], &[]))), Set::from_bits(u64::MAX));
        assert!(Set::of_container(Some(&asked(&["ALL"], &["ALL"]))).is_empty());
        assert!(Set::of_container(Some(&asked(&["KILL"], &["ALL", "KILL"]))).is_empty());
    }
}
