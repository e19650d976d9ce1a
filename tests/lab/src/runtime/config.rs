//! A container's OCI configuration (config.json): what containerd's CRI plugin writes for the same request.
//! <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md>

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capability, Linux, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxCpuBuilder, LinuxDeviceCgroupBuilder,
    LinuxMemoryBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, LinuxResources,
    LinuxResourcesBuilder, LinuxSeccomp, Mount, MountBuilder, Process, ProcessBuilder, RootBuilder, Spec, SpecBuilder,
    UserBuilder,
};

use super::cgroup::Cgroup;
use super::devices;
use super::error::Result;
use super::spec::{CPU_PERIOD_MICROS, ContainerSpec, Resources, User};
use crate::image;

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a configuration is made of, once everything about the container has been decided.
pub(super) struct Inputs<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) image: &'a image::Config,
    pub(super) argv: Vec<String>,
    pub(super) user: &'a User,
    pub(super) capabilities: HashSet<Capability>,
    pub(super) seccomp: Option<LinuxSeccomp>,
    pub(super) rootfs: &'a Path,
    pub(super) cgroup: &'a Cgroup,
    pub(super) namespaces: Vec<LinuxNamespace>,
    pub(super) binds: Vec<Bind>,
    /// The pod's; set by its pause container, known to the others as $HOSTNAME.
    pub(super) hostname: &'a str,
    pub(super) sets_hostname: bool,
    pub(super) sysctls: HashMap<String, String>,
}

/// A file or directory of the machine in the container.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub(super) source: PathBuf,
    pub(super) destination: PathBuf,
    pub(super) read_only: bool,
}

impl Bind {
    pub(super) fn new(source: impl Into<PathBuf>, destination: impl Into<PathBuf>, read_only: bool) -> Self {
        Self { source: source.into(), destination: destination.into(), read_only }
    }
}

/// A namespace of its own, or the one at `path`.
pub(super) fn namespace(kind: LinuxNamespaceType, path: Option<PathBuf>) -> Result<LinuxNamespace> {
    let builder = LinuxNamespaceBuilder::default().typ(kind);
    Ok(match path {
        Some(path) => builder.path(path),
        None => builder,
    }
    .build()?)
}

pub(super) fn build(inputs: &Inputs<'_>) -> Result<Spec> {
    let root = RootBuilder::default().path(inputs.rootfs).readonly(inputs.spec.security.read_only_root).build()?;
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .mounts(mounts(inputs)?)
        .process(process(inputs)?)
        .linux(linux(inputs)?)
        .build()?;
    // The builder's default has a name of its own, which a container would give to its whole pod.
    spec.set_hostname(inputs.sets_hostname.then(|| inputs.hostname.to_owned()));
    Ok(spec)
}

fn process(inputs: &Inputs<'_>) -> Result<Process> {
    let security = &inputs.spec.security;
    let user = UserBuilder::default()
        .uid(inputs.user.uid)
        .gid(inputs.user.gid)
        .additional_gids(inputs.user.supplemental_groups.clone())
        .build()?;
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(inputs.capabilities.clone())
        .permitted(inputs.capabilities.clone())
        .effective(inputs.capabilities.clone())
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()?;
    let cwd = inputs.spec.working_dir.as_ref().or(inputs.image.working_dir.as_ref());
    Ok(ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .args(inputs.argv.clone())
        .env(environment(inputs))
        .cwd(cwd.cloned().unwrap_or_else(|| PathBuf::from("/")))
        .capabilities(capabilities)
        .rlimits(Vec::new())
        .no_new_privileges(security.no_new_privileges)
        .oom_score_adj(permitted_oom_score_adj(inputs.spec.oom_score_adj))
        .build()?)
}

/// The container's arguments by Kubernetes' rule: a command replaces the image's entrypoint and arguments both.
pub(super) fn argv(spec: &ContainerSpec, image: &image::Config) -> Vec<String> {
    match (spec.command.is_empty(), spec.args.is_empty()) {
        (false, _) => [spec.command.clone(), spec.args.clone()].concat(),
        (true, false) => [image.entrypoint.clone(), spec.args.clone()].concat(),
        (true, true) => [image.entrypoint.clone(), image.cmd.clone()].concat(),
    }
}

