//! `man`: the pages of the manual, one for each command, for whoever packages the plugin.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::catalogue::Id;
use crate::cli::{ENVIRONMENT, NAME, definitions};
use crate::error::{Failure, Result};

/// What the pages are named after: `man` looks for `kubectl jattach` under this name.
const PAGE: &str = "kubectl-jattach";
const SECTION: &str = "1";

/// Writes the pages into `folder`, over those of an earlier version.
///
/// # Errors
/// 1 where one cannot be written.
pub(super) fn run(folder: &Path) -> Result<()> {
    let unwritable = |path: &Path, error: io::Error| {
        Failure::new(Id::CannotWrite, format!("cannot write {}", path.display()))
            .evidence(error.to_string())
            .remedy("name a directory that may be written to")
    };
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    for (name, text) in pages() {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

/// Each page: the name of its file, and its text in roff.
fn pages() -> Vec<(String, String)> {
    let mut root = definitions().display_name(PAGE);
    root.build();
    let mut commands = vec![&root];
    let mut at = 0;
    while let Some(command) = commands.get(at).copied() {
        commands.extend(command.get_subcommands().filter(|command| !command.is_hide_set()));
        at += 1;
    }
    commands.into_iter().map(page).collect()
}

fn page(command: &Command) -> (String, String) {
    let title = command.get_display_name().unwrap_or(PAGE).to_owned();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // What `whatis` lists is one line.
    let first = about.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    let shown = command.clone().bin_name(NAME).about(first).long_about(about).subcommand_help_heading("COMMANDS");
    // A date that is not there would be the next field's place; a blank is none, and the same in each build.
    let man = Man::new(shown).title(&title).section(SECTION).date(" ");
    let man = man.source(format!("{PAGE} {}", env!("CARGO_PKG_VERSION")));
    let text = from_clap(&man, command).expect("memory takes what is written to it");
    let mut end = Roff::new();
    after(&mut end, &command.get_after_help().map(ToString::to_string).unwrap_or_default());
    if title == PAGE {
        environment(&mut end);
    }
    see_also(&mut end, &title);
    (format!("{title}.{SECTION}"), String::from_utf8_lossy(&text).into_owned() + &end.render())
}

/// The sections that follow from the definitions alone.
fn from_clap(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    Ok(text)
}

/// What stands below the flags in a command's help: a list under its heading, or some paragraphs.
fn after(page: &mut Roff, text: &str) {
    for part in text.split("\n\n").filter(|part| !part.is_empty()) {
        match part.split_once(":\n") {
            Some((heading, list)) => {
                page.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
                for line in list.lines() {
                    page.text([roman(line)]);
                }
                page.control("fi", []);
            }
            None => {
                page.control("PP", []).text([roman(part)]);
            }
        }
    }
}

fn environment(page: &mut Roff) {
    page.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        page.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
}

fn see_also(page: &mut Roff, title: &str) {
    page.control("SH", ["SEE ALSO"]);
    if title != PAGE {
        page.text([bold(PAGE), roman(format!("({SECTION})"))]).control("br", []);
    }
    page.text([roman(concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs"))]);
}
