//! The slips of whoever is used to kubectl or to the JDK's tools: `pod x ps`, `jstack pod/x`, `pod/x heapdump`. Each is
//! refused with the line that was meant, the flags on it included.

use std::ffi::OsString;

use clap::Command;

use super::NAME;
use super::words::{RESERVED, Words};
use crate::error::Failure;
use crate::kubectl::quoted;
use crate::target::is_kind;

/// The JDK's programs that ask a JVM. Their flags are none of ours.
const TOOLS: [&str; 4] = ["jinfo", "jmap", "jps", "jstack"];

/// What else commands of ours are called, without hyphens and underscores.
const ALIASES: [(&str, &str); 13] = [
    ("dump", "dumpheap"),
    ("heap", "dumpheap"),
    ("heapdump", "dumpheap"),
    ("hprof", "dumpheap"),
    ("stack", "threaddump"),
    ("stacks", "threaddump"),
    ("stacktrace", "threaddump"),
    ("threads", "threaddump"),
    ("histo", "inspectheap"),
    ("histogram", "inspectheap"),
    ("heaphisto", "inspectheap"),
    ("sysprops", "properties"),
    ("systemproperties", "properties"),
];

/// Whether the word, where a command stands, is a JVM's command or a program that asks one, so that what follows is no flag of
/// ours.
pub(super) fn is_the_jvms(word: &str) -> bool {
    TOOLS.contains(&word) || is_diagnostic(word)
}

/// `Thread.print`, `VM.native_memory`.
fn is_diagnostic(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    let is_name = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    parts.len() == 2 && parts.iter().all(is_name) && word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Of a command that there is not. `similar` are those that clap finds alike.
pub(super) fn failure(words: &Words, similar: &[String], root: &Command) -> Failure {
    let command = words.command();
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let command: Vec<String> = command.iter().map(text).collect();
    let (Some((unknown, rest)), flags) = (command.split_first(), words.flags()) else {
        return Failure::usage("no COMMAND").remedy(format!("{NAME} help"));
    };
    // clap has the most similar one last.
    let similar: Vec<_> = similar.iter().rev().filter(|similar| !RESERVED.contains(&similar.as_str())).collect();
    let target = words.aim();
    let first = words.target.as_deref().unwrap_or_default();
    let meant = |word: &str, rest: &[String]| meant(word, rest, root);
    let line = |target: &str, words: &[String]| line(&known(&flags, words.first(), root), target, words);
    if is_kind(first) && (!rest.is_empty() || similar.is_empty()) && meant(unknown, rest).is_none() {
        let rest = match rest.split_first() {
            Some((word, after)) => meant(word, after).unwrap_or_else(|| rest.to_vec()),
            None => vec!["COMMAND".to_owned()],
        };
        return Failure::usage(format!("TARGET is one word: {first}/{unknown}"))
            .remedy(line(&format!("{first}/{unknown}"), &rest));
    }
    if let (Some(words), None) = (meant(first, rest), meant(unknown, rest)) {
        return Failure::usage(format!("there is no command \"{first}\", and TARGET stands before the command"))
            .remedy(line(&quoted(unknown), &words));
    }
    let failure = Failure::usage(format!("there is no command \"{unknown}\""));
    if unknown == "help" {
        let jvms = line(&target, &["jcmd".to_owned(), "help".to_owned()]);
        return failure.remedy(format!("{NAME} help\nor, for what the JVM's jcmd knows: {jvms}"));
    }
    if let Some(words) = meant(unknown, rest) {
        return failure.remedy(line(&target, &words));
    }
    let with = |command: &str| line(&target, &[&[command.to_owned()], rest].concat());
    match similar.as_slice() {
        [] => {
            let jvms = line(&target, &["jcmd".to_owned(), "help".to_owned()]);
            failure.remedy(format!("{NAME} help lists them; what the JVM knows: {jvms}"))
        }
        similar => failure.remedy(similar.iter().map(|command| with(command)).collect::<Vec<_>>().join("\n")),
    }
}

/// The command, and its arguments, that the word and those after it stand for.
fn meant(word: &str, rest: &[String], root: &Command) -> Option<Vec<String>> {
    let has = |start: &str| rest.iter().any(|word| word.starts_with(start));
    let with =
        |words: &str, rest: &[String]| Some(words.split(' ').map(str::to_owned).chain(rest.iter().cloned()).collect());
    let plain = word.to_ascii_lowercase().replace(['-', '_'], "");
    match word {
        "jstack" | "Thread.print" if has("-l") => return with("threaddump --locks", &[]),
        "jstack" | "Thread.print" => return with("threaddump", &[]),
        "jmap" if has("-histo:live") => return with("inspectheap", &[]),
        "jmap" if has("-histo") => return with("inspectheap --all", &[]),
        "jmap" if has("-heap") => return with("jcmd GC.heap_info", &[]),
        "jmap" if has("-dump") && !has("-dump:live") => return with("dumpheap --all", &[]),
        "jmap" | "GC.heap_dump" => return with("dumpheap", &[]),
        "jinfo" => return with("jcmd VM.flags", &[]),
        "jps" => return with("ps", &[]),
        _ if is_diagnostic(word) => return with(&format!("jcmd {word}"), rest),
        _ => {}
    }
    let ours = root.get_subcommands().map(Command::get_name).find(|name| name.to_ascii_lowercase() == plain);
    let alias = ALIASES.into_iter().find(|(alias, _)| *alias == plain).map(|(_, command)| command);
    with(ours.or(alias)?, rest)
}

/// Those of the flags that the command has.
fn known(flags: &[OsString], command: Option<&String>, root: &Command) -> Vec<OsString> {
    let command = command.and_then(|word| root.find_subcommand(word)).unwrap_or(root);
    let is_known = |flag: &&OsString| {
        let flag = flag.to_string_lossy();
        let name = flag.strip_prefix("--").and_then(|flag| flag.split('=').next());
        name.is_some() && command.get_arguments().any(|known| known.get_long() == name)
    };
    flags.iter().filter(is_known).cloned().collect()
}

/// The line, for a shell. `target` is quoted already.
pub(super) fn line(flags: &[OsString], target: &str, words: &[String]) -> String {
    let flags = flags.iter().map(|flag| quoted(&flag.to_string_lossy()));
    let words = words.iter().map(|word| quoted(word));
    let line = std::iter::once(NAME.to_owned()).chain(flags).chain([target.to_owned()]).chain(words);
    line.collect::<Vec<_>>().join(" ")
}
