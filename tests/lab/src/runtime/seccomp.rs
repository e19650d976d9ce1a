//! The RuntimeDefault seccomp profile: the one that podman and CRI-O ship, brought into the form that an OCI runtime
//! takes. <https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json>

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompBuilder, LinuxSyscall};
use serde::Deserialize;

use super::error::{Error, Result};
use super::spec::SeccompDefault;

/// Debian's package golang-github-containers-common puts it there.
pub(super) const PROFILE: &str = "/usr/share/containers/seccomp.json";

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Calls that came with Linux 5.1 to 5.6, and into the profiles later.
const NEWER: [&str; 4] = ["openat2", "pidfd_getfd", "pidfd_open", "pidfd_send_signal"];

/// A profile in the containers' form: rules that hold for some architectures or capabilities only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    default_action: LinuxSeccompAction,
    arch_map: Vec<Architectures>,
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architectures {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(flatten)]
    call: LinuxSyscall,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

/// `minKernel` is not read: the oldest that occurs is 4.8, and this runtime needs pidfds (5.3).
#[derive(Debug, Default, Deserialize)]
struct Condition {
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    caps: Vec<Capability>,
}

impl Profile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let error = |detail: String| Error::Seccomp { path: PathBuf::from(path), detail };
        let text = std::fs::read(path).map_err(|source| error(source.to_string()))?;
        serde_json::from_slice(&text).map_err(|source| error(source.to_string()))
    }

    /// The filter for a container with these capabilities in its bounding set.
    pub(super) fn filter(&self, default: SeccompDefault, capabilities: &HashSet<Capability>) -> Result<LinuxSeccomp> {
        let (name, native) = native();
        let errno = match default {
            SeccompDefault::Eperm | SeccompDefault::EpermOld => EPERM,
            SeccompDefault::Enosys => ENOSYS,
        };
        let architectures = self.arch_map.iter().find(|entry| entry.architecture == native);
        let compatible = architectures.and_then(|entry| entry.sub_architectures.clone()).unwrap_or_default();
        let unknown: &[&str] = if default == SeccompDefault::EpermOld { &NEWER } else { &[] };
        let calls = self.syscalls.iter().filter(|rule| rule.applies(name, capabilities));
        let filter = LinuxSeccompBuilder::default()
            .default_action(self.default_action)
            .default_errno_ret(errno)
            .architectures([vec![native], compatible].concat())
            .syscalls(calls.filter_map(|rule| without(&rule.call, unknown)).collect::<Vec<_>>())
            .build()?;
        Ok(filter)
    }
}

impl Rule {
    fn applies(&self, architecture: &str, capabilities: &HashSet<Capability>) -> bool {
        let named = |condition: &Condition| condition.arches.iter().any(|name| name == architecture);
        (self.includes.arches.is_empty() || named(&self.includes))
            && !named(&self.excludes)
            && self.includes.caps.iter().all(|needed| capabilities.contains(needed))
            && !self.excludes.caps.iter().any(|unwanted| capabilities.contains(unwanted))
    }
}

/// The rule without the calls of those names; `None` if it had no others.
fn without(call: &LinuxSyscall, names: &[&str]) -> Option<LinuxSyscall> {
    let mut call = call.clone();
    let left = call.names().iter().filter(|name| !names.contains(&name.as_str())).cloned().collect::<Vec<_>>();
    let is_any = !left.is_empty();
    call.set_names(left);
    is_any.then_some(call)
}

/// This machine's architecture by Go's name and by libseccomp's.
fn native() -> (&'static str, Arch) {
    if cfg!(target_arch = "aarch64") { ("arm64", Arch::ScmpArchAarch64) } else { ("amd64", Arch::ScmpArchX86_64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        serde_json::from_value(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                        {"architecture": "SCMP_ARCH_AARCH64"}],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}, "excludes": {}},
                {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["s390_runtime_instr"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}}]
        }))
        .expect("a profile")
    }

    #[test]
    fn rules_of_other_architectures_and_missing_capabilities_are_left_out() {
        let filter = profile().filter(SeccompDefault::Eperm, &HashSet::new()).unwrap();
        let calls = filter.syscalls().as_ref().unwrap();
        let named: Vec<_> = calls.iter().map(|call| (call.names()[0].as_str(), call.errno_ret())).collect();
        assert_eq!(named, [("read", None), ("bpf", Some(1))]);
        assert_eq!(filter.default_errno_ret(), Some(1));
    }

    #[test]
    fn an_old_profile_knows_no_newer_calls() {
        let mut profile = profile();
        profile.syscalls[0].call.set_names(["read", "openat2", "pidfd_open"].map(str::to_owned).to_vec());
        profile.syscalls[3] = serde_json::from_value(serde_json::json!(
            {"names": ["pidfd_send_signal"], "action": "SCMP_ACT_ALLOW"}
        ))
        .unwrap();
        let named = |default| -> Vec<String> {
            let filter = profile.filter(default, &HashSet::new()).unwrap();
            filter.syscalls().iter().flatten().flat_map(|call| call.names().clone()).collect()
        };
        assert_eq!(named(SeccompDefault::EpermOld), ["read", "bpf"]);
        assert_eq!(named(SeccompDefault::Eperm), ["read", "openat2", "pidfd_open", "bpf", "pidfd_send_signal"]);
    }

    #[test]
    fn a_capability_opens_its_calls() {
        let capabilities = HashSet::from([Capability::SysAdmin]);
        let filter = profile().filter(SeccompDefault::Enosys, &capabilities).unwrap();
        let bpf = filter.syscalls().as_ref().unwrap().iter().find(|call| call.names()[0] == "bpf").unwrap();
        assert_eq!(bpf.action(), LinuxSeccompAction::ScmpActAllow);
        assert_eq!(filter.default_errno_ret(), Some(38));
    }
}
