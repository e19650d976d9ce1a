//! What the options amount to: the raw ones of [`crate::cli`] checked, given their defaults, and put into the terms that
//! the rest of the plugin thinks in.

mod dumpheap;
mod fleet;
mod injector;
mod via;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::FromArgMatches;
use clap::parser::ValueSource;

pub(crate) use crate::cli::Shell;
pub(crate) use crate::cli::flags::{DryRun, OutputFormat, Profile, PullPolicy, Via};

use crate::catalogue::Id;
use crate::cli::flags::ConnectionFlags;
use crate::cli::{self, Raw, words};
use crate::config::Config;
use crate::error::{Failure, Result};
use crate::target::{Wish, name};
pub(crate) use dumpheap::{Destination, DumpHeap};
pub(crate) use fleet::Fleet;
#[cfg(test)]
pub(crate) use injector::Custom;
use injector::Sources;
pub(crate) use injector::{BUILT_IN, Injector, Source};

/// A checked command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) command: Command,
    pub(crate) connection: Connection,
    pub(crate) injector: Injector,
    pub(crate) output: Output,
    /// The limit for the whole command; `None` is none.
    pub(crate) timeout: Option<Duration>,
    /// The flags as they were given, a word each, for a command line that says the same again.
    pub(crate) flags: Vec<OsString>,
    /// COMMAND and its arguments, likewise.
    pub(crate) words: Vec<OsString>,
}

/// How to reach the API server.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) context: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) impersonate: Option<String>,
    pub(crate) impersonate_groups: Vec<String>,
    /// `-n`; without it the context's namespace counts.
    pub(crate) namespace: Option<String>,
    /// The limit for a single API request; `None` is none.
    pub(crate) request_timeout: Option<Duration>,
    /// Whether a credential plugin may talk to the person at the terminal, if there is one.
    pub(crate) may_ask: bool,
}

/// What is printed, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Option<OutputFormat>,
    pub(crate) quiet: bool,
    /// kubectl's level; 0 is silence.
    pub(crate) verbosity: u8,
}

/// A command, and its target where it has one.
#[derive(Debug)]
pub(crate) enum Command {
    Version,
    /// One error of the catalogue, or `None` for all of them.
    Explain {
        id: Option<Id>,
    },
    Verify {
        dump: Input,
    },
    Inspect {
        dump: Input,
        top: usize,
    },
    /// Which image it is, or where to save it.
    Image {
        save: Option<Save>,
    },
    /// A shell's script, printed.
    Completion(Shell),
    /// The same, installed.
    InstallCompletion(Option<Shell>),
    /// The man pages, into a directory.
    Man(PathBuf),
    On(Wish, Action),
    /// All pods of a target.
    OnAll(Wish, Action, Fleet),
}

/// A heap dump on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    File(PathBuf),
    Stdin,
}

/// Where the image is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Save {
    /// A file; `None` is standard output.
    pub(crate) file: Option<PathBuf>,
    /// Whether a file that is there is replaced.
    pub(crate) force: bool,
}

/// What is done to a target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Ps,
    DumpHeap(DumpHeap),
    ThreadDump {
        locks: bool,
    },
    /// The same by a signal, read from the log.
    PrintThreads,
    InspectHeap {
        live: bool,
        top: Option<u32>,
    },
    Jcmd {
        words: Vec<String>,
    },
    Properties,
    AgentProperties,
    DataDump,
    SetFlag {
        name: String,
        value: String,
    },
    PrintFlag {
        name: String,
    },
    Load {
        agent: Agent,
        options: Option<String>,
    },
    Doctor {
        fix_rbac: bool,
    },
    Clean,
}

/// Where an agent comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// A library that the JVM finds by this name in its own library path.
    Library(String),
    /// An absolute path in the target's file system.
    Path(String),
    /// A file of this machine.
    Upload(PathBuf),
}

const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of the command line.
pub(crate) enum Parsed {
    Run(Box<Options>),
    /// Clap has something to say: help, or the version.
    Say(clap::Error),
}

/// The same with no configuration file.
#[cfg(test)]
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    parse_with(args, || Ok(Config::default()))
}

