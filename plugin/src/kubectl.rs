//! Command lines of kubectl's own, for a person to copy. What makes a failure knows the pod, and not by which flags its user
//! comes to the cluster: every such line is made here, and [`with_flags`] puts them in once both are known.

use std::fmt::Display;

/// The commands of kubectl that messages print. By them a line is known from kubectl's name in a sentence.
const COMMANDS: [&str; 7] = ["auth", "config", "describe", "get", "logs", "patch", "version"];

/// One of those, of an object in a namespace: `logs x -c app`.
pub(crate) fn line_in(namespace: &str, words: impl Display) -> String {
    line(format_args!("-n {namespace} {words}"))
}

/// One that belongs to no namespace: `describe node n`.
pub(crate) fn line(words: impl Display) -> String {
    let line = format!("kubectl {words}");
    debug_assert!(line_at(&line).is_some(), "with_flags would not know it: {line}");
    line
}

/// `text` with these flags in all its lines of kubectl's. Flags that are in a line already are not added again.
pub(crate) fn with_flags(text: &str, flags: &[String]) -> String {
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("kubectl ") {
        let (before, from) = rest.split_at(at);
        let name = from.split_at("kubectl ".len()).0;
        all += before;
        all += name;
        if line_at(from).is_some() {
            flags.iter().for_each(|flag| all = format!("{all}{flag} "));
        }
        rest = &from[name.len()..];
    }
    all + rest
}

/// The command that is in the line at the beginning of `text`, if there is one.
fn line_at(text: &str) -> Option<&'static str> {
    let mut words = text.split([' ', '\n', ';', '`', ')']).skip_while(|word| *word == "kubectl");
    let mut word = words.next()?;
    if word == "-n" {
        word = words.nth(1)?;
    }
    COMMANDS.into_iter().find(|command| *command == word)
}

/// A word as a POSIX shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    // A flag's value needs quotes no more than the flag does: to shlex a `=` may begin an assignment.
    if let Some((flag, value)) = word.split_once('=')
        && flag.starts_with("--")
        && !value.is_empty()
    {
        return format!("{}={}", quoted(flag), quoted(value));
    }
    // Only a NUL cannot be quoted, and no argument has one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn with(text: &str) -> String {
        with_flags(text, &["--context='prod east'".to_owned(), "--as=ada".to_owned()])
    }

    #[test]
    fn every_line_is_led_to_the_users_cluster_and_no_sentence_is_taken_for_one() {
        for (line, led) in [
            (line_in("shop", "logs x -c app"), "kubectl --context='prod east' --as=ada -n shop logs x -c app"),
            (line("describe node n"), "kubectl --context='prod east' --as=ada describe node n"),
            (line("version"), "kubectl --context='prod east' --as=ada version"),
        ] {
            assert_eq!(with(&line), led);
            assert_eq!(with(&format!("try `{line}`; ({line}) says why")), format!("try `{led}`; ({led}) says why"));
            assert_eq!(with(&with(&line)), led, "once is enough");
            assert_eq!(with_flags(&line, &[]), line);
        }
        for sentence in [
            "run any kubectl command to log in",
            "as kubectl does: kubectl refuses that, too",
            "kubectl jattach -n shop pod/x ps",
            "`kubectl exec` runs it, too",
            "kubectl -n shop create role r --verb=get --resource=pods",
            "kubectl ",
            "kubectl -n",
        ] {
            assert_eq!(with(sentence), sentence);
        }
    }

    /// kubectl's commands, as far as a remedy could name them.
    const ALL: [&str; 24] = [
        "-n",
        "annotate",
        "api-resources",
        "apply",
        "attach",
        "auth",
        "config",
        "cp",
        "create",
        "debug",
        "delete",
        "describe",
        "edit",
        "events",
        "exec",
        "get",
        "label",
        "logs",
        "patch",
        "rollout",
        "scale",
        "set",
        "top",
        "version",
    ];

    /// Files in which a line stands as it is, and why.
    const AS_THEY_ARE: [(&str, &str); 4] = [
        ("kubectl.rs", "makes them"),
        ("error.rs", "comes from where no pod is known: the command's end puts it in"),
        ("catalogue/", "concerns no one pod: what `explain` prints, and the page of errors"),
        (
            "client/explain/rbac.rs",
            "is for who grants a right: that is somebody else, who has other ways to the cluster",
        ),
    ];

    fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                sources(&path, all);
            } else {
                all.push(path);
            }
        }
    }

    #[test]
    fn no_message_types_a_line_of_kubectls_by_hand() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut files, mut typed) = (Vec::new(), Vec::new());
        sources(&root, &mut files);
        for path in files {
            let name = path.strip_prefix(&root).expect("below it").to_string_lossy().replace('\\', "/");
            if AS_THEY_ARE.iter().any(|(file, _)| name.starts_with(file)) || name.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                // A command's name alone, in backticks, is no line to copy.
                let words = line.split("kubectl ").skip(1).map(|rest| rest.split([' ', '"', ':']).next());
                let is_line = words.flatten().any(|word| ALL.contains(&word));
                typed.extend(is_line.then(|| format!("{name}: {}", line.trim())));
            }
        }
        assert!(typed.is_empty(), "kubectl::line and line_in know the user's cluster:\n{}", typed.join("\n"));
    }
}
