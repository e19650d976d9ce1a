//! What the runtime is asked for: the lab's counterpart of the kubelet's CRI messages, with everything that
//! Kubernetes inherits or defaults already worked out (see [`super::kubelet`]).

use std::path::PathBuf;

/// A pod: the namespaces, cgroups and volumes its containers share.
#[derive(Clone, Debug, Default)]
pub struct PodSandboxSpec {
    pub uid: String,
    pub name: String,
    pub namespace: String,
    /// One PID namespace for all containers, with the pause process as its pid 1.
    pub share_process_namespace: bool,
    /// Whom the pause process runs as; the pause image's 65535 where absent.
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    /// Owns the volumes and is a supplemental group of every container.
    pub fs_group: Option<u32>,
    pub resources: Resources,
    pub volumes: Vec<EmptyDir>,
    pub projected: Vec<ProjectedVolume>,
}

/// Limits of a cgroup; absent means unlimited, or the kernel's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes.
    pub memory_limit: Option<u64>,
    /// Microseconds of CPU time in each period of [`CPU_PERIOD_MICROS`].
    pub cpu_quota: Option<u64>,
    /// cgroup v1 shares: 1024 a CPU, at least 2.
    pub cpu_shares: Option<u64>,
}

/// The kubelet's CFS period.
pub const CPU_PERIOD_MICROS: u64 = 100_000;

#[derive(Clone, Debug)]
pub struct EmptyDir {
    pub name: String,
    /// `medium: Memory`: a tmpfs, charged to the pod's memory.
    pub memory: bool,
    /// Bytes; binds only a tmpfs.
    pub size_limit: Option<u64>,
}

/// A volume with files that the kubelet writes.
#[derive(Clone, Debug)]
pub struct ProjectedVolume {
    pub name: String,
    pub files: Vec<ProjectedFile>,
}

#[derive(Clone, Debug)]
pub struct ProjectedFile {
    /// Relative to the volume.
    pub path: PathBuf,
    pub content: String,
    pub mode: u32,
}

#[derive(Clone, Debug)]
pub struct VolumeMount {
    pub volume: String,
    pub path: PathBuf,
    pub read_only: bool,
}

/// A container of a pod. `Default` is a container without a name and an image, as Kubernetes would run it.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    pub name: String,
    /// The image's reference as the pod names it.
    pub image: String,
    /// Replaces the image's entrypoint, and its arguments with it.
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<PathBuf>,
    /// Keeps stdin open instead of giving end of file at once.
    pub stdin: bool,
    pub mounts: Vec<VolumeMount>,
    pub security: SecurityContext,
    pub resources: Resources,
    pub oom_score_adj: i32,
    /// Joins the PID namespace of this container (its id) instead of having one of its own.
    pub target: Option<String>,
    pub termination: Termination,
}

/// The effective security context: the container's own merged over the pod's.
#[derive(Clone, Debug, Default)]
pub struct SecurityContext {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: bool,
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`: the image's /etc/group adds nothing.
    pub strict_groups: bool,
    pub privileged: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    pub read_only_root: bool,
    /// Names with or without `CAP_`, or `ALL`.
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    pub seccomp: SeccompProfile,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeccompProfile {
    /// What a pod gets that asks for nothing (the kubelet's SeccompDefault is off by default).
    #[default]
    Unconfined,
    RuntimeDefault,
}

/// What a call outside of the RuntimeDefault profile is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeccompDefault {
    /// EPERM, containerd's and Docker's default.
    #[default]
    Eperm,
    /// ENOSYS, the default of the profile that podman and CRI-O ship.
    Enosys,
    /// EPERM, and the profile is one from before it knew openat2(2) and the calls on pidfds: a runtime that is older than its
    /// kernel.
    EpermOld,
}

/// Where the container may leave its last words.
#[derive(Clone, Debug)]
pub struct Termination {
    pub path: PathBuf,
    /// `FallbackToLogsOnError`: the log's end stands in for an empty message of a failed container.
    pub fall_back_to_logs: bool,
}

impl Default for Termination {
    fn default() -> Self {
        Self { path: PathBuf::from("/dev/termination-log"), fall_back_to_logs: false }
    }
}

/// A command for a running container; it runs as the container does.
#[derive(Clone, Debug)]
pub struct ExecSpec {
    pub argv: Vec<String>,
    /// Without it the command reads /dev/null.
    pub stdin: bool,
}

/// Whom a container's first process runs as: `status.containerStatuses[].user.linux`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Ascending, the gid included.
    pub supplemental_groups: Vec<u32>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// As a shell counts: 128 + signal where a signal ended it.
    pub code: i32,
    pub signal: Option<i32>,
    /// The kernel killed a process of this container for want of memory: reason `OOMKilled`.
    pub oom_killed: bool,
    /// At most 4096 bytes, of which the last count.
    pub message: String,
    pub started: jiff::Timestamp,
    pub finished: jiff::Timestamp,
}