/// Later ones win: the defaults, the image's, the pod's.
fn environment(inputs: &Inputs<'_>) -> Vec<String> {
    let defaults = [DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", inputs.hostname)];
    let own = inputs.spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    let mut environment: Vec<String> = Vec::new();
    for variable in defaults.into_iter().chain(inputs.image.env.iter().cloned()).chain(own) {
        let name = variable.split('=').next().unwrap_or_default();
        let same = |known: &&mut String| known.split('=').next() == Some(name);
        match environment.iter_mut().find(same) {
            Some(known) => *known = variable,
            None => environment.push(variable),
        }
    }
    environment
}

/// Below its own value a process may go only with CAP_SYS_RESOURCE, which not every machine grants even to root.
fn permitted_oom_score_adj(wanted: i32) -> i32 {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse().ok());
    own.map_or(wanted, |own: i32| own.max(wanted))
}

fn linux(inputs: &Inputs<'_>) -> Result<Linux> {
    let privileged = inputs.spec.security.privileged;
    let paths = |paths: &[&str]| -> Vec<String> {
        let paths = if privileged { &[] } else { paths };
        paths.iter().map(|path| (*path).to_owned()).collect()
    };
    let mut builder = LinuxBuilder::default()
        .namespaces(inputs.namespaces.clone())
        .cgroups_path(inputs.cgroup.path())
        .resources(resources(&inputs.spec.resources, privileged)?)
        .masked_paths(paths(&MASKED))
        .readonly_paths(paths(&READ_ONLY))
        .sysctl(inputs.sysctls.clone())
        .devices(if privileged { devices::of_this_machine()? } else { Vec::new() });
    if let Some(seccomp) = inputs.seccomp.clone() {
        builder = builder.seccomp(seccomp);
    }
    Ok(builder.build()?)
}

/// No device but the few that every runtime allows by itself, or all of them.
fn resources(limits: &Resources, privileged: bool) -> Result<LinuxResources> {
    let devices = LinuxDeviceCgroupBuilder::default().allow(privileged).access("rwm").build()?;
    let mut cpu = LinuxCpuBuilder::default();
    if let Some(shares) = limits.cpu_shares {
        cpu = cpu.shares(shares);
    }
    if let Some(quota) = limits.cpu_quota {
        cpu = cpu.quota(i64::try_from(quota).unwrap_or(i64::MAX)).period(CPU_PERIOD_MICROS);
    }
    let mut builder = LinuxResourcesBuilder::default().devices(vec![devices]).cpu(cpu.build()?);
    if let Some(limit) = limits.memory_limit {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        builder = builder.memory(LinuxMemoryBuilder::default().limit(limit).build()?);
    }
    Ok(builder.build()?)
}

fn mounts(inputs: &Inputs<'_>) -> Result<Vec<Mount>> {
    let system = if inputs.spec.security.privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"])?,
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"])?,
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", system])?,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", system])?,
    ];
    for bind in &inputs.binds {
        let access = if bind.read_only { "ro" } else { "rw" };
        let builder = MountBuilder::default().destination(&bind.destination).source(&bind.source).typ("bind");
        mounts.push(builder.options(words(&["rbind", "rprivate", access])).build()?);
    }
    Ok(mounts)
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Result<Mount> {
    let builder = MountBuilder::default().destination(destination).typ(kind).source(source);
    Ok(builder.options(words(options)).build()?)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(list: &[&str]) -> Vec<String> {
        words(list)
    }

    #[test]
    fn a_command_replaces_entrypoint_and_arguments_and_args_only_the_arguments() {
        let image = image::Config {
            entrypoint: words_of(&["entry"]),
            cmd: words_of(&["image", "args"]),
            ..image::Config::default()
        };
        for (command, args, expected) in [
            (&[][..], &[][..], &["entry", "image", "args"][..]),
            (&[], &["a"], &["entry", "a"]),
            (&["c"], &[], &["c"]),
            (&["c"], &["a"], &["c", "a"]),
        ] {
            let spec = ContainerSpec { command: words_of(command), args: words_of(args), ..Default::default() };
            assert_eq!(argv(&spec, &image), words_of(expected));
        }
    }
}
