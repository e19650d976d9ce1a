//! That the catalogue is whole, and that docs/errors.md is what it says. `SNAPSHOTS=overwrite` writes that file anew: read
//! the difference.

use std::path::{Path, PathBuf};

use snapbox::{Data, assert_data_eq};

use super::*;
use crate::error::Exit;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn every_kind_says_what_it_means_what_it_shows_and_what_helps() {
    for id in Id::ALL {
        let Entry { meaning, evidence, remedy } = id.entry();
        for text in [id.title(), meaning, evidence, remedy] {
            assert!(!text.is_empty() && text.trim() == text && !text.contains("  "), "{id}: {text:?}");
        }
        assert!(meaning.ends_with('.') && evidence.ends_with('.') && remedy.ends_with('.'), "{id}");
    }
}

#[test]
fn every_id_is_found_in_each_way_to_write_it() {
    for id in Id::ALL {
        let text = id.to_string();
        for written in [text.clone(), text.to_lowercase(), id.number().to_string(), format!("{:03}", id.number())] {
            assert_eq!(Id::parse(&written), Some(id), "{written}");
        }
    }
    assert!(["", "JAT-", "JAT-000", "JAT-999", "x", "-1"].into_iter().all(|id| Id::parse(id).is_none()));
}

#[test]
fn every_code_of_the_protocol_has_a_kind_of_its_number_and_its_exit_code() {
    for code in Code::ALL {
        let id = Id::from(code);
        assert_eq!((id.number(), id.exit() as u8), (code as u16, code.exit_code()), "{code:?}");
    }
    let of_protocol = Id::ALL.into_iter().filter(|id| id.number() < 100).count();
    assert_eq!(of_protocol, Code::ALL.len());
}

/// Any that ends with it, for tests to which nothing else of a failure matters.
impl From<Exit> for Id {
    fn from(exit: Exit) -> Id {
        Id::ALL.into_iter().find(|id| id.exit() == exit).expect("every exit code has an id")
    }
}

/// What a person saw once: tests/errors/JAT-012.some-case.txt, written by the tests that provoke it.
fn example(id: Id) -> Option<String> {
    let prefix = format!("{id}.");
    let mut files: Vec<PathBuf> = std::fs::read_dir(in_repository("tests/errors"))
        .expect("the directory")
        .map(|file| file.expect("a file").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .collect();
    files.sort();
    Some(std::fs::read_to_string(files.first()?).expect("a text"))
}

/// What no test can provoke: it is for what nobody has thought of.
const NOT_PROVOKED: [Id; 1] = [Id::Other];

#[test]
fn every_error_has_been_provoked() {
    let missing = |id: &Id| example(*id).is_none() && !NOT_PROVOKED.contains(id);
    let missing: Vec<String> = Id::ALL.into_iter().filter(missing).map(|id| id.to_string()).collect();
    assert!(missing.is_empty(), "no test has shown {}", missing.join(", "));
}

/// The sources of all tests that compare what is seen with such a file.
fn tests() -> String {
    let folders = ["plugin/src", "plugin/tests", "tests/e2e/src", "tests/e2e/tests", "injector/src/process"];
    let mut sources = String::new();
    let mut folders: Vec<PathBuf> = folders.map(in_repository).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(&path).expect("a source");
            }
        }
    }
    sources
}

#[test]
fn every_error_that_was_seen_is_still_provoked_by_some_test() {
    let tests = tests();
    let is_provoked = |file: &str| {
        let (id, case) = file.split_once('.').expect("ID.CASE");
        // The end-to-end tests name both, or make up the case; the others the case alone, for the failure has its id.
        [format!("\"{file}\""), format!("\"{id}.{{"), format!("\"{case}\"")].iter().any(|text| tests.contains(text))
    };
    for entry in std::fs::read_dir(in_repository("tests/errors")).expect("the directory") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let file = name.strip_suffix(".txt").unwrap_or_else(|| panic!("{name} is no text"));
        assert!(is_provoked(file), "no test provokes {name}");
    }
}

/// The text of docs/errors.md.
fn markdown() -> String {
    let mut text = String::from(
        "# Errors\n\nEvery failure of `kubectl jattach` has an id, which stays the same, and reads cause, evidence, remedy. \
         `kubectl jattach explain JAT-012` prints what stands here. This page is written by the tests from the plugin's own \
         texts, and the examples are what it really printed.\n\n| id | exit code | |\n|---|---|---|\n",
    );
    for id in Id::ALL {
        let anchor = id.to_string().to_lowercase();
        text += &format!("| [{id}](#{anchor}) | {} | {} |\n", id.exit() as u8, id.title());
    }
    for id in Id::ALL {
        let Entry { meaning, evidence, remedy } = id.entry();
        text += &format!("\n## {id}\n\n**{}.** Exit code {}.\n\n{meaning}\n", id.title(), id.exit() as u8);
        text += &format!("\n- Evidence: {evidence}\n- Remedy: {remedy}\n");
        if let Some(example) = example(id) {
            text += &format!("\n```\n{}\n```\n", example.trim_end());
        }
    }
    text
}

#[test]
fn the_page_of_errors_says_what_the_code_says() {
    assert_data_eq!(markdown(), Data::read_from(&in_repository("docs/errors.md"), None).raw());
}
