//! What the options amount to: the raw ones of [`crate::cli`] checked, given their defaults, and put into the terms that
//! the rest of the plugin thinks in.

mod dumpheap;
mod fleet;
mod injector;
mod via;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};

pub(crate) use crate::cli::flags::{DryRun, OutputFormat, Profile, PullPolicy, Via};

use crate::catalogue::Id;
use crate::cli::{self, Raw, words};
use crate::error::{Failure, Result};
use crate::target::{Wish, name};
pub(crate) use dumpheap::{Destination, DumpHeap};
pub(crate) use fleet::Fleet;
#[cfg(test)]
pub(crate) use injector::Custom;
pub(crate) use injector::Injector;

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
    /// Clap has something to say: help, or a flag that is wrong.
    Say(clap::Error),
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// A usage failure.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    let definitions = Raw::command();
    let words = words::order(args, &definitions)?;
    let (flags, command) = (words.flags(), words.command());
    let raw = definitions.try_get_matches_from(words.argv).and_then(|matches| Raw::from_arg_matches(&matches));
    match raw {
        Ok(raw) => {
            let mut options = Options { flags, words: command, ..check(raw, words.target.as_deref())? };
            via::check(&mut options)?;
            Ok(Parsed::Run(Box::new(options)))
        }
        Err(error) => Ok(Parsed::Say(error)),
    }
}

fn check(raw: Raw, target: Option<&str>) -> Result<Options> {
    let connection = Connection {
        kubeconfig: raw.connection.kubeconfig.filter(|file| !file.is_empty()).map(PathBuf::from),
        context: set(raw.connection.context),
        cluster: set(raw.connection.cluster),
        user: set(raw.connection.user),
        impersonate: set(raw.connection.impersonate),
        impersonate_groups: raw.connection.impersonate_groups,
        namespace: set(raw.target.namespace.clone()),
        request_timeout: limit("--request-timeout", raw.connection.request_timeout, Some(DEFAULT_REQUEST_TIMEOUT))?,
    };
    if let Some(namespace) = &connection.namespace {
        name::check("namespace", namespace)?;
    }
    let injector = Injector::check(raw.injector)?;
    let output =
        Output { format: raw.output.output, quiet: raw.output.quiet, verbosity: raw.output.verbosity.unwrap_or(0) };
    let timeout = limit("--timeout", raw.output.timeout, None)?;
    let is_aimed = target.is_some() || raw.selector.is_some();
    let command = match kind(raw.command)? {
        Kind::Here(Command::Verify { .. } | Command::Inspect { .. } | Command::Explain { .. }) if is_aimed => {
            return Err(Failure::usage("verify, inspect and explain need no cluster, and take no TARGET")
                .remedy(format!("{} verify FILE", cli::NAME)));
        }
        Kind::Here(command) => command,
        Kind::There(action) => {
            let is_data = match action {
                Action::Ps | Action::Doctor { .. } => true,
                Action::Clean => false,
                _ => injector.dry_run.is_some(),
            };
            if output.format.is_some() && !is_data {
                return Err(Failure::usage("-o has nothing to format: this command prints text, or writes a file")
                    .remedy(
                        "leave it out; -o json|yaml goes with ps, doctor, verify, inspect, explain, version and --dry-run",
                    ));
            }
            let wish = Wish::new(target, raw.selector, set(raw.target.container.clone()), raw.target.pid)?;
            match Fleet::check(&raw.target, &wish, &action)? {
                Some(fleet) => Command::OnAll(wish, action, fleet),
                None => Command::On(wish, action),
            }
        }
    };
    Ok(Options { command, connection, injector, output, timeout, flags: Vec::new(), words: Vec::new() })
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

fn duration(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let parsed: jiff::SignedDuration = text.parse().ok()?;
    parsed.try_into().ok()
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
