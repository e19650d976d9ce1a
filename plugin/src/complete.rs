//! What a shell offers for the word under the cursor. A shell's own script (`completion SHELL`) asks for it through
//! [`VARIABLE`]; kubectl's completion asks a program of the name [`COMPLETER`], which is a link to this one.
//!
//! clap_complete knows shells and flags. In which order the words of our lines stand [`Typed`] knows, so the engine gets them
//! in clap's order, and the shell what the engine gives for that. Names come from the cluster ([`live`]): within a short limit,
//! and never with a word on the terminal, where a prompt is. Nothing is added to a pod for it, and no JVM attached to.

mod jvm;
mod live;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::Shells;

use crate::cli::words::{RESERVED, Typed};
use crate::cli::{NAME, definitions};
use live::Live;

/// Names the shell that asks.
pub(crate) const VARIABLE: &str = "KUBECTL_JATTACH_COMPLETE";
/// Whom kubectl asks for `kubectl jattach …` (`pkg/cmd/plugin/plugin_completion.go` of kubectl).
pub(crate) const COMPLETER: &str = "kubectl_complete-jattach";
/// The longest description beside a candidate, in characters.
const LONGEST_HELP: usize = 72;

/// Answers whoever asks for a word. False if nobody does: then the words are a command.
///
/// # Errors
/// Those of standard output.
pub(crate) fn answer(mut args: Vec<OsString>) -> io::Result<bool> {
    let is_completer = args.first().is_some_and(|name| is_completer(name));
    let shell = std::env::var(VARIABLE).ok().filter(|shell| !shell.is_empty());
    if !is_completer && shell.is_none() {
        return Ok(false);
    }
    // Whatever goes wrong is no word: the terminal has a line on it that somebody types.
    std::panic::set_hook(Box::new(|_| std::process::exit(1)));
    let mut answer = Vec::new();
    if is_completer {
        args.remove(0);
        to_kubectl(&candidates(&args), &mut answer)?;
    } else if let Some(shell) = shell {
        to_shell(&shell, args, &mut answer);
    }
    io::stdout().write_all(&answer)?;
    Ok(true)
}

fn is_completer(name: &OsStr) -> bool {
    Path::new(name).file_stem().is_some_and(|name| name == COMPLETER)
}

/// In cobra's words: a candidate and its description a line, and then what the shell is to do about them, as a sum of bits.
fn to_kubectl(candidates: &[CompletionCandidate], to: &mut impl Write) -> io::Result<()> {
    const NO_SPACE: u8 = 2;
    const NO_FILES: u8 = 4;
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => writeln!(to, "{value}\t{help}")?,
            None => writeln!(to, "{value}")?,
        }
    }
    let goes_on = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().ends_with(['/', '=']);
    let goes_on = !candidates.is_empty() && candidates.iter().all(goes_on);
    writeln!(to, ":{}", NO_FILES + if goes_on { NO_SPACE } else { 0 })
}

/// In the form that the shell's script reads. `args` are our name, `--`, and the shell's words from the command's name on.
fn to_shell(shell: &str, args: Vec<OsString>, to: &mut Vec<u8>) {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(shell) else { return };
    let words: Vec<OsString> = args.into_iter().skip(2).collect();
    if words.is_empty() {
        return;
    }
    // bash and zsh say where the cursor is; for the others it is at the end.
    let cursor = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let cursor = cursor.unwrap_or(words.len().saturating_sub(1));
    let mut typed: Vec<OsString> = words.iter().take(cursor + 1).skip(1).cloned().collect();
    if typed.len() < cursor {
        typed.push(OsString::new());
    }
    let known = if shell.name() == "bash" { joined(typed) } else { (typed, 0) };
    let candidates = behind(candidates(&known.0), known.1);
    let any = clap::Arg::new("any").num_args(0..).allow_hyphen_values(true);
    let again =
        |known: &CompletionCandidate| CompletionCandidate::new(known.get_value()).help(known.get_help().cloned());
    let any = any.add(ArgValueCompleter::new(move |_: &OsStr| candidates.iter().map(again).collect()));
    let mut whatever = clap::Command::new(NAME).disable_help_flag(true).disable_version_flag(true).arg(any);
    if shell.write_complete(&mut whatever, words, None, to).is_err() {
        to.clear();
    }
}

/// The words of a line that bash has broken at each `=`, `:` and `@` (COMP_WORDBREAKS), and how much of the last one bash takes for
/// words before it, in bytes.
fn joined(pieces: Vec<OsString>) -> (Vec<OsString>, usize) {
    let is_break = |piece: &OsStr| {
        !piece.is_empty() && piece.to_str().is_some_and(|it| it.trim_matches(['=', ':', '@']).is_empty())
    };
    let (mut words, mut goes_on, mut before): (Vec<OsString>, bool, usize) = (Vec::new(), false, 0);
    for piece in pieces {
        let breaks = is_break(&piece);
        match words.last_mut().filter(|_| breaks || goes_on) {
            Some(word) => {
                before = word.len() + if breaks { piece.len() } else { 0 };
                word.push(piece);
            }
            None => {
                before = 0;
                words.push(piece);
            }
        }
        goes_on = breaks;
    }
    (words, before)
}

