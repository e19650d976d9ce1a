//! The order of the words. `kubectl jattach [FLAGS] TARGET COMMAND [ARGS]`, with flags anywhere, is no order that clap
//! knows, because TARGET stands before the subcommand and may be spelled like one. So the words are put into clap's order
//! first (`COMMAND FLAGS -- ARGS`), by clap's own list of flags, and TARGET is set aside.
//!
//! 1. The first word is TARGET, or a command if `-l SELECTOR` stands before it, or one of [`RESERVED`].
//! 2. The second word (the first, after a selector) is the command.
//! 3. After `jcmd` every word, flags included, is the JVM's; also after what [`slips`] takes for a slip of that kind.
//! 4. `-l` after `threaddump` is the JVM's `--locks`; everywhere else it is the selector.

mod typed;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use clap_lex::{ParsedArg, RawArgs, ShortFlags};

use super::{NAME, slips};
use crate::error::{Failure, Result};
use crate::kubectl::quoted;
pub(crate) use typed::Typed;

/// First words that are no target. A pod of such a name is `pod/NAME`.
pub(crate) const RESERVED: [&str; 8] =
    ["verify", "inspect", "explain", "completion", "image", "help", "version", "man"];

/// The words in an order that clap understands, and the one that clap does not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// `pod/x`; `None` with a selector, for a command that needs none, or for help.
    pub(crate) target: Option<String>,
    /// `NAME [--selector=S] COMMAND [SUBCOMMAND] FLAGS -- ARGS`.
    pub(crate) argv: Vec<OsString>,
}

impl Words {
    /// Our flags as they were given, each as one word; the selector, which stands for the target, is none of them.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let is_flag = |word: &&OsString| word.to_string_lossy().starts_with('-') && *word != "--";
        let before_command = self.argv.iter().skip(1).take_while(is_flag).count();
        self.argv.iter().skip(2 + before_command).take_while(is_flag).cloned().collect()
    }

    /// TARGET, or the selector in its place, for a shell.
    pub(super) fn aim(&self) -> String {
        let selector = self.argv.iter().find_map(|word| word.to_str()?.strip_prefix("--selector="));
        match (&self.target, selector) {
            (None, Some(selector)) => format!("-l {}", quoted(selector)),
            (target, _) => quoted(target.as_deref().unwrap_or("TARGET")),
        }
    }

    /// COMMAND and its arguments, as they were given.
    pub(crate) fn command(&self) -> Vec<OsString> {
        let mut words = self.argv.iter().skip(1);
        let command = words.find(|word| !word.to_string_lossy().starts_with('-'));
        let arguments = words.skip_while(|word| *word != "--").skip(1);
        command.into_iter().chain(arguments).cloned().collect()
    }
}

/// Puts the words of a command line (the program's name first) in order. `definitions` is the root command.
///
/// # Errors
/// A usage failure where the order makes no sense. Whatever concerns a single flag is left to clap.
pub(crate) fn order(args: impl IntoIterator<Item = OsString>, definitions: &clap::Command) -> Result<Words> {
    let mut definitions = definitions.clone();
    definitions.build();
    let mut scan = Scan { flags: Flags::of(&definitions), ..Scan::default() };
    scan.run(&RawArgs::new(args))?;
    scan.arrange()
}

/// What clap knows of the flags of all commands together. A name means the same wherever it is a flag, except `-l`.
#[derive(Default)]
struct Flags {
    longs: HashMap<String, bool>,
    shorts: HashMap<char, String>,
    commands: Vec<Known>,
}

/// A command of ours.
struct Known {
    name: String,
    is_hidden: bool,
    needs_argument: bool,
    /// Of its own.
    commands: Vec<String>,
}

impl Flags {
    fn of(root: &clap::Command) -> Flags {
        let mut flags = Flags::default();
        let nested = root.get_subcommands().flat_map(clap::Command::get_subcommands);
        for command in std::iter::once(root).chain(root.get_subcommands()).chain(nested) {
            for flag in command.get_arguments() {
                let Some(long) = flag.get_long() else { continue };
                let next_word = flag.get_action().takes_values() && !flag.is_require_equals_set();
                flags.longs.insert(long.to_owned(), next_word);
                if let Some(short) = flag.get_short() {
                    flags.shorts.entry(short).or_insert_with(|| long.to_owned());
                }
            }
        }
        flags.commands = root.get_subcommands().map(Known::of).collect();
        flags
    }

