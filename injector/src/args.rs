//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

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
    let mut words = arguments.into_iter();
    let first = words.next()?;
    // Everything behind the first word is the JVM's or the subcommand's own.
    let rest: Vec<OsString> = words.collect();
    let shelter = |who: &OsString, mounts| Some(Invocation::Shelter { who: who.to_str()?.to_owned(), mounts });
    match (first.as_bytes(), rest.as_slice()) {
        (b"--version" | b"-V", _) => Some(Invocation::Version),
        (b"--help" | b"-h", _) => Some(Invocation::Help),
        (b"hold", []) => Some(Invocation::Hold),
        (b"session", []) => Some(Invocation::Session),
        (b"inside", []) => Some(Invocation::Inside),
        (b"shelter", [who]) => shelter(who, false),
        (b"shelter", [who, mount]) if mount == "mount" => shelter(who, true),
        (b"list", []) => Some(Invocation::List { json: false }),
        (b"list", [flag]) if flag == "--json" => Some(Invocation::List { json: true }),
        (b"list" | b"hold" | b"session" | b"inside" | b"shelter", _) | (_, []) => None,
        // "-1" is a pid that makes no sense, not a flag.
        ([b'-', letter, ..], _) if !letter.is_ascii_digit() => None,
        _ => {
            let mut words = rest.into_iter().map(OsStringExt::into_vec);
            Some(Invocation::DropIn { pid: first, command: words.next()?, arguments: words.collect() })
        }
    }
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
        assert_eq!(parsed(&["--unknown", "threaddump"]), None);
        assert!(matches!(parsed(&["-1", "threaddump"]), Some(Invocation::DropIn { .. })), "a pid, if a wrong one");
        assert_eq!(parsed(&["list", "--unknown"]), None);
    }

    #[test]
    fn help_and_version_are_flags_of_either_length() {
        for (flags, meant) in [(["--help", "-h"], Invocation::Help), (["--version", "-V"], Invocation::Version)] {
            assert!(flags.iter().all(|flag| parsed(&[flag]).as_ref() == Some(&meant)), "{flags:?}");
        }
    }

    #[test]
    fn list_takes_one_flag() {
        assert_eq!(parsed(&["list"]), Some(Invocation::List { json: false }));
        assert_eq!(parsed(&["list", "--json"]), Some(Invocation::List { json: true }));
    }
}
