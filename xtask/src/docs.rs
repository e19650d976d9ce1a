//! Links between the pages of the documentation lead to a file, and to a heading, that is there, and the source files that they
//! name are there, too. Links to other sites are not followed: tests need no network, and no site of others can turn them red.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CowStr, Event, Parser, Tag, TagEnd};

use crate::workspace::Workspace;

/// Where there are pages.
const FOLDERS: [&str; 3] = ["", "docs", ".github"];

/// What a page has to do with others.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    /// What can stand behind a `#` in a link to it.
    anchors: HashSet<String>,
    /// Words in the type of code.
    code: Vec<String>,
}

impl Page {
    fn parse(markdown: &str) -> Page {
        let mut page = Page::default();
        let mut seen = HashMap::new();
        let mut heading: Option<String> = None;
        for event in Parser::new(markdown) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(CowStr::into_string(dest_url));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_insert(0);
                    page.anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
                }
                Event::Text(ref text) | Event::Code(ref text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(text);
                    }
                    if let Event::Code(code) = event {
                        page.code.push(code.into_string());
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// As GitHub makes it of a heading: letters and digits in lower case, blanks as hyphens, hyphens and underscores as they are.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// All pages of the repository, by their paths from its root.
fn pages(root: &Path) -> BTreeMap<PathBuf, Page> {
    let files = FOLDERS.iter().flat_map(|folder| {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of the repository");
        entries.map(|entry| Path::new(folder).join(entry.expect("an entry").file_name()))
    });
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let page = |path: PathBuf| {
        let text = fs::read_to_string(root.join(&path)).expect("a page");
        (path, Page::parse(&text))
    };
    files.map(page).collect()
}

/// Why a link of the page at `from` leads nowhere, if it does.
fn is_broken(root: &Path, pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> Option<&'static str> {
    if link.contains("://") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let mut to = from.to_path_buf();
    if !path.is_empty() {
        to.pop();
        for part in path.trim_end_matches('/').split('/') {
            match part {
                ".." if !to.pop() => return Some("leads out of the repository"),
                ".." => {}
                part => to.push(part),
            }
        }
    }
    if !root.join(&to).exists() {
        return Some("no such file");
    }
    let has_anchor = || pages.get(&to).is_some_and(|page| page.anchors.contains(anchor));
    (!anchor.is_empty() && !has_anchor()).then_some("no such heading")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let pages = pages(workspace.root());
    let links = || pages.iter().flat_map(|(from, page)| page.links.iter().map(move |link| (from, link)));
    let broken: Vec<String> = links()
        .filter_map(|(from, link)| {
            let why = is_broken(workspace.root(), &pages, from, link)?;
            Some(format!("{}: {link}: {why}", from.display()))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(pages.len() > 10 && links().count() > 100, "{} pages, {} links", pages.len(), links().count());
}

/// All files below a folder of the repository, by their paths from its root.
fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(folder)).expect("a folder of the repository");
    entries
        .flat_map(|entry| {
            let entry = entry.expect("an entry");
            let path = Path::new(folder).join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { files(root, &path.to_string_lossy()) } else { vec![path] }
        })
        .collect()
}

#[test]
fn every_source_file_that_a_page_names_is_there() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let all: Vec<PathBuf> =
        ["plugin", "injector", "tests", "xtask"].iter().flat_map(|folder| files(workspace.root(), folder)).collect();
    let pages = pages(workspace.root());
    let mut count = 0;
    for (page, Page { code, .. }) in &pages {
        for name in code.iter().filter(|code| code.ends_with(".rs") && !code.contains([' ', '*'])) {
            // Some are named from the folder that the paragraph is about.
            assert!(all.iter().any(|path| path.ends_with(name)), "{}: there is no {name}", page.display());
            count += 1;
        }
    }
    assert!(count > 50, "{count} names");
}

#[test]
fn a_link_to_nothing_is_noticed() {
    let root = tempfile::tempdir().expect("a directory");
    let pages = [
        ("README.md", "# One\n[a](docs/x.md#why-its-so) [b](docs/x.md#two-1)\n`[no](link)`\n\n    [no](link)"),
        (
            "docs/x.md",
            "## Why it's `so`\n## Two\n## Two\n[a](../README.md#one) ![b](gone.svg) [c](#three) [d](../../up)",
        ),
    ];
    fs::create_dir(root.path().join("docs")).expect("made");
    let pages: BTreeMap<PathBuf, Page> = pages
        .map(|(path, text)| {
            fs::write(root.path().join(path), text).expect("written");
            (path.into(), Page::parse(text))
        })
        .into();
    let found = |from: &str| -> Vec<_> {
        let links = pages[Path::new(from)].links.iter();
        links.map(|link| is_broken(root.path(), &pages, Path::new(from), link)).collect()
    };
    assert_eq!(found("README.md"), [None, None]);
    let broken = [Some("no such file"), Some("no such heading"), Some("leads out of the repository")];
    assert_eq!(found("docs/x.md"), [&[None], &broken[..]].concat());
}
