//! The definitions as a person sees them, in help, the man pages and docs/reference.md: each command with the flags that are
//! of use to it. It does not change what clap takes.

use clap::{Arg, Command, CommandFactory};

use super::Raw;

/// The commands that need no cluster, and what they make of the flags that every command takes.
const LOCAL: [(&str, &[&str]); 9] = [
    ("verify", &["output", "quiet", "timeout"]),
    ("inspect", &["output", "quiet", "timeout"]),
    ("explain", &["output"]),
    ("image", &["image", "output"]),
    ("image save", &["image", "quiet"]),
    ("completion", &[]),
    ("completion install", &["quiet"]),
    ("version", &["image", "output"]),
    ("man", &[]),
];

/// The flag `-o`, and its help where all that the command prints can be one.
const OUTPUT: &str = "output";
const A_DOCUMENT: &str = "Print a document: json or yaml";

/// What the environment has a say in. The man page and docs/reference.md have it; help has no room.
pub(crate) const ENVIRONMENT: [(&str, &str); 6] = [
    ("KUBECTL_JATTACH_IMAGE", "the injector's image, where --image names none"),
    ("KUBECONFIG", "the kubeconfig files, where --kubeconfig names none"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy to the API server, where the kubeconfig names none"),
    ("POD_NAMESPACE", "in a pod without a kubeconfig: the namespace, where -n names none"),
    ("XDG_CONFIG_HOME", "where kubectl-jattach/config.yaml is: ~/.config, unless it is set (on Windows APPDATA)"),
    ("TMPDIR", "where a heap dump to standard output waits, if it has to (on Windows TEMP)"),
];

/// The root command.
pub(crate) fn definitions() -> Command {
    let root = Raw::command();
    let shared: Vec<Arg> = root.get_arguments().filter(|flag| flag.is_global_set()).cloned().collect();
    let selector = root.get_arguments().find(|flag| flag.get_id() == "selector").cloned();
    let is_local = |command: &Command| LOCAL.into_iter().any(|(local, _)| local == command.get_name());
    root.mut_subcommands(|command| match is_local(&command) {
        true => local(command, None, &shared),
        false => on_target(command, selector.as_ref(), &shared),
    })
}

/// The command and its own ones, each with a hidden flag in the place of one that it has no use for: what a command has
/// already clap does not hand down to it.
fn local(command: Command, parent: Option<&str>, shared: &[Arg]) -> Command {
    let path = parent.into_iter().chain([command.get_name()]).collect::<Vec<_>>().join(" ");
    let (_, useful) = LOCAL.into_iter().find(|(local, _)| *local == path).unwrap_or_default();
    let flags = shared.iter().map(|flag| match flag.get_id().as_str() {
        OUTPUT if useful.contains(&OUTPUT) => flag.clone().help(A_DOCUMENT),
        id => flag.clone().hide(!useful.contains(&id)),
    });
    command.args(flags).mut_subcommands(|command| local(command, Some(&path), shared))
}

/// A command on a target, with the flags that all take in the root's order, said as it is for this one. The selector is the
/// root's alone, because [`super::words`] hands it over before the command; it may be typed behind it, too.
fn on_target(command: Command, selector: Option<&Arg>, shared: &[Arg]) -> Command {
    let has_an_own_l = command.get_arguments().any(|flag| flag.get_short() == Some('l'));
    let selector = selector.cloned().map(|selector| match has_an_own_l {
        true => selector.short(None).help(
            "Take the newest ready pod with these labels, in TARGET's place; -l says that too, before the command",
        ),
        false => selector.help("Take the newest ready pod with these labels, in TARGET's place"),
    });
    let flags = shared.iter().cloned().map(|flag| match (flag.get_id().as_str(), command.get_name()) {
        (OUTPUT, "ps" | "doctor") => flag.help(A_DOCUMENT),
        (OUTPUT, "clean") => flag.hide(true),
        (OUTPUT, _) => flag.help("With --dry-run: json or yaml (default: yaml)"),
        _ => flag,
    });
    let flags: Vec<_> = selector.into_iter().chain(flags).collect();
    command.args(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words::RESERVED;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        definitions().debug_assert();
    }

    #[test]
    fn every_command_without_a_target_says_which_flags_it_has_a_use_for() {
        let mut reserved: Vec<_> = RESERVED.into_iter().filter(|word| *word != "help").collect();
        let mut local: Vec<_> =
            LOCAL.into_iter().map(|(command, _)| command).filter(|name| !name.contains(' ')).collect();
        reserved.sort_unstable();
        local.sort_unstable();
        assert_eq!(reserved, local);
        let root = Raw::command();
        for (command, useful) in LOCAL {
            let found = command.split(' ').try_fold(&root, |parent, name| parent.find_subcommand(name));
            assert!(found.is_some(), "there is no {command}");
            for flag in useful {
                assert!(root.get_arguments().any(|known| known.get_id() == flag), "there is no {flag}");
            }
        }
    }

    /// The help of a command, as it is printed.
    fn help(command: &str) -> String {
        let words = command.split(' ').filter(|word| !word.is_empty());
        let line = std::iter::once("kubectl jattach").chain(words).chain(["-h"]);
        definitions().try_get_matches_from(line).expect_err("help").to_string()
    }

    #[test]
    fn help_shows_the_flags_that_are_of_use_and_no_others() {
        for (command, shown, not) in [
            ("", "-l, --selector", "(before the command)"),
            ("ps", "-l, --selector", "--gzip"),
            ("threaddump", "-l, --locks", "-l, --selector"),
            ("threaddump", "      --selector", "-l, --selector"),
            ("verify", "-o, --output", "Target:"),
            ("inspect", "--timeout", "Connection:"),
            ("explain", "-o, --output", "--quiet"),
            ("image", "--image <", "--image-pull-policy"),
            ("image save", "-q, --quiet", "--output"),
            ("completion", "install", "Output:"),
            ("version", "--image <", "--namespace"),
        ] {
            let help = help(command);
            assert!(help.contains(shown) && !help.contains(not), "{command}: {help}");
        }
    }

    #[test]
    fn the_groups_of_flags_stand_in_the_same_order_in_each_help() {
        for command in ["", "ps", "threaddump", "clean", "verify"] {
            let help = help(command);
            let groups = ["\nTarget:", "\nConnection:", "\nInjector:", "\nOutput:"];
            let at: Vec<_> = groups.into_iter().filter_map(|group| help.find(group)).collect();
            assert!(!at.is_empty() && at.is_sorted(), "{command}: {help}");
        }
    }

    #[test]
    fn output_is_said_to_be_what_it_is_to_the_command() {
        use crate::options::{Parsed, parse};
        let is_taken = |line: String| matches!(parse(line.split(' ').map(Into::into)), Ok(Parsed::Run(_)));
        for command in definitions().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let arguments = command.get_positionals().filter(|argument| argument.is_required_set()).map(|_| "1");
            let words: Vec<_> = std::iter::once(name).chain(arguments).collect();
            let target = if RESERVED.contains(&name) { "" } else { "x " };
            let line = |flags: &str| format!("kubectl-jattach {flags} {target}{}", words.join(" "));
            let output = command.get_arguments().find(|flag| flag.get_id() == OUTPUT).expect("a copy of -o");
            let help = output.get_help().map(ToString::to_string).unwrap_or_default();
            let is_document = !output.is_hide_set() && help == A_DOCUMENT;
            assert_eq!(is_taken(line("-o json")), is_document, "{name}: {help}");
            if !target.is_empty() {
                assert_eq!(is_taken(line("-o json --dry-run=client")), !output.is_hide_set(), "{name}: {help}");
            }
        }
    }

    #[test]
    fn a_flag_that_is_not_shown_is_taken_and_reaches_the_root() {
        use clap::FromArgMatches;
        let line =
            ["kubectl jattach", "image", "save", "--namespace=shop", "--output=json", "--image=r/i:1", "--", "f"];
        let matches = definitions().try_get_matches_from(line).expect("a line");
        let raw = Raw::from_arg_matches(&matches).expect("options");
        assert_eq!(raw.target.namespace.as_deref(), Some("shop"));
        assert_eq!((raw.injector.image.as_deref(), raw.output.output.is_some()), (Some("r/i:1"), true));
    }
}