    fn command(&self, word: &OsStr) -> Option<&Known> {
        self.commands.iter().find(|command| OsStr::new(&command.name) == word)
    }

    fn is_command(&self, word: &OsStr) -> bool {
        self.command(word).is_some()
    }

    fn names(&self) -> String {
        let shown = self.commands.iter().filter(|command| !command.is_hidden);
        shown.map(|command| command.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The commands but for the reserved words, as a person reads them.
    fn on_targets(&self) -> String {
        let names = self.commands.iter().map(|command| command.name.as_str());
        names.filter(|name| !RESERVED.contains(name)).collect::<Vec<_>>().join(", ")
    }
}

impl Known {
    fn of(command: &clap::Command) -> Known {
        let needs_argument = command.get_positionals().any(clap::Arg::is_required_set);
        let commands = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        Known { name: command.get_name().to_owned(), is_hidden: command.is_hide_set(), needs_argument, commands }
    }
}

#[derive(Default)]
struct Scan {
    flags: Flags,
    /// Our flags, each as one word.
    given: Vec<OsString>,
    selector: Option<OsString>,
    /// TARGET, COMMAND and its arguments.
    plain: Vec<OsString>,
    /// Whether "--" has come.
    is_escaped: bool,
    /// The flag that the words end with, if it still wants its value.
    pending: Option<String>,
    help: bool,
    version: bool,
}

impl Scan {
    fn run(&mut self, args: &RawArgs) -> Result<()> {
        let mut cursor = args.cursor();
        args.next_os(&mut cursor);
        while let Some(word) = args.next(&mut cursor) {
            if self.is_escaped || self.jvms_turn() {
                self.plain.push(word.to_value_os().to_owned());
            } else if word.is_escape() {
                self.is_escaped = true;
            } else if let Some((name, value)) = word.to_long() {
                let name = name.map_or_else(|raw| raw.to_string_lossy().into_owned(), str::to_owned);
                let next = args.peek(&cursor);
                if self.long(&name, value, next.as_ref().map(ParsedArg::to_value_os))? {
                    args.next_os(&mut cursor);
                }
            } else if let Some(shorts) = word.to_short() {
                let next = args.peek(&cursor);
                if self.shorts(shorts, next.as_ref().map(ParsedArg::to_value_os))? {
                    args.next_os(&mut cursor);
                }
            } else {
                self.plain.push(word.to_value_os().to_owned());
            }
        }
        Ok(())
    }

    /// Where the command stands among the plain words.
    fn command_at(&self) -> usize {
        usize::from(self.selector.is_none())
    }

    fn command_is(&self, name: &str) -> bool {
        self.plain.get(self.command_at()).is_some_and(|word| word == name)
    }

    fn jvms_turn(&self) -> bool {
        // Of words that stand the other way round the line that is meant can be told only with the JVM's flags in it.
        let swapped = self.selector.is_none() && self.plain.first().is_some_and(|word| word == "jcmd");
        let is_the_jvms =
            |word: &OsString| word.to_str().is_some_and(|word| word == "jcmd" || slips::is_the_jvms(word));
        self.plain.get(self.command_at()).is_some_and(|word| is_the_jvms(word) || swapped && is_path(word))
    }

    /// Notes a long flag. True if the next word was its value.
    fn long(&mut self, name: &str, value: Option<&OsStr>, next: Option<&OsStr>) -> Result<bool> {
        match name {
            "help" => self.help = true,
            "version" => self.version = true,
            "selector" => return self.select(value, next),
            _ => {
                // A level alone is optional for clap; as with kubectl, a number after it is one.
                let is_level = name == "v" && next.is_some_and(is_number);
                let takes_next = value.is_none() && (is_level || self.flags.longs.get(name) == Some(&true));
                if takes_next && next.is_none() {
                    self.pending = Some(name.to_owned());
                }
                let value = value.or(next.filter(|_| takes_next));
                self.given.push(flag(name, value));
                return Ok(takes_next && value.is_some());
            }
        }
        Ok(false)
    }

    /// Notes a cluster of short flags. True if the next word was the value of the last.
    fn shorts(&mut self, mut shorts: ShortFlags<'_>, next: Option<&OsStr>) -> Result<bool> {
        while let Some(short) = shorts.next_flag() {
            let rest = shorts.clone().next_value_os().filter(|rest| !rest.is_empty());
            let value = rest.map(strip_equals);
            match short {
                Ok('h') => self.help = true,
                Ok('l') if self.command_is("threaddump") => self.given.push("--locks".into()),
                Ok('l') => return self.select(value, next),
                Ok('v') => match (value, next) {
                    (Some(level), _) if is_number(level) || rest != value => {
                        self.given.push(flag("v", Some(level)));
                        return Ok(false);
                    }
                    (None, Some(level)) if is_number(level) => {
                        self.given.push(flag("v", Some(level)));
                        return Ok(true);
                    }
                    _ => self.given.push("--v".into()),
                },
                Ok(short) => match self.flags.shorts.get(&short).cloned() {
                    Some(long) if self.flags.longs[&long] => return self.long(&long, value, next),
                    Some(long) => self.given.push(flag(&long, None)),
                    None => {
                        self.given.push(format!("-{short}").into());
                        return Ok(false);
                    }
                },
                Err(raw) => {
                    self.given.push(raw.to_owned());
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Notes the selector. True if the next word was it.
    fn select(&mut self, value: Option<&OsStr>, next: Option<&OsStr>) -> Result<bool> {
        if let [word] = self.plain.as_slice()
            && self.selector.is_none()
            && (word == "threaddump" || word == "jcmd")
        {
            let word = word.to_string_lossy();
            return Err(Failure::usage(format!("no TARGET before \"{word}\""))
                .remedy(format!("{NAME} TARGET {word} …, or {NAME} -l SELECTOR {word} …")));
        }
        let Some(selector) = value.or(next) else {
            self.pending = Some("selector".to_owned());
            return Err(Failure::usage("-l needs a SELECTOR").remedy(format!("{NAME} -l app=api threaddump")));
        };
        self.selector = Some(selector.to_owned());
        Ok(value.is_none())
    }

    fn arrange(mut self) -> Result<Words> {
        if self.help {
            let at = self.plain.iter().position(|word| self.flags.is_command(word));
            return Ok(at.map_or_else(|| help([]), |at| self.help_on(at)));
        }
        if self.version {
            return Ok(Words { target: None, argv: vec![NAME.into(), "--version".into()] });
        }
        if self.selector.is_none() {
            if let Some(words) = self.reserved()? {
                return Ok(words);
            }
            if self.plain.is_empty() && self.given.is_empty() {
                return Ok(help([]));
            }
        }
        let target = if self.selector.is_some() { None } else { Some(self.take_target()?) };
        self.check_command(target.as_deref())?;
        let command = self.plain.remove(0);
        Ok(self.words(target, command))
    }

    /// A first word that is no target.
    fn reserved(&mut self) -> Result<Option<Words>> {
        let Some(first) = self.plain.first().and_then(|word| RESERVED.into_iter().find(|reserved| word == reserved))
        else {
            return Ok(None);
        };
        match first {
            "help" => match self.plain.get(1) {
                Some(topic) if !self.flags.is_command(topic) => {
                    Err(Failure::usage(format!("no help on \"{}\"", topic.to_string_lossy()))
                        .remedy(format!("the commands are {}", self.flags.names())))
                }
                Some(_) => Ok(Some(self.help_on(1))),
                None => Ok(Some(help([]))),
            },
            word if self.flags.is_command(OsStr::new(word)) => {
                self.plain.remove(0);
                Ok(Some(std::mem::take(self).without_target(first)))
            }
            word => Err(Failure::usage(format!("\"{word}\" is no command of this version"))
                .remedy(format!("if a pod is meant: {NAME} pod/{word} COMMAND"))),
        }
    }

    fn take_target(&mut self) -> Result<String> {
        if self.plain.is_empty() {
            return Err(Failure::usage("no TARGET").remedy(format!("{NAME} pod/x COMMAND; see {NAME} help")));
        }
        let target = self.plain.remove(0);
        target.into_string().map_err(|raw| {
            Failure::usage(format!("TARGET {} is no name", raw.to_string_lossy()))
                .remedy(format!("{NAME} pod/x COMMAND, with the name as `kubectl get` lists it"))
        })
    }

    /// That the command is where it belongs. An unknown one is left to clap, which knows the similar ones.
    fn check_command(&self, target: Option<&str>) -> Result<()> {
        let command = target.and_then(|target| self.flags.command(OsStr::new(target)));
        match (command, self.plain.first()) {
            (Some(Known { name, .. }), None) => Err(Failure::usage(format!("no TARGET before \"{name}\""))
                .remedy(format!("{NAME} TARGET {name}, for example {NAME} pod/x {name}"))),
            (None, None) => {
                Err(Failure::usage("no COMMAND").remedy(format!("one of {} after the target", self.flags.on_targets())))
            }
            (Some(Known { name, needs_argument: true, .. }), Some(word))
                if !self.flags.is_command(word) && !is_path(word) =>
            {
                Err(Failure::usage(format!("no TARGET before \"{name}\"")).remedy(format!("{NAME} TARGET {name} …")))
            }
            (Some(Known { name, .. }), Some(word)) if !self.flags.is_command(word) => {
                let arguments = self.plain.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
                let words: Vec<_> = std::iter::once(name.clone()).chain(arguments).collect();
                Err(Failure::usage(format!("TARGET stands before the command \"{name}\"")).remedy(slips::line(
                    &self.given,
                    &quoted(&word.to_string_lossy()),
                    &words,
                )))
            }
            (_, Some(word))
                if target.is_none()
                    && !self.flags.is_command(word)
                    && self.plain.get(1).is_some_and(|word| self.flags.is_command(word)) =>
            {
                Err(Failure::usage(format!("TARGET \"{}\" and a selector exclude each other", word.to_string_lossy()))
                    .remedy("give one of the two"))
            }
            _ => Ok(()),
        }
    }

    /// A command's own command, if the plain word at `at` is one.
    fn nested(&self, command: &OsStr, at: usize) -> Option<&OsString> {
        let Known { commands, .. } = self.flags.command(command)?;
        self.plain.get(at).filter(|word| commands.iter().any(|command| *word == command.as_str()))
    }

    /// Help on the command that is the plain word at `at`, or on its own command after it.
    fn help_on(&self, at: usize) -> Words {
        let command = self.plain.get(at);
        let nested = command.and_then(|command| self.nested(command, at + 1));
        help(command.into_iter().chain(nested).cloned())
    }

    fn without_target(self, command: &str) -> Words {
        self.words(None, command.into())
    }

    fn words(mut self, target: Option<String>, command: OsString) -> Words {
        let mut argv: Vec<OsString> = vec![NAME.into()];
        argv.extend(self.selector.as_deref().map(|selector| flag("selector", Some(selector))));
        let has_nested = self.nested(&command, 0).is_some();
        argv.push(command);
        argv.extend(self.plain.drain(..usize::from(has_nested)));
        argv.extend(self.given);
        if !self.plain.is_empty() {
            argv.push("--".into());
            argv.extend(self.plain);
        }
        Words { target, argv }
    }
}

fn help(topic: impl IntoIterator<Item = OsString>) -> Words {
    let argv = [NAME.into()].into_iter().chain(topic).chain(["-h".into()]).collect();
    Words { target: None, argv }
}

/// `--name=value`, in one word whatever the value begins with.
fn flag(name: &str, value: Option<&OsStr>) -> OsString {
    let mut word = OsString::from(format!("--{name}"));
    if let Some(value) = value {
        word.push("=");
        word.push(value);
    }
    word
}

/// The value of `-n=x` is `x`, as in kubectl.
fn strip_equals(rest: &OsStr) -> &OsStr {
    use clap_lex::OsStrExt as _;
    rest.strip_prefix("=").unwrap_or(rest)
}

/// Whether it is written as a target is, `pod/x`.
fn is_path(word: &OsStr) -> bool {
    word.to_string_lossy().contains('/')
}

fn is_number(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