/// Reads a command line, the program's name first. `config` reads the configuration file, for what needs one.
///
/// # Errors
/// A usage failure, or that of the configuration file.
pub(crate) fn parse_with(
    args: impl IntoIterator<Item = OsString>,
    config: impl FnOnce() -> Result<Config>,
) -> Result<Parsed> {
    let definitions = cli::definitions();
    let words = words::order(args, &definitions)?;
    let (flags, command) = (words.flags(), words.command());
    let matched = definitions
        .try_get_matches_from(&words.argv)
        .and_then(|matches| Ok((matches.value_source("image"), Raw::from_arg_matches(&matches)?)));
    match matched {
        Ok((source, mut raw)) => {
            let image = named_by(source, &mut raw.injector.image);
            let config = if raw.command.takes_image() { config()? } else { Config::default() };
            let beside = |is_named| if is_named { Source::Config(config.path.clone()) } else { Source::BuiltIn };
            let sources = Sources {
                image: image.unwrap_or_else(|| beside(config.names_image())),
                profile: raw.injector.profile.map_or_else(|| beside(config.names_profile()), |_| Source::Flag),
            };
            config.fill(&mut raw.connection, &mut raw.injector);
            let options = check(raw, sources, words.target.as_deref(), &command)?;
            let mut options = Options { flags, words: command, ..options };
            via::check(&mut options)?;
            Ok(Parsed::Run(Box::new(options)))
        }
        Err(error) if error.use_stderr() => Err(cli::refusal(&error, &words)),
        Err(help) => Ok(Parsed::Say(help)),
    }
}

/// Who names the image on the command line or beside it. As for kubectl, an empty variable is none.
fn named_by(source: Option<ValueSource>, image: &mut Option<String>) -> Option<Source> {
    match source? {
        ValueSource::CommandLine => Some(Source::Flag),
        ValueSource::EnvVariable => {
            *image = set(image.take());
            image.is_some().then_some(Source::Environment)
        }
        _ => None,
    }
}

/// `words` are COMMAND and its arguments.
fn check(raw: Raw, sources: Sources, target: Option<&str>, words: &[OsString]) -> Result<Options> {
    let connection = connection(raw.connection, raw.target.namespace.clone())?;
    let injector = Injector::check(raw.injector, sources)?;
    let output =
        Output { format: raw.output.output, quiet: raw.output.quiet, verbosity: raw.output.verbosity.unwrap_or(0) };
    let timeout = limit("--timeout", raw.output.timeout, None)?;
    let is_aimed = target.is_some() || raw.selector.is_some();
    let is_data =
        raw.command.prints_data() || injector.dry_run.is_some() && !matches!(raw.command, cli::Command::Clean);
    if output.format.is_some() && !is_data {
        return Err(Failure::usage("-o has nothing to format: this command prints text, or writes a file").remedy(
            "leave it out; -o json|yaml goes with ps, doctor, verify, inspect, explain, image, version and --dry-run",
        ));
    }
    let command = match kind(raw.command)? {
        Kind::Here(_) if is_aimed => {
            let name = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
            return Err(Failure::usage(format!("{name} needs no cluster, and takes no TARGET")).remedy(format!(
                "{} {name}; {} help {name} shows what it takes",
                cli::NAME,
                cli::NAME
            )));
        }
        Kind::Here(command) => command,
        Kind::There(action) => {
            let wish = Wish::new(target, raw.selector, set(raw.target.container.clone()), raw.target.pid)?;
            match Fleet::check(&raw.target, &wish, &action)? {
                Some(fleet) => Command::OnAll(wish, action, fleet),
                None => Command::On(wish, action),
            }
        }
    };
    Ok(Options { command, connection, injector, output, timeout, flags: Vec::new(), words: Vec::new() })
}

/// How to reach the cluster, by these flags.
///
/// # Errors
/// A usage failure.
pub(crate) fn connection(flags: ConnectionFlags, namespace: Option<String>) -> Result<Connection> {
    let connection = Connection {
        kubeconfig: flags.kubeconfig.filter(|file| !file.is_empty()).map(PathBuf::from),
        context: set(flags.context),
        cluster: set(flags.cluster),
        user: set(flags.user),
        impersonate: set(flags.impersonate),
        impersonate_groups: flags.impersonate_groups,
        namespace: set(namespace),
        request_timeout: limit("--request-timeout", flags.request_timeout, Some(DEFAULT_REQUEST_TIMEOUT))?,
        may_ask: true,
    };
    if let Some(namespace) = &connection.namespace {
        name::check("namespace", namespace)?;
    }
    Ok(connection)
}

/// Where a command does its work.
enum Kind {
    /// On this machine alone.
    Here(Command),
    /// In the cluster.
    There(Action),
}

