//! The command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use lexopt::Arg;

/// What the program is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// `PID COMMAND ARGS…`, as jattach takes it. The pid is not checked yet.
    DropIn { pid: OsString, command: Vec<u8>, arguments: Vec<Vec<u8>> },
    /// `list [--json]`.
    List { json: bool },
    /// `hold`.
    Hold,
    /// `session`.
    Session,
    /// `inside`.
    Inside,
    /// `shelter WHO [mount]`.
    Shelter { who: String, mounts: bool },
    /// `--version`.
    Version,
    /// `--help`.
    Help,
}

/// Reads the command line, without the program's name. None: it makes no sense, and the usage says what would.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Invocation> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let first = parser.raw_args().ok()?.next_if(is_negative_number);
    match first.map_or_else(|| parser.next().ok()?, |number| Some(Arg::Value(number)))? {
        Arg::Long("version") | Arg::Short('V') => Some(Invocation::Version),
        Arg::Long("help") | Arg::Short('h') => Some(Invocation::Help),
        Arg::Value(word) => {
            // Everything behind the first word is the JVM's or the subcommand's own.
            let rest: Vec<OsString> = parser.raw_args().ok()?.collect();
            match (word.to_str(), rest.as_slice()) {
                (Some("hold"), []) => Some(Invocation::Hold),
                (Some("session"), []) => Some(Invocation::Session),
                (Some("inside"), []) => Some(Invocation::Inside),
                (Some("shelter"), [who]) => Some(Invocation::Shelter { who: who.to_str()?.to_owned(), mounts: false }),
                (Some("shelter"), [who, mount]) if mount == "mount" => {
                    Some(Invocation::Shelter { who: who.to_str()?.to_owned(), mounts: true })
                }
                (Some("list"), []) => Some(Invocation::List { json: false }),
                (Some("list"), [flag]) if flag == "--json" => Some(Invocation::List { json: true }),
                (Some("list" | "hold" | "session" | "inside" | "shelter"), _) | (_, []) => None,
                _ => {
                    let mut words = rest.into_iter().map(OsStringExt::into_vec);
                    Some(Invocation::DropIn { pid: word, command: words.next()?, arguments: words.collect() })
                }
            }
        }
        _ => None,
    }
}

/// "-1" is a pid that makes no sense, not a flag.
fn is_negative_number(word: &OsStr) -> bool {
    matches!(word.as_bytes(), [b'-', b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<Invocation> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn everything_behind_the_pid_belongs_to_the_jvm() {
        assert_eq!(
            parsed(&["7", "threaddump", "-l", "--help"]),
            Some(Invocation::DropIn {
                pid: "7".into(),
                command: b"threaddump".to_vec(),
                arguments: vec![b"-l".to_vec(), b"--help".to_vec()]
            })
        );
    }

    #[test]
    fn a_pid_without_a_command_gets_the_usage_as_jattach_gives_it() {
        assert_eq!(parsed(&["7"]), None);
        assert_eq!(parsed(&[]), None);
        assert_eq!(parsed(&["--unknown"]), None);
        assert_eq!(parsed(&["list", "--unknown"]), None);
    }

    #[test]
    fn list_takes_one_flag() {
        assert_eq!(parsed(&["list"]), Some(Invocation::List { json: false }));
        assert_eq!(parsed(&["list", "--json"]), Some(Invocation::List { json: true }));
    }
}
