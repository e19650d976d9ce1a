//! The flags that every command takes, in the groups in which the help shows them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::positive;

#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetFlags {
    /// The target's namespace (default: the context's)
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The target's container (default: as kubectl chooses it)
    #[arg(short, long, global = true, value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    /// The JVM's process id as the container sees it, where there are several
    #[arg(long, global = true, value_name = "PID", value_parser = positive)]
    pub(crate) pid: Option<u32>,
    /// Every pod of the workload or the selector, not the newest ready one: the answers come in the order of the pods' names,
    /// each under a line that names its pod, and with ps and -o in one list. One that fails stops no other; the worst exit
    /// code counts, and each failed pod is a line of the summary on stderr
    #[arg(long, global = true, action = ArgAction::Set, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub(crate) all_pods: bool,
    /// With --all-pods: how many pods at once (default: 8, and 1 for what makes the JVM stand still for long: dumpheap,
    /// inspectheap of live objects, and their like by jcmd)
    #[arg(long, global = true, value_name = "N", value_parser = positive)]
    pub(crate) parallel: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// The kubeconfig file (default: $KUBECONFIG, then ~/.kube/config, then the pod's service account)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<OsString>,
    /// The kubeconfig context
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The kubeconfig cluster
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The kubeconfig user
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The user, or system:serviceaccount:NAMESPACE:NAME, to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// A group to impersonate; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub(crate) impersonate_groups: Vec<String>,
    /// The limit for a single API request: 5, 5s, 2m; 0 is none (default: 60s). The session with the JVM is not one
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) request_timeout: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Injector")]
pub(crate) struct InjectorFlags {
    /// The injector's image (default: the configuration file's, or the one that belongs to the plugin: "image" prints it)
    #[arg(long, global = true, value_name = "REFERENCE", env = "KUBECTL_JATTACH_IMAGE", hide_env_values = true)]
    pub(crate) image: Option<String>,
    /// When the node pulls it: Always, IfNotPresent, Never (default: the server's choice)
    #[arg(long, global = true, value_name = "POLICY", hide_possible_values = true)]
    pub(crate) image_pull_policy: Option<PullPolicy>,
    /// Print the patch and send nothing (client), or have the server check it (server)
    #[arg(long, global = true, value_name = "WHERE", require_equals = true, hide_possible_values = true)]
    pub(crate) dry_run: Option<DryRun>,
    /// How long the injector stays after its last job (default: 10m)
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) ttl: Option<String>,
    /// Wait while the injector is busy with another job, instead of ending with exit code 9
    #[arg(long, global = true)]
    pub(crate) wait: bool,
    /// What the injector may do: auto (what the target may), restricted, baseline (what these Pod Security levels take),
    /// general (SYS_PTRACE, too), sysadmin (general; and a privileged container beside it, where the target's /tmp has to be
    /// made writable) (default: auto)
    #[arg(long, global = true, value_name = "PROFILE", hide_possible_values = true)]
    pub(crate) profile: Option<Profile>,
    /// The user that the injector runs as (default: the target's)
    #[arg(long, global = true, value_name = "UID")]
    pub(crate) run_as_user: Option<u32>,
    /// The group that the injector runs as (default: the target's)
    #[arg(long, global = true, value_name = "GID")]
    pub(crate) run_as_group: Option<u32>,
    /// A partial container in YAML or JSON to merge over the injector's, as for kubectl debug
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) custom: Option<PathBuf>,
    /// Do without a debug container: exec puts the injector into the target's own container, for as long as the command takes.
    /// It takes a shell and a few tools there, a directory to run from, and for a pod named by its own name no rights but get pods
    /// and pods/exec. A heap dump then has no room to wait in but memory, and is not resumed
    #[arg(long, global = true, value_name = "WAY", hide_possible_values = true)]
    pub(crate) via: Option<Via>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputFlags {
    /// json or yaml, for ps, doctor, verify, inspect, explain, image, version and --dry-run
    #[arg(short, long, global = true, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) output: Option<OutputFormat>,
    /// Say nothing on stderr but failures
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say what is done, on stderr: kubectl's level (-v=6), or alone
    #[arg(short, long = "v", global = true, value_name = "LEVEL", num_args = 0..=1, require_equals = true,
          default_missing_value = "4")]
    pub(crate) verbosity: Option<u8>,
    /// The limit for the whole command: 30s, 10m; 0 is none (default: none)
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    #[value(name = "Always")]
    Always,
    #[value(name = "IfNotPresent")]
    IfNotPresent,
    #[value(name = "Never")]
    Never,
}

/// What the injector's container may do; the names are those of `kubectl debug`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What the target may, and no more.
    #[default]
    Auto,
    Restricted,
    Baseline,
    General,
    Sysadmin,
}

/// How the injector gets to the JVM, if not in a debug container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    Exec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Json,
    Yaml,
}
