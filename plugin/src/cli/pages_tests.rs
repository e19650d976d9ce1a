//! Every line of the pages, the errors and the manifests that runs the plugin is one that the command line takes: `kubectl jattach …`
//! in a block of code or in a span, and a span that begins with one of our commands.
//!
//! What cannot be typed as it stands is made into what can: a placeholder (a word in capitals, `JAT-nnn`) becomes what it stands
//! for, of alternatives (`json|yaml`) the first is taken, and what is optional (`[FILE]`) is left out. A placeholder that the table
//! does not know fails the test, so that none hides what cannot be typed. A line ends where the shell's next command, a redirection, a comment or the sentence begins.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::words::RESERVED;
use super::{NAME, definitions};
use crate::options::{Parsed, parse};

/// What stands for something else, and something else that it may stand for.
const PLACEHOLDERS: [(&str, &str); 20] = [
    ("TARGET", "pod/x"),
    ("POD", "pod/x"),
    ("COMMAND", "ps"),
    ("CMD", "VM.version"),
    ("ARGS", ""),
    ("FLAGS", ""),
    ("SELECTOR", "app=x"),
    ("SHELL", "bash"),
    ("FILE", "x.hprof"),
    ("FILE.part", "x.hprof.part"),
    ("DIR", "pages"),
    ("NS", "shop"),
    ("NAMESPACE", "shop"),
    ("N", "5"),
    ("NAME", "MaxHeapSize"),
    ("VALUE", "1"),
    ("AGENT", "instrument"),
    ("OPTIONS", "x"),
    ("pod/X", "pod/x"),
    ("JAT-nnn", "JAT-002"),
];

/// The words with which the shell, or the sentence, goes on.
const ENDS: [&str; 10] = ["|", "||", "&&", ">", ">>", "#", "do", "done", "and", "names"];

/// Flags of other programs, for spans that begin with one.
const OF_OTHERS: [&str; 5] = [
    "--enable-monitoring", // GraalVM's native-image
    "--fast",              // cargo xtask test
    "--preserve-digests",  // skopeo copy
    "--privileged",        // kubectl-prof
    "--retries",           // kubectl cp
];

/// The pages: those beside the README, and those below docs.
fn pages() -> Vec<PathBuf> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut pages: Vec<_> = [".", "docs"].into_iter().flat_map(files).filter(is_page).collect();
    pages.sort();
    pages
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

/// What a person has seen of each error.
fn errors() -> Vec<PathBuf> {
    files("tests/errors")
}

/// Its lines of code, and its spans.
fn code(markdown: &str) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut spans) = (Vec::new(), Vec::new());
    let mut block: Option<String> = None;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => block = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => lines.extend(block.take().unwrap_or_default().lines().map(str::to_owned)),
            Event::Text(text) => {
                if let Some(block) = &mut block {
                    block.push_str(&text);
                }
            }
            Event::Code(text) => spans.push(text.into_string()),
            _ => {}
        }
    }
    (lines, spans)
}

/// What is typed behind our name, for each time that it stands there.
fn typed(code: &str) -> Vec<String> {
    let rests = code.split("kubectl jattach ").skip(1);
    // What `version` prints, and a key that a person presses.
    let is_typed = |rest: &&str| !rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.contains("<TAB>");
    rests.filter(is_typed).map(to_its_end).collect()
}

fn to_its_end(rest: &str) -> String {
    let mut words = Vec::new();
    // Two blanks stand between a line and what a list says of it.
    for word in rest.split("  ").next().unwrap_or_default().split_whitespace() {
        if ENDS.contains(&word) {
            break;
        }
        let bare = word.trim_end_matches([';', ')', ',', '`']);
        words.push(bare);
        if bare != word {
            break;
        }
    }
    words.join(" ")
}

/// The words as they can be typed.
///
/// # Errors
/// What keeps them from it.
fn filled_in(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut optional = 0;
    for word in shlex::split(line).ok_or("a shell does not take it")? {
        let (opened, closed) = (word.matches('[').count(), word.matches(']').count());
        if optional == 0 && opened == 0 {
            words.push(one(word.trim_end_matches('…'))?);
        }
        optional = optional + opened - closed;
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// The word, or what it stands for.
fn one(word: &str) -> Result<String, String> {
    if let Some((_, value)) = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word) {
        return Ok((*value).to_owned());
    }
    if word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()) {
        return Err(format!("what does {word} stand for?"));
    }
    match (word.split_once('|'), word.split_once('=')) {
        (Some((first, _)), _) => one(first),
        (None, Some((flag, value))) if flag.starts_with("--") => Ok(format!("{flag}={}", one(value)?)),
        _ => Ok(word.to_owned()),
    }
}

