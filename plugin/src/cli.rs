//! The clap definitions, nothing else. What the words mean and in which order they may come is [`words`]' affair, and
//! what the options amount to is [`crate::options`]'.

mod definitions;
pub(crate) mod flags;
#[cfg(test)]
mod pages_tests;
#[cfg(test)]
mod reference_tests;
mod refusal;
mod slips;
pub(crate) mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use definitions::{ENVIRONMENT, definitions};
use flags::{ConnectionFlags, InjectorFlags, OutputFlags, TargetFlags};
pub(crate) use refusal::refusal;

/// The name users type; kubectl finds the binary `kubectl-jattach` for it.
pub(crate) const NAME: &str = "kubectl jattach";

const ABOUT: &str = "Heap dumps, thread dumps and jcmd for a JVM in a pod that has no JDK.

TARGET is a pod (x, pod/x) or a workload (deploy/x, sts/x, ds/x, rs/x, job/x), of which the newest \
ready pod is taken, or with --all-pods every one; -l SELECTOR in its place takes the pods with these \
labels. The flags stand anywhere, except that everything after \"jcmd\" belongs to the JVM.";

/// A command line whose words stand in clap's order.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    bin_name = NAME,
    version,
    about = ABOUT,
    long_about = None,
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_override_self = true,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands",
    override_usage = "kubectl jattach [FLAGS] TARGET COMMAND [ARGS]\n       \
                      kubectl jattach [FLAGS] -l SELECTOR COMMAND [ARGS]",
    after_help = EXAMPLES
)]
pub(crate) struct Raw {
    /// Take the newest ready pod with these labels, in TARGET's place; behind threaddump -l is --locks
    #[arg(short = 'l', long, value_name = "SELECTOR", help_heading = "Target")]
    pub(crate) selector: Option<String>,

    #[command(flatten)]
    pub(crate) target: TargetFlags,
    #[command(flatten)]
    pub(crate) connection: ConnectionFlags,
    #[command(flatten)]
    pub(crate) injector: InjectorFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,

