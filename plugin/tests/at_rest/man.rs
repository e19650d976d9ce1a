//! `man` writes a page for each command, and man takes every one without a warning.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::run::run;

/// The commands that a help lists, `image save` among them.
fn listed(of: &str) -> Vec<String> {
    let help = run(&std::env::temp_dir(), format!("help {of}").trim_end(), b"").stdout;
    let commands = help.split_once("\nCommands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let names = commands.unwrap_or_default().lines().filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let paths: Vec<_> = names.map(|name| format!("{of} {name}").trim_start().to_owned()).collect();
    let below: Vec<_> = paths.iter().flat_map(|path| listed(path)).collect();
    paths.into_iter().chain(below).collect()
}

#[test]
fn each_command_has_a_page_that_man_reads_without_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let ran = run(directory.path(), "man pages", b"");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    let folder = directory.path().join("pages");
    let written = std::fs::read_dir(&folder).expect("a directory").map(|page| page.expect("a page").file_name());
    let written: BTreeSet<_> = written.map(|name| name.into_string().expect("text")).collect();
    let commands = listed("");
    assert!(commands.contains(&"image save".to_owned()), "{commands:?}");
    let expected = commands.iter().map(|command| format!("kubectl-jattach-{}.1", command.replace(' ', "-")));
    assert_eq!(written, expected.chain(["kubectl-jattach.1".to_owned()]).collect());
    for page in written {
        let text = std::fs::read_to_string(folder.join(&page)).expect("text");
        for part in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH OPTIONS\n", ".SH \"SEE ALSO\"\n"] {
            assert!(text.contains(part), "{page} has no {part}: {text}");
        }
        let formatted = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"])
            .arg(folder.join(&page))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output();
        match formatted {
            Ok(formatted) => {
                let warnings = String::from_utf8_lossy(&formatted.stderr);
                assert!(formatted.status.success() && warnings.is_empty(), "{page}: {warnings}");
                let shown = String::from_utf8_lossy(&formatted.stdout);
                assert!(shown.contains("kubectl jattach") && !shown.contains('\\'), "{page}: {shown}");
            }
            Err(error) => eprintln!("what groff says of {page} is not known: {error}"),
        }
    }
}

#[test]
fn a_directory_that_cannot_be_had_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), "").expect("a file");
    let ran = run(directory.path(), "man file/pages", b"");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("JAT-191") && ran.stderr.contains("file/pages"), "{}", ran.stderr);
}
