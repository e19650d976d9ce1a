//! `explain` says what the catalogue says, with no cluster to ask.

use super::run::{Ran, run};

fn explain(words: &str) -> Ran {
    run(&std::env::temp_dir(), &format!("explain{words}"), b"")
}

#[test]
fn one_error_is_explained_however_its_id_is_written() {
    let ran = explain(" JAT-012");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("JAT-012: ") && lines.contains(&"  exit code: 7"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  evidence: ") && ran.stdout.contains("\n  remedy: "), "{}", ran.stdout);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    for id in ["12", "jat-012"] {
        assert_eq!(explain(&format!(" {id}")).stdout, ran.stdout, "{id}");
    }
}

#[test]
fn one_error_is_a_document_that_says_what_the_text_does() {
    let document = explain(" 12 -o json").json();
    assert_eq!((&document["id"], &document["exitCode"]), (&"JAT-012".into(), &7.into()));
    let text = explain(" 12").stdout;
    assert_eq!(text.lines().next(), document["title"].as_str().map(|title| format!("JAT-012: {title}")).as_deref());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["meaning", "evidence", "remedy"] {
        let said = document[part].as_str().expect("a text");
        assert!(!said.is_empty() && text.contains(said), "{part}: {said}\n{text}");
    }
    assert!(explain(" 12 -o yaml").stdout.contains("id: JAT-012\n"));
}

#[test]
fn without_an_id_every_error_of_the_page_is_listed() {
    let page = include_str!("../../../docs/errors.md");
    let headings =
        page.lines().filter_map(|line| line.split_once("# ")?.1.get(..7).filter(|id| id.starts_with("JAT-")));
    let headings: Vec<_> = headings.collect();
    assert!(headings.contains(&"JAT-012"), "{headings:?}");
    let ran = explain("");
    let rows: Vec<_> = ran.stdout.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(rows, headings);
    let list = explain(" -o json").json();
    let list: Vec<_> =
        list.as_array().expect("a list").iter().map(|entry| entry["id"].as_str().expect("an id")).collect();
    assert_eq!(list, headings);
}

#[test]
fn an_id_that_is_none_is_a_mistake_with_a_remedy() {
    let ran = explain(" JAT-999");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("JAT-999") && ran.stderr.contains("remedy: "), "{}", ran.stderr);
}