    /// Print the plugin's version and nothing else
    #[arg(long, action = ArgAction::Version)]
    version: (),

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  kubectl jattach pod/x dumpheap                    a verified heap dump in this directory
  kubectl jattach deploy/api threaddump --locks     stack traces of the newest ready pod
  kubectl jattach deploy/api --all-pods threaddump  of all its pods
  kubectl jattach -n shop x -c app jcmd VM.flags    any jcmd; the rest of the line is the JVM's
  kubectl jattach help dumpheap                     all about one command";

const OF_JCMD: &str = "Examples:
  kubectl jattach pod/x jcmd help                     what this JVM knows
  kubectl jattach -n shop pod/x jcmd Thread.print -l  our flags stand before jcmd";

const OF_DOCTOR: &str = "The JVM is looked at and nothing is asked of it. For that an injector is started, unless one runs: \
its ephemeral container stays listed in the pod for ever, as that of any command does. With --dry-run=server the API server \
alone is asked, and with --dry-run=client not even whether it would take the container.

The exit code is that of the first check that fails.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the JVMs in the container
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET ps")]
    Ps,
    /// Write a heap dump to this machine, verified to its last record
    #[command(name = "dumpheap", override_usage = "kubectl jattach [FLAGS] TARGET dumpheap [--live|--all] [FILE]")]
    DumpHeap(DumpHeap),
    /// Print the stack traces of all threads
    #[command(name = "threaddump", override_usage = "kubectl jattach [FLAGS] TARGET threaddump [--locks|--via-log]")]
    ThreadDump(ThreadDump),
    /// Print the number and size of the objects of each class
    #[command(
        name = "inspectheap",
        override_usage = "kubectl jattach [FLAGS] TARGET inspectheap [--live|--all] [--top N]"
    )]
    InspectHeap(InspectHeap),
    /// Run a diagnostic command of the JVM; everything after "jcmd" is passed on
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET jcmd COMMAND [ARGS]...", after_help = OF_JCMD)]
    Jcmd(Jcmd),
    /// Print the JVM's system properties
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET properties")]
    Properties,
    /// Print the properties of the JVM's agents
    #[command(name = "agentProperties", override_usage = "kubectl jattach [FLAGS] TARGET agentProperties")]
    AgentProperties,
    /// Have the JVM print its stack traces to its own standard output (the pod's log)
    #[command(name = "datadump", override_usage = "kubectl jattach [FLAGS] TARGET datadump")]
    DataDump,
    /// Set a manageable flag of the JVM
    #[command(name = "setflag", override_usage = "kubectl jattach [FLAGS] TARGET setflag NAME VALUE")]
    SetFlag(SetFlag),
    /// Print a flag of the JVM
    #[command(name = "printflag", override_usage = "kubectl jattach [FLAGS] TARGET printflag NAME")]
    PrintFlag(PrintFlag),
    /// Load an agent into the JVM
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET load [--upload] AGENT [OPTIONS]")]
    Load(Load),
    /// Check all that the commands need, from the API server to the JVM
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET doctor [--fix-rbac]", after_help = OF_DOCTOR)]
    Doctor(Doctor),
    /// End the injectors that run in the pod
    #[command(override_usage = "kubectl jattach [FLAGS] TARGET clean")]
    Clean,
    /// Check that a heap dump file is whole, to its last record; needs no cluster
    #[command(override_usage = "kubectl jattach verify [-o json|yaml] FILE")]
    Verify(Verify),
    /// Show what a heap dump file holds: its classes, largest arrays and threads; needs no cluster
    #[command(override_usage = "kubectl jattach inspect [--top N] [-o json|yaml] FILE")]
    Inspect(Inspect),
    /// Tell what an error's id means, and what helps; needs no cluster
    #[command(override_usage = "kubectl jattach explain [-o json|yaml] [JAT-nnn]")]
    Explain(Explain),
    /// Tell which image the injector is started from, and how to bring it into a registry; needs no cluster
    #[command(
        override_usage = "kubectl jattach image [-o json|yaml]\n       kubectl jattach image save [--force] FILE",
        args_conflicts_with_subcommands = true
    )]
    Image(Image),
    /// Print a shell's completion script, or install what completes the words for it and for kubectl; needs no cluster
    #[command(
        override_usage = "kubectl jattach completion bash|zsh|fish|powershell\n       \
                                kubectl jattach completion install [SHELL]",
        args_conflicts_with_subcommands = true
    )]
    Completion(Completion),
    /// Print the versions of the plugin and of its injector image
    #[command(override_usage = "kubectl jattach version [-o json|yaml]")]
    Version,
    /// Write the man pages, for whoever packages the plugin; needs no cluster
    #[command(hide = true, override_usage = "kubectl jattach man DIR")]
    Man(Man),
}

impl Command {
    /// Whether it is any matter to it which image the injector has.
    pub(crate) fn takes_image(&self) -> bool {
        !matches!(
            self,
            Command::Verify(_) | Command::Inspect(_) | Command::Explain(_) | Command::Completion(_) | Command::Man(_)
        )
    }

