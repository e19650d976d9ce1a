//! docs/reference.md is what the definitions say. `SNAPSHOTS=overwrite` writes that file anew: read the difference.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command};
use snapbox::{Data, assert_data_eq};

use super::{ENVIRONMENT, NAME, definitions};

/// The groups of flags that every command on a target takes, in the order of the page.
const GROUPS: [&str; 4] = ["Target", "Connection", "Injector", "Output"];

fn is_shown(arg: &&Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

/// Whether every command takes it.
fn is_shared(arg: &Arg) -> bool {
    arg.is_global_set() || arg.get_id() == "selector"
}

/// `-n`, `--namespace NAMESPACE`: what it does.
fn item(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).filter(|_| arg.get_action().takes_values());
    let is_optional = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
    let value = value.map(|value| match (arg.is_positional(), arg.is_require_equals_set(), is_optional) {
        (true, ..) => value,
        (_, true, true) => format!("[={value}]"),
        (_, true, false) => format!("={value}"),
        _ => format!(" {value}"),
    });
    let mut item = String::from("- ");
    if let Some(short) = arg.get_short() {
        write!(item, "`-{short}`, ").expect("a string takes it");
    }
    let name = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    write!(item, "`{name}{}`: {}", value.unwrap_or_default(), text(arg.get_help())).expect("a string takes it");
    let values = arg.get_possible_values();
    if !arg.is_hide_possible_values_set() && !values.is_empty() && arg.get_action().takes_values() {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        write!(item, " ({})", values.join(", ")).expect("a string takes it");
    }
    let has_default = arg.get_action().takes_values() && !arg.is_hide_default_value_set();
    if let Some(default) = arg.get_default_values().first().filter(|_| has_default) {
        write!(item, " (default: {})", default.to_string_lossy()).expect("a string takes it");
    }
    if let Some(variable) = arg.get_env() {
        write!(item, "; also the variable `{}`", variable.to_string_lossy()).expect("a string takes it");
    }
    item + "\n"
}

fn text(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = text(command.get_overridden_usage());
    usage.lines().map(|line| format!("    {}\n", line.trim())).collect()
}

/// The commands, and after each its own.
fn commands(root: &Command) -> Vec<(String, &Command)> {
    let mut all = Vec::new();
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        all.push((command.get_name().to_owned(), command));
        let nested = command.get_subcommands().filter(|command| !command.is_hide_set());
        all.extend(nested.map(|nested| (format!("{} {}", command.get_name(), nested.get_name()), nested)));
    }
    all
}

/// One command: what is its own, and of what all take what is of use to it.
fn section(path: &str, command: &Command) -> String {
    let mut section = format!("\n## {path}\n\n{}.\n\n{}", text(command.get_about()), usage(command));
    let own: Vec<_> = command.get_arguments().filter(is_shown).filter(|arg| !is_shared(arg)).collect();
    let (arguments, flags): (Vec<&Arg>, Vec<&Arg>) = own.into_iter().partition(|arg| arg.is_positional());
    let items: String = arguments.into_iter().chain(flags).map(item).collect();
    if !items.is_empty() {
        section += &format!("\n{items}");
    }
    let shared: Vec<_> = command.get_arguments().filter(|arg| is_shared(arg)).collect();
    let shown: Vec<_> = shared.iter().copied().filter(is_shown).collect();
    let is_local = !shared.iter().any(|arg| arg.get_id() == "selector");
    if is_local && !shown.is_empty() {
        let shown: Vec<_> = shown.iter().filter_map(|arg| Some(format!("`--{}`", arg.get_long()?))).collect();
        section += &format!("\nOf the [flags of all commands](#flags-of-all-commands): {}.\n", shown.join(", "));
    }
    // Lines that are a list stand under a line that ends with a colon.
    let after = text(command.get_after_help()).replace(":\n", ":\n\n").replace("\n  ", "\n    ");
    if !after.is_empty() {
        section += &format!("\n{after}\n");
    }
    section
}

/// The text of docs/reference.md.
fn markdown() -> String {
    let mut root = definitions();
    root.build();
    let commands = commands(&root);
    let mut page = format!(
        "# Command reference\n\nEvery command and every flag of `{NAME}`. This page is written by the tests from the definitions that \
         `help` prints, too; [commands.md](commands.md) shows what each command prints.\n\n{}\n{}\n\n| command | |\n|---|---|\n",
        usage(&root),
        text(root.get_about())
    );
    for (path, command) in &commands {
        let anchor = path.to_lowercase().replace(' ', "-");
        page += &format!("| [{path}](#{anchor}) | {} |\n", text(command.get_about()));
    }
    for (path, command) in &commands {
        page += &section(path, command);
    }
    page += "\n## Flags of all commands\n\nThose that need no cluster take few of them: each says above which.\n";
    for group in GROUPS {
        let flags = root.get_arguments().filter(|flag| is_shared(flag) && flag.get_help_heading() == Some(group));
        page += &format!("\n### {group}\n\n{}", flags.map(item).collect::<String>());
    }
    page += "\n`kubectl jattach --version` prints the version alone; `-h`, `--help` after any command is its help.\n";
    page += "\n## Environment\n\n| variable | what it says |\n|---|---|\n";
    for (names, meaning) in ENVIRONMENT {
        page += &format!("| {names} | {meaning} |\n");
    }
    page += "\nA flag counts before the environment, and that before \
             [the configuration file](air-gap.md#once-for-a-site). What a command ends with: \
             [Exit codes](../README.md#exit-codes).\n";
    page
}

#[test]
fn every_flag_that_is_shared_is_in_a_group_of_the_page() {
    for flag in definitions().get_arguments().filter(|flag| is_shared(flag)) {
        assert!(flag.get_help_heading().is_some_and(|group| GROUPS.contains(&group)), "{}", flag.get_id());
    }
}

#[test]
fn the_reference_says_what_the_definitions_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    assert_data_eq!(markdown(), Data::read_from(&page, None).raw());
}
