//! The command line of xtask, and nothing else.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::arch::Arch;

/// Builds, tests and shows kubectl-jattach.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    /// Install what is missing without asking.
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the static injector; the last line printed is its path.
    Injector(Injector),
    /// Write the injector's image, or with --jvm the JVM images of the tests, as OCI archives in target/images.
    Image(Image),
    /// Make a release's files in dist/: the plugin for every platform, the image, and what tells of them.
    Dist(Dist),
    /// Run all checks and tests, installing by apt what they need.
    Test(Test),
    /// Check what is not code: the workflows, and what the dependencies are allowed to be.
    Check(Check),
    /// Run the end-to-end tests: in the lab, with --kubeconfig in a cluster, or with --kind in one of its own.
    E2e(E2e),
    /// Break heap dumps in every way, at many random moments, and check what is left each time.
    Soak(Soak),
    /// Measure it in a lab, beside what one would use instead.
    Bench(Bench),
    /// Watch it work: a cluster, a JVM in a pod, and its heap dump on this machine.
    Demo(Demo),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Write the picture of a terminal in which it is used into this SVG file; docs/demo.svg is the README's.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Injector {
    /// The processor it is for.
    #[arg(long, value_enum, default_value_t = Arch::host())]
    pub(crate) arch: Arch,
    /// Where its standard library comes from; without it, the first of these that this machine can do.
    #[arg(long, value_enum)]
    pub(crate) std: Option<StdSource>,
}

/// Where the standard library of the static injector comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StdSource {
    /// Built with the injector, for size: musl, from rust-src.
    Source,
    /// The prebuilt musl target of rustup: larger.
    Rustup,
    /// The host's own glibc target, linked statically: largest.
    Gnu,
}

#[derive(Args, Debug)]
pub(crate) struct Image {
    /// The processor it is for.
    #[arg(long, value_enum, default_value_t = Arch::host())]
    pub(crate) arch: Arch,
    /// Put this injector into the image instead of building one.
    #[arg(long, value_name = "FILE", conflicts_with = "jvm")]
    pub(crate) injector: Option<PathBuf>,
    /// The JVM images of the tests, from this machine's JDK.
    #[arg(long)]
    pub(crate) jvm: bool,
    /// The JDK of the JVM images; without it, the first known one under /usr/lib/jvm.
    #[arg(long, value_name = "DIR", requires = "jvm")]
    pub(crate) java_home: Option<PathBuf>,
    /// The version of their JVM: 8, 11, 17, 21, 25, 26 or 28; fetched from Debian where it is not installed.
    #[arg(long, value_name = "N", requires = "jvm", conflicts_with = "java_home")]
    pub(crate) jdk: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Dist {
    /// Only the plugin for this platform, linux-amd64 say; may be given several times. What there is of a release then is
    /// none.
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) only: Vec<String>,
    /// What cannot be built or tried on this machine is a failure; what nothing on Linux can try is not.
    #[arg(long)]
    pub(crate) no_skips: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Only what needs neither root nor an installation.
    #[arg(long)]
    pub(crate) fast: bool,
    /// Go on after a failed step.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Every JVM version that Debian has, in every state and with its heap dumps, not only those that differ most.
    #[arg(long, conflicts_with = "fast")]
    pub(crate) all_jdks: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Only this; without it, all.
    #[arg(value_enum, value_name = "WHAT")]
    pub(crate) what: Vec<Checked>,
    /// What cannot be checked on this machine is a failure.
    #[arg(long)]
    pub(crate) no_skips: bool,
}

/// What can be checked by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checked {
    /// By actionlint and shellcheck.
    Workflows,
    /// By cargo-deny: bans, licences, sources, advisories.
    Dependencies,
}

#[derive(Args, Debug)]
pub(crate) struct E2e {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// A cluster of kind with this Kubernetes version, 1.37 say; needs docker and kind. It is deleted in the end.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["kubeconfig", "jdk"])]
    pub(crate) kind: Option<String>,
    /// The version of the lab's JVMs: 8, 11, 17, 21, 25, 26 or 28; fetched from Debian where it is not installed.
    #[arg(long, value_name = "N", conflicts_with = "kubeconfig")]
    pub(crate) jdk: Option<u32>,
    /// Words for the test programs: a part of a test's name, `--nocapture`.
    #[arg(last = true, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Soak {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// How many seeds each fault is tried with, or how often each state is.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) seeds: u64,
    /// Instead of breaking dumps, attach to JVMs and other programs in every state, and count who dies of it.
    #[arg(long, conflicts_with_all = ["seed", "fault", "minutes", "jobs", "java_home", "kubeconfig"])]
    pub(crate) states: bool,
    /// The first of them; without it, any.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Only this fault; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) fault: Vec<String>,
    /// Begin nothing more after so many minutes.
    #[arg(long, value_name = "M")]
    pub(crate) minutes: Option<u64>,
    /// How many are tried at once.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<u64>,
    /// The JDK of the lab's JVMs; without it, the first known one under /usr/lib/jvm.
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    pub(crate) java_home: Option<PathBuf>,
}

/// The cluster that tests run in.
#[derive(Args, Debug)]
pub(crate) struct ClusterArguments {
    /// The cluster to use; without it, a lab is started.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it; without it, the current one.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,
    /// The injector's image as the cluster's nodes see it; without it, the released one of this version.
    #[arg(long, value_name = "REF", requires = "kubeconfig")]
    pub(crate) injector_image: Option<String>,
    /// The JVM image without a shell, of `cargo xtask image --jvm`.
    #[arg(long, value_name = "REF", requires = "kubeconfig")]
    pub(crate) jvm_image: Option<String>,
    /// The JVM image with a shell; without it, what needs one is skipped.
    #[arg(long, value_name = "REF", requires = "kubeconfig")]
    pub(crate) jvm_shell_image: Option<String>,
    /// The JVM image with a user of its own; without it, what needs one is skipped.
    #[arg(long, value_name = "REF", requires = "kubeconfig")]
    pub(crate) jvm_user_image: Option<String>,
    /// The hostile injector's image, which `cargo xtask e2e` without a cluster writes to target/images; without it, what needs
    /// one is skipped.
    #[arg(long, value_name = "REF", requires = "kubeconfig")]
    pub(crate) hostile_image: Option<String>,
    /// When the nodes pull these images: Always, IfNotPresent, Never.
    #[arg(long, value_name = "POLICY", default_value = "IfNotPresent")]
    pub(crate) pull_policy: String,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Measure only this; may be given several times.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) only: Vec<Subject>,
    /// Only heaps of so many MiB; may be given several times. The pod with limits has 512.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) heap: Vec<u64>,
    /// Small heaps, and everything once: whether it works, not how fast it is.
    #[arg(long)]
    pub(crate) quick: bool,
    /// json: one array of {name, value, unit, target, ok}; without it, a table.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// A heap dump from the command to the verified file.
    Transfer,
    /// How long the application stands still.
    Pause,
    /// The most memory that plugin and injector take, and the most that lies in the spool.
    Memory,
    /// The first and each later attach, beside jattach's.
    Attach,
    /// The plugin's start.
    Start,
    /// verify, inspect and redaction.
    Reader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
}