    /// Whether it prints what `-o` can put into a document.
    pub(crate) fn prints_data(&self) -> bool {
        match self {
            Command::Ps
            | Command::Doctor(_)
            | Command::Verify(_)
            | Command::Inspect(_)
            | Command::Explain(_)
            | Command::Image(Image { command: None })
            | Command::Version => true,
            Command::DumpHeap(_)
            | Command::ThreadDump(_)
            | Command::InspectHeap(_)
            | Command::Jcmd(_)
            | Command::Properties
            | Command::AgentProperties
            | Command::DataDump
            | Command::SetFlag(_)
            | Command::PrintFlag(_)
            | Command::Load(_)
            | Command::Image(_)
            | Command::Completion(_)
            | Command::Man(_)
            | Command::Clean => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DumpHeap {
    /// Where to: a new file, a directory, which it has to be with --all-pods, or - for stdout (default:
    /// POD-CONTAINER-UTC.hprof)
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) objects: Objects,
    /// Set data to zero before they leave the pod: text (byte[] and char[]), arrays (all primitive arrays; also without
    /// WHAT), or all (primitive fields, too: among them the hashes that maps keep of their keys)
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "arrays",
          hide_possible_values = true)]
    pub(crate) redact: Option<Redact>,
    /// Compress FILE with gzip, so that Eclipse MAT opens it as it is
    #[arg(long, conflicts_with = "zstd")]
    pub(crate) gzip: bool,
    /// Compress FILE with zstd
    #[arg(long)]
    pub(crate) zstd: bool,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Begin anew, whatever is there of an earlier dump to FILE, and do not go on by itself where the connection is cut
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// The most that may wait for us in a file in the pod: 0, 512Mi, 2Gi (default: no limit, where the pod has a storage limit a
    /// quarter of that and at most 1Gi). Whatever it is, 20 % of the node's disk stay free
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(crate) spool_limit: Option<String>,
    /// How long the JVM may wait for room, before the dump is given up and the JVM goes on: all that goes beyond the 4 ms a MiB
    /// that any disk takes for what waits there (256 MiB/s); 0 is no limit (default: 10s)
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    pub(crate) max_stall: Option<String>,
    /// How long the JVM may be dumping, before nothing more of it is taken and the dump is given up; 0 is no limit (default:
    /// none). It spares the JVM the writing; its walk through the heap it does not break off
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    pub(crate) max_pause: Option<String>,
    /// Go ahead without asking where the pause may be too long for the pod's probes, or the room here too small
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What of a heap dump is set to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Redact {
    Text,
    Arrays,
    All,
}

/// Which objects of the heap.
#[derive(Debug, Args)]
pub(crate) struct Objects {
    /// Reachable objects only, after a full garbage collection (default)
    #[arg(long, conflicts_with = "all")]
    pub(crate) live: bool,
    /// Dead objects too, without a garbage collection
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ThreadDump {
    /// With the locks of java.util.concurrent
    #[arg(short = 'l', long)]
    pub(crate) locks: bool,
    /// Have a signal make the JVM print its threads, and read them from the container's log: for a JVM that cannot be attached
    /// to, for want of a writable /tmp for instance
    #[arg(long, conflicts_with = "locks")]
    pub(crate) via_log: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectHeap {
    #[command(flatten)]
    pub(crate) objects: Objects,
    /// Only the N classes that take the most
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) top: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Jcmd {
    /// The diagnostic command and its arguments, as the JVM's own "jcmd PID help" lists them
    #[arg(required = true, value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SetFlag {
    /// The flag's name, without -XX
    pub(crate) name: String,
    /// Its new value: 1 or 0, true or false, a number, a string
    pub(crate) value: String,
}

#[derive(Debug, Args)]
pub(crate) struct PrintFlag {
    /// The flag's name, without -XX
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// A path in the target's file system, or a library's bare name (instrument, jdwp) that the JVM knows
    #[arg(value_name = "AGENT")]
    pub(crate) agent: OsString,
    /// What the agent gets as its options
    #[arg(value_name = "OPTIONS")]
    pub(crate) options: Option<String>,
    /// AGENT is a file of this machine: place it in the injector and load it from there
    #[arg(long)]
    pub(crate) upload: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Look at nothing but your rights, and print the Role and the RoleBinding that are missing, for "kubectl apply -f -" by
    /// somebody who may grant them
    #[arg(long)]
    pub(crate) fix_rbac: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The dump, raw or packed by gzip or zstd, or a .part of one; - is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The dump, raw or packed by gzip or zstd, or a .part of one; - is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How many classes, arrays and stacks to show
    #[arg(long, value_name = "N", value_parser = positive, default_value = "20")]
    pub(crate) top: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The id as an error shows it: JAT-012, or 12 (default: a list of all)
    #[arg(value_name = "JAT-nnn")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) command: Option<ImageCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Write the image that the plugin carries as an OCI archive, for skopeo, podman, docker and ctr
    #[command(override_usage = "kubectl jattach image save [--force] FILE")]
    Save(Save),
}

#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Where to: a new file, or - for stdout
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// Whose script
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Option<Shell>,
    #[command(subcommand)]
    pub(crate) command: Option<CompletionCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CompletionCommand {
    /// Put the script where the shell looks for it, and beside the plugin the program that kubectl's own completion asks
    #[command(override_usage = "kubectl jattach completion install [SHELL]")]
    Install(Install),
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// bash, zsh, fish or powershell (default: that of $SHELL)
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Option<Shell>,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Where to: a directory, which is made if it is not there
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
}

/// One that there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

fn positive(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("not a number from 1 up")
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_flag_has_a_long_name_by_which_the_words_are_ordered() {
        let mut root = definitions();
        root.build();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
                assert!(argument.get_long().is_some(), "{} of {}", argument.get_id(), command.get_name());
            }
        }
    }
}
