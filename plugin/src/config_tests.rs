//! What a configuration file may say, and what is said of one that cannot be used.

use super::*;
use crate::catalogue::seen::assert_seen;
use crate::options::{Options, Parsed, Source, parse_with};
use std::time::Duration;

/// What the file at a path that stays the same says.
fn config(text: &str) -> Result<Config> {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).expect("a file");
    // The path differs from run to run.
    Config::read(path.clone()).map_err(|failure| Failure {
        evidence: failure.evidence.replace(&path.display().to_string(), "/home/me/.config/kubectl-jattach/config.yaml"),
        ..failure
    })
}

fn parsed(line: &str, text: &str) -> Result<Parsed> {
    let words = std::iter::once("kubectl-jattach").chain(line.split(' ')).map(OsString::from);
    parse_with(words, || config(text))
}

fn options(line: &str, text: &str) -> Options {
    match parsed(line, text).expect("a line that makes sense") {
        Parsed::Run(options) => *options,
        Parsed::Say(said) => panic!("{said}"),
    }
}

#[test]
fn a_flag_counts_before_the_file_and_the_file_before_what_is_built_in() {
    const TEXT: &str = "# of this site\nimage: mirror.example/i:1\nimage-pull-policy: Never\nprofile: baseline\n\
                        ttl: 1h\nrequest-timeout: 5\n";
    let set = options("x ps", TEXT);
    assert_eq!((set.injector.image.as_str(), set.injector.ttl), ("mirror.example/i:1", Duration::from_secs(3600)));
    assert!(matches!(set.injector.image_from, Source::Config(path) if path.ends_with("config.yaml")));
    assert_eq!(set.connection.request_timeout, Some(Duration::from_secs(5)));
    assert_eq!(set.injector.pull_policy, Some(crate::options::PullPolicy::Never));
    assert_eq!(set.injector.profile, crate::options::Profile::Baseline);
    let line = "x ps --image=i:2 --ttl=1m --request-timeout=7 --image-pull-policy=Always --profile=auto";
    let given = options(line, TEXT);
    assert_eq!((given.injector.image.as_str(), given.injector.ttl), ("i:2", Duration::from_secs(60)));
    assert_eq!(given.injector.image_from, Source::Flag);
    assert_eq!(given.connection.request_timeout, Some(Duration::from_secs(7)));
    assert_eq!(given.injector.pull_policy, Some(crate::options::PullPolicy::Always));
    assert_eq!(given.injector.profile, crate::options::Profile::Auto);
}

#[test]
fn what_contradicts_the_files_profile_is_not_blamed_on_a_flag_that_nobody_gave() {
    for (text, line, remedy) in [
        ("profile: general", "x ps --run-as-user=7", "leave --run-as-user out: the injector takes"),
        ("profile: sysadmin", "x ps --run-as-group=7", "leave --run-as-group out: the injector takes"),
        ("profile: restricted", "x ps --run-as-user=0", "leave --run-as-user out\n"),
    ] {
        let Err(failure) = parsed(line, text) else { panic!("{line} goes with {text}") };
        assert!(failure.cause.starts_with("the configuration file's profile and --run-as-"), "{failure}");
        assert!(failure.evidence.contains(&format!("config.yaml: {text}\n")), "{failure}");
        assert!(failure.remedy.starts_with(remedy) && failure.remedy.contains("--profile=auto"), "{failure}");
        assert!(parsed(&format!("{line} --profile=auto"), text).is_ok(), "{line}");
    }
    let Err(failure) = parsed("x ps --profile=general --run-as-user=7", "profile: baseline") else {
        panic!("the flag counts");
    };
    assert!(failure.cause.starts_with("--profile and"), "{failure}");
}

#[test]
fn a_file_that_says_nothing_is_as_good_as_none() {
    for text in ["", "# nothing yet\n", "{}", "---\n"] {
        let config = config(text).expect(text);
        assert!(!config.names_image(), "{text:?}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    assert!(Config::read(folder.path().join(FILE)).is_ok_and(|config| !config.names_image()));
}

#[test]
fn of_a_file_that_is_too_long_no_part_is_used() {
    let limit = usize::try_from(LARGEST).expect("a small number");
    let whole = format!("image: i:1\n{}", "#".repeat(limit - 11));
    assert!(config(&whole).is_ok_and(|config| config.names_image()));
    let failure = config(&(whole + "#")).expect_err("a byte too long");
    assert!(failure.id == Id::Config && failure.evidence.contains("more than 1048576 bytes"), "{failure}");
    let folder = tempfile::tempdir().expect("a directory");
    let failure = Config::read(folder.path().to_owned()).expect_err("a directory");
    assert!(failure.evidence.ends_with("it is no regular file") && !failure.remedy.is_empty(), "{failure}");
}

#[test]
fn what_needs_no_injector_does_not_read_the_file() {
    for line in
        ["verify x.hprof", "inspect x.hprof", "explain", "help", "version --help", "--version", "image save x --help"]
    {
        let words = std::iter::once("kubectl-jattach").chain(line.split(' ')).map(OsString::from);
        assert!(parse_with(words, || panic!("{line} reads the configuration")).is_ok(), "{line}");
    }
    for line in ["x ps", "version", "image", "image save x"] {
        let words = std::iter::once("kubectl-jattach").chain(line.split(' ')).map(OsString::from);
        assert!(parse_with(words, || config("imagee: x")).is_err(), "{line}");
    }
}

#[test]
fn a_misspelt_key_is_named_with_its_line() {
    assert_seen("unknown-key", &config("image: mirror.example/i:1\nimage-pul-policy: Never\n").expect_err("misspelt"));
}

#[test]
fn a_value_that_the_flag_would_not_take_is_shown() {
    assert_seen("no-duration", &config("ttl: soon\n").expect_err("no duration"));
    for text in [
        "image: ''",
        "image: a b",
        "image-pull-policy: never",
        "profile: root",
        "ttl: '0'",
        "request-timeout: x",
        "image: [x]",
        "- x",
    ] {
        let failure = config(text).expect_err(text);
        assert!(failure.id == Id::Config && !failure.remedy.is_empty(), "{text}: {failure}");
    }
}

#[test]
fn the_environment_names_the_directory_or_it_is_the_users_usual_one() {
    let home = std::env::temp_dir();
    let other = home.join("other");
    assert_eq!(folder_of(Some(other.clone().into()), Some(&home)), Some(other));
    for not_absolute in [None, Some(OsString::new()), Some("here".into())] {
        let folder = folder_of(not_absolute, Some(&home)).expect("there is a home");
        assert!(folder.starts_with(&home) && folder != home, "{}", folder.display());
    }
    assert_eq!(folder_of(None, None), None);
}