/// The candidates without what stands on the line before the word that the shell means.
fn behind(candidates: Vec<CompletionCandidate>, before: usize) -> Vec<CompletionCandidate> {
    if before == 0 {
        return candidates;
    }
    let rest = |candidate: CompletionCandidate| {
        let value = candidate.get_value().to_str()?.get(before..)?.to_owned();
        Some(CompletionCandidate::new(value).help(candidate.get_help().cloned()))
    };
    candidates.into_iter().filter_map(rest).collect()
}

/// What the last of these words may be: of a line from the word after our name on.
fn candidates(words: &[OsString]) -> Vec<CompletionCandidate> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let definitions = definitions();
    let line = Line { typed: Typed::of(before, &definitions), current: current.clone() };
    let mut candidates = line.candidates(definitions);
    candidates.sort_by_key(|candidate| candidate.get_display_order());
    candidates.into_iter().map(brief).collect()
}

/// A line, and the word under its cursor.
struct Line {
    typed: Typed,
    current: OsString,
}

impl Line {
    fn candidates(&self, definitions: clap::Command) -> Vec<CompletionCandidate> {
        let Typed { target, has_selector, command, flags, pending, is_escaped } = &self.typed;
        let live = Arc::new(Live::new(target.as_deref(), flags));
        if let Some(flag) = pending {
            return self.ask(with_values(definitions, &live), &[format!("--{flag}").into()], &[]);
        }
        let is_flag = !is_escaped && self.current.to_string_lossy().starts_with('-');
        if is_flag {
            return self.ask(with_values(definitions, &live), &[], &[]);
        }
        match command.first().and_then(|word| word.to_str()) {
            None => {
                let is_first = target.is_none() && !has_selector;
                let is_reserved = |candidate: &CompletionCandidate| {
                    RESERVED.iter().any(|reserved| candidate.get_value() == *reserved)
                };
                let commands =
                    self.commands(definitions).into_iter().filter(|command| is_reserved(command) == is_first);
                let targets = if is_first { live.targets(&self.current) } else { Vec::new() };
                targets.into_iter().chain(commands).collect()
            }
            Some("help") => self.commands(definitions),
            Some("jcmd") if command.len() == 1 => jvm::commands(&self.current),
            Some("jcmd") => Vec::new(),
            Some(_) => self.arguments(definitions),
        }
    }

    /// Of a command: its own commands, or what its arguments may be.
    fn arguments(&self, definitions: clap::Command) -> Vec<CompletionCandidate> {
        let commands = self.commands(definitions.clone());
        // Behind "--" the engine leaves the flags out, which an empty word could be as well.
        let arguments = self.ask(definitions, &[], &["--".into()]).into_iter().filter(|argument| !is_command(argument));
        commands.into_iter().chain(arguments).collect()
    }

    /// The commands that may stand here.
    fn commands(&self, definitions: clap::Command) -> Vec<CompletionCandidate> {
        self.ask(definitions, &[], &[]).into_iter().filter(is_command).collect()
    }

    /// The engine, in clap's order of words: `COMMAND FLAGS -- ARGUMENTS`.
    fn ask(&self, mut definitions: clap::Command, flags: &[OsString], before: &[OsString]) -> Vec<CompletionCandidate> {
        let mut words: Vec<OsString> = vec![NAME.into()];
        let (commands, arguments) = self.split(&definitions);
        words.extend_from_slice(commands);
        words.extend_from_slice(flags);
        words.extend_from_slice(before);
        if flags.is_empty() {
            words.extend_from_slice(arguments);
        }
        words.push(self.current.clone());
        let last = words.len() - 1;
        let folder = std::env::current_dir().ok();
        complete(&mut definitions, words, last, folder.as_deref()).unwrap_or_default()
    }

    /// COMMAND, with its own command if there is one, and its arguments.
    fn split(&self, definitions: &clap::Command) -> (&[OsString], &[OsString]) {
        let words = &self.typed.command;
        let mut at = 0;
        let mut command = definitions;
        while let Some(next) = words.get(at).and_then(|word| command.find_subcommand(word)) {
            command = next;
            at += 1;
        }
        words.split_at(at)
    }
}

/// The engine gives each a name of its own.
fn is_command(candidate: &CompletionCandidate) -> bool {
    candidate.get_id().is_some_and(|id| id.starts_with("command::"))
}

/// The definitions, with the flags' values from the cluster and the kubeconfig.
fn with_values(definitions: clap::Command, live: &Arc<Live>) -> clap::Command {
    type Values = fn(&Live, &OsStr) -> Vec<CompletionCandidate>;
    let values: [(&str, Values); 5] = [
        ("namespace", Live::namespaces),
        ("container", Live::containers),
        ("context", Live::contexts),
        ("cluster", Live::clusters),
        ("user", Live::users),
    ];
    let with = |command: clap::Command| {
        values.into_iter().fold(command, |command, (flag, values)| {
            let live = Arc::clone(live);
            command.mut_arg(flag, |arg| arg.add(ArgValueCompleter::new(move |word: &OsStr| values(&live, word))))
        })
    };
    // Each command has the flags as its own.
    with(definitions).mut_subcommands(with)
}

/// With a description that stands on its line.
fn brief(candidate: CompletionCandidate) -> CompletionCandidate {
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    let line = help.lines().next().unwrap_or_default();
    let line = line.split([':', '(', ';']).next().unwrap_or_default().split(". ").next().unwrap_or_default().trim();
    let cut: String = line.chars().take(LONGEST_HELP).collect();
    candidate.help(Some(cut).filter(|help| !help.is_empty()).map(Into::into))
}

#[cfg(test)]
#[path = "complete/tests.rs"]
mod tests;