fn kind(command: cli::Command) -> Result<Kind> {
    Ok(Kind::There(match command {
        cli::Command::Version => return Ok(Kind::Here(Command::Version)),
        cli::Command::Explain(explain) => {
            let id = explain.id.as_deref().map(error_id).transpose()?;
            return Ok(Kind::Here(Command::Explain { id }));
        }
        cli::Command::Verify(verify) => return Ok(Kind::Here(Command::Verify { dump: input(verify.file) })),
        cli::Command::Inspect(inspect) => {
            let top = usize::try_from(inspect.top).unwrap_or(usize::MAX);
            return Ok(Kind::Here(Command::Inspect { dump: input(inspect.file), top }));
        }
        cli::Command::Image(image) => {
            let save = image.command.map(|cli::ImageCommand::Save(save)| Save {
                file: Some(save.file).filter(|file| file.as_os_str() != "-"),
                force: save.force,
            });
            return Ok(Kind::Here(Command::Image { save }));
        }
        cli::Command::Completion(completion) => {
            return Ok(Kind::Here(match (completion.command, completion.shell) {
                (Some(cli::CompletionCommand::Install(install)), _) => Command::InstallCompletion(install.shell),
                (None, Some(shell)) => Command::Completion(shell),
                (None, None) => {
                    return Err(Failure::usage("no SHELL").remedy(format!(
                        "{0} completion bash|zsh|fish|powershell\n{0} completion install",
                        cli::NAME
                    )));
                }
            }));
        }
        cli::Command::Man(man) => return Ok(Kind::Here(Command::Man(man.folder))),
        cli::Command::Ps => Action::Ps,
        cli::Command::DumpHeap(dump) => Action::DumpHeap(DumpHeap::check(dump)?),
        cli::Command::ThreadDump(dump) if dump.via_log => Action::PrintThreads,
        cli::Command::ThreadDump(dump) => Action::ThreadDump { locks: dump.locks },
        cli::Command::InspectHeap(heap) => Action::InspectHeap { live: !heap.objects.all, top: heap.top },
        cli::Command::Jcmd(jcmd) => Action::Jcmd { words: jcmd.words },
        cli::Command::Properties => Action::Properties,
        cli::Command::AgentProperties => Action::AgentProperties,
        cli::Command::DataDump => Action::DataDump,
        cli::Command::SetFlag(flag) => Action::SetFlag { name: flag.name, value: flag.value },
        cli::Command::PrintFlag(flag) => Action::PrintFlag { name: flag.name },
        cli::Command::Load(load) => Action::Load { agent: agent(load.agent, load.upload)?, options: load.options },
        cli::Command::Doctor(doctor) => Action::Doctor { fix_rbac: doctor.fix_rbac },
        cli::Command::Clean => Action::Clean,
    }))
}

fn error_id(id: &str) -> Result<Id> {
    Id::parse(id).ok_or_else(|| {
        Failure::usage(format!("there is no error {id}"))
            .remedy(format!("{} explain lists them; an id looks like JAT-012", cli::NAME))
    })
}

fn input(file: PathBuf) -> Input {
    if file.as_os_str() == "-" { Input::Stdin } else { Input::File(file) }
}

fn agent(agent: OsString, upload: bool) -> Result<Agent> {
    if upload {
        return Ok(Agent::Upload(agent.into()));
    }
    let agent = agent.into_string().map_err(|raw| {
        Failure::usage(format!("AGENT {} is no text", raw.to_string_lossy()))
            .remedy("the JVM takes paths in UTF-8: rename the file, or add --upload if it is one of this machine")
    })?;
    if agent.starts_with('/') {
        Ok(Agent::Path(agent))
    } else if agent.contains('/') {
        Err(Failure::usage(format!("AGENT {agent} is neither an absolute path nor a library's name"))
            .remedy("give the path as the target sees it, from /; for a file of this machine add --upload"))
    } else {
        Ok(Agent::Library(agent))
    }
}

/// As for kubectl, an empty value is none: `-n "$NAMESPACE"` in a script counts only where the variable does.
fn set(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// A limit as kubectl takes it: seconds, or a number with a unit; 0 is none.
fn limit(flag: &str, text: Option<String>, default: Option<Duration>) -> Result<Option<Duration>> {
    let Some(text) = set(text) else { return Ok(default) };
    let limit = duration(&text).ok_or_else(|| {
        Failure::usage(format!("{flag} \"{text}\" is no duration"))
            .remedy("examples: 30, 30s, 2m, 1h30m; 0 is no limit")
    })?;
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

/// A time span as kubectl takes it: seconds, or a number with a unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let parsed: jiff::SignedDuration = text.parse().ok()?;
    parsed.try_into().ok()
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
