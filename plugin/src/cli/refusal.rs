//! What clap has against a line, as every other refusal reads: cause, evidence, remedy, under an id.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::words::Words;
use super::{NAME, definitions, slips};
use crate::error::Failure;

/// The failure for clap's error about these words.
pub(crate) fn refusal(error: &clap::Error, words: &Words) -> Failure {
    let mut root = definitions();
    root.build();
    let line = Line::of(words, &root);
    let one = |kind| said(error, kind).into_iter().next();
    let argument = one(ContextKind::InvalidArg).unwrap_or_default();
    let (name, value_name) = named(&argument);
    let value = one(ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand if line.path.is_empty() => match line.unknown_flag(words) {
            // Its value stands where TARGET should.
            Some(flag) => Failure::usage(format!("there is no flag {flag}")).remedy(line.help()),
            None => slips::failure(words, &said(error, ContextKind::SuggestedSubcommand), &root),
        },
        ErrorKind::InvalidSubcommand => {
            let word = one(ContextKind::InvalidSubcommand).unwrap_or_default();
            Failure::usage(format!("{} has no command \"{word}\"", line.path)).remedy(line.usage())
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => line.no_such_flag(&argument, error),
        ErrorKind::UnknownArgument => {
            Failure::usage(format!("\"{argument}\" is one word too many for {}", line.path)).remedy(line.usage())
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<_> = said(error, ContextKind::InvalidArg).iter().map(|name| named(name).1).collect();
            Failure::usage(format!("{} needs {}", line.path, missing.join(" and "))).remedy(line.usage())
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            Failure::usage(format!("{name} needs a {value_name}")).remedy(line.with_value(&name, &value_name))
        }
        ErrorKind::NoEquals => Failure::usage(format!("{name} needs its {value_name} behind an equals sign"))
            .remedy(line.with_value(&name, &value_name)),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let of = if name.is_empty() { &line.path } else { &name };
            let failure = Failure::usage(format!("\"{value}\" is no {value_name} for {of}"));
            let known = said(error, ContextKind::ValidValue);
            match known.is_empty() {
                true => {
                    failure.evidence(error.source().map(ToString::to_string).unwrap_or_default()).remedy(line.help())
                }
                false => failure.remedy(format!("one of {}", known.join(", "))),
            }
        }
        ErrorKind::ArgumentConflict => {
            let other: Vec<_> = said(error, ContextKind::PriorArg).iter().map(|prior| named(prior).0).collect();
            Failure::usage(format!("{name} and {} exclude each other", other.join(", "))).remedy("give one of the two")
        }
        _ => {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Failure::usage(text).remedy(line.help())
        }
    }
}

/// What clap says of that kind.
fn said(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// The flag and the name of its value, of `--top <N>`, `--redact[=<WHAT>]` or `<FILE>`.
fn named(argument: &str) -> (String, String) {
    let end = argument.find([' ', '=', '[', '<']).unwrap_or(argument.len());
    let (flag, value) = argument.split_at(end);
    (flag.to_owned(), value.trim_matches([' ', '=', '[', ']', '<', '>', '.']).to_owned())
}

/// The command that was understood.
struct Line<'a> {
    root: &'a Command,
    command: &'a Command,
    /// Its name, `image save`; empty where none was.
    path: String,
}

impl<'a> Line<'a> {
    fn of(words: &Words, root: &'a Command) -> Line<'a> {
        let is_flag = |word: &&OsString| word.to_string_lossy().starts_with('-');
        let mut line = Line { root, command: root, path: String::new() };
        for word in words.argv.iter().skip(1).skip_while(is_flag) {
            let Some(command) = line.command.find_subcommand(word) else { break };
            let parent = std::mem::take(&mut line.path);
            line.path = format!("{parent} {}", command.get_name()).trim_start().to_owned();
            line.command = command;
        }
        line
    }

    /// How the command is written.
    fn usage(&self) -> String {
        let usage = self.command.get_overridden_usage().map(ToString::to_string).unwrap_or_default();
        usage.lines().map(str::trim).collect::<Vec<_>>().join("\n")
    }

    /// Where to read more.
    fn help(&self) -> String {
        format!("{NAME} help {} shows what it takes", self.path).replace("  ", " ")
    }

    /// One that no command has.
    fn unknown_flag(&self, words: &Words) -> Option<String> {
        let has = |command: &Command, flag: &str| command.get_arguments().any(|known| is_flag(known, flag));
        let is_known =
            |flag: &str| has(self.root, flag) || self.root.get_subcommands().any(|command| has(command, flag));
        let flags = words.flags().into_iter().map(|flag| flag.to_string_lossy().into_owned());
        flags.map(|flag| flag.split('=').next().unwrap_or_default().to_owned()).find(|flag| !is_known(flag))
    }

    fn no_such_flag(&self, flag: &str, error: &clap::Error) -> Failure {
        let failure = Failure::usage(format!("{} has no flag {flag}", self.path));
        if let Some(similar) = said(error, ContextKind::SuggestedArg).first() {
            return failure.remedy(format!("{similar}? {}", self.help()));
        }
        let has = |command: &&Command| command.get_arguments().any(|known| is_flag(known, flag));
        let of: Vec<_> = self.root.get_subcommands().filter(has).map(Command::get_name).collect();
        match of.as_slice() {
            [] => failure.remedy(self.help()),
            of => failure.evidence(format!("it is a flag of {}", of.join(", "))).remedy(self.help()),
        }
    }

    /// The flag with each value that it may have.
    fn with_value(&self, flag: &str, value_name: &str) -> String {
        let known = self.command.get_arguments().find(|known| is_flag(known, flag));
        let values = known.map(Arg::get_possible_values).unwrap_or_default();
        let values: Vec<_> = values.iter().map(|value| format!("{flag}={}", value.get_name())).collect();
        if values.is_empty() { format!("{flag}={value_name}") } else { values.join(" or ") }
    }
}

fn is_flag(known: &Arg, flag: &str) -> bool {
    !known.is_hide_set() && known.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long))
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