/// Why the command line does not take that, behind these words; `None` if it does.
fn refused(before: Option<&str>, line: &str) -> Option<String> {
    let words = match filled_in(line) {
        Ok(words) => words,
        Err(why) => return Some(why),
    };
    let before = std::iter::once(NAME).chain(before).map(str::to_owned);
    match parse(before.chain(words).map(Into::into)) {
        Ok(Parsed::Run(_) | Parsed::Say(_)) => None,
        Err(failure) => Some(failure.to_string()),
    }
}

#[test]
fn every_line_of_the_pages_that_runs_the_plugin_is_taken() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for page in pages() {
        let (lines, spans) = code(&fs::read_to_string(&page).expect("a page"));
        for line in lines.iter().chain(&spans).flat_map(|code| typed(code)) {
            tried += 1;
            wrong.extend(refused(None, &line).map(|why| format!("{}: {line}: {why}", page.display())));
        }
    }
    assert!(wrong.is_empty(), "of {tried} lines:\n{}", wrong.join("\n"));
    assert!(tried > 100, "only {tried} lines were found");
}

#[test]
fn every_line_that_an_error_or_a_manifest_helps_with_is_taken() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    let krew = Path::new(env!("CARGO_MANIFEST_DIR")).join("../krew-manifest.yaml");
    for file in errors().into_iter().chain(files("deploy")).chain([krew]) {
        let text = fs::read_to_string(&file).expect("a text");
        for line in text.lines().flat_map(typed) {
            tried += 1;
            wrong.extend(refused(None, &line).map(|why| format!("{}: {line}: {why}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "of {tried} lines:\n{}", wrong.join("\n"));
    assert!(tried > 15, "only {tried} lines were found");
}

/// The causes of errors that are shown there, each with its id; names and numbers in them are left open.
fn causes(text: &str) -> Vec<(String, String)> {
    let is_fixed = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || "',;()".contains(c));
    let open = |word| if is_fixed(&word) { word } else { "*" };
    let shown = text.lines().filter_map(|line| line.trim_start().strip_prefix("error[")?.split_once("]: "));
    shown.map(|(id, cause)| (id.to_owned(), cause.split_whitespace().map(open).collect::<Vec<_>>().join(" "))).collect()
}

#[test]
fn every_error_that_a_page_shows_is_one_that_has_been_seen() {
    let seen = errors().into_iter().flat_map(|error| causes(&fs::read_to_string(error).expect("a text")));
    // What `verify` says, plugin/tests/at_rest/verify.rs sees.
    let at_rest = causes("error[JAT-015]: stdin is not whole");
    let seen: HashSet<_> = seen.chain(at_rest).collect();
    let mut shown = 0;
    // That of all errors is written from what has been seen.
    for page in pages().into_iter().filter(|page| !page.ends_with("errors.md")) {
        let (lines, _) = code(&fs::read_to_string(&page).expect("a page"));
        for cause in causes(&lines.join("\n")) {
            shown += 1;
            assert!(seen.contains(&cause), "{}: {cause:?}", page.display());
        }
    }
    assert!(shown > 5, "only {shown} errors were found");
}

#[test]
fn every_span_that_begins_with_a_command_is_taken_behind_a_target() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    let root = definitions();
    let commands: Vec<_> = root.get_subcommands().map(Command::get_name).collect();
    for page in pages() {
        let (_, spans) = code(&fs::read_to_string(&page).expect("a page"));
        for span in spans {
            let Some((command, _)) = span.split_once(' ').filter(|(command, _)| commands.contains(command)) else {
                continue;
            };
            tried += 1;
            let target = (!RESERVED.contains(&command)).then_some("pod/x");
            // In a sentence a command may stand without all that it needs.
            let without_all = [span.clone(), format!("{span} x"), format!("{span} x x")];
            let refused = without_all.iter().map_while(|words| refused(target, words)).collect::<Vec<_>>();
            if refused.len() == without_all.len() {
                wrong.push(format!("{}: {span}: {}", page.display(), refused[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "of {tried} spans:\n{}", wrong.join("\n"));
    assert!(tried > 30, "only {tried} spans were found");
}

#[test]
fn every_flag_that_a_span_begins_with_is_one() {
    let mut root = definitions();
    root.build();
    let nested = root.get_subcommands().flat_map(Command::get_subcommands);
    let commands = std::iter::once(&root).chain(root.get_subcommands()).chain(nested);
    let flags: HashSet<_> = commands.flat_map(Command::get_arguments).filter_map(|flag| flag.get_long()).collect();
    // CONTRIBUTING.md is about cargo xtask.
    for page in pages().into_iter().filter(|page| !page.ends_with("CONTRIBUTING.md")) {
        let (_, spans) = code(&fs::read_to_string(&page).expect("a page"));
        for flag in spans.iter().filter_map(|span| span.strip_prefix("--")) {
            let name = flag.split([' ', '=', '[']).next().unwrap_or_default();
            let is_known = flags.contains(name) || OF_OTHERS.contains(&format!("--{name}").as_str());
            assert!(is_known, "{}: whose flag is --{flag}?", page.display());
        }
    }
}
