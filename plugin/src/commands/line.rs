//! Command lines for a person to copy, in a shell's words.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::NAME;

/// How a message says that somebody ends an injector who does not know the pod as its user does.
const ANY_CLEAN: &str = "kubectl jattach TARGET clean";

/// The flags that say which pod is meant, and who asks.
const WHERE: [&str; 8] = ["namespace", "kubeconfig", "context", "cluster", "user", "as", "as-group", "request-timeout"];

/// The flags that do not go with the rest of a dump of one pod.
const ONCE: [&str; 3] = ["no-resume", "all-pods", "parallel"];

/// The one that means the same dump of the same pod.
pub(super) fn dump(flags: &[OsString], pod: &str, path: &Path) -> String {
    // What looks like a flag is none behind a directory.
    let path = if path.to_string_lossy().starts_with('-') { Path::new(".").join(path) } else { path.to_owned() };
    line(pod, "dumpheap", flags, |name| !ONCE.contains(&name)) + " " + &quoted(&path.to_string_lossy())
}

/// `text` with the command line in it that ends the pod's injectors, as this user has to give it.
pub(super) fn with_clean(text: &str, flags: &[OsString], pod: &str) -> String {
    if !text.contains(ANY_CLEAN) {
        return text.to_owned();
    }
    text.replace(ANY_CLEAN, &line(pod, "clean", flags, |name| WHERE.contains(&name)))
}

fn line(pod: &str, command: &str, flags: &[OsString], wanted: impl Fn(&str) -> bool) -> String {
    let flags = flags.iter().map(|flag| flag.to_string_lossy());
    let flags = flags.filter(|flag| wanted(flag.trim_start_matches('-').split('=').next().unwrap_or_default()));
    let words = [format!("{NAME} pod/{pod} {command}")].into_iter().chain(flags.map(|flag| quoted(&flag)));
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
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
    use super::*;

    #[test]
    fn the_line_that_goes_on_names_pod_and_file_and_keeps_the_flags() {
        let flags = ["--namespace=my shop", "--gzip", "--no-resume", "--all-pods", "--parallel=2"].map(OsString::from);
        assert_eq!(
            dump(&flags, "x", Path::new("it's.hprof")),
            r#"kubectl jattach pod/x dumpheap --namespace='my shop' --gzip "it's.hprof""#
        );
        assert_eq!(dump(&[], "x", Path::new("-x")), "kubectl jattach pod/x dumpheap ./-x");
    }

    #[test]
    fn the_line_that_ends_injectors_names_the_pod_and_keeps_the_flags_that_lead_to_it() {
        let flags = ["--namespace=my shop", "--gzip", "--context=prod", "--wait", "--as=ada"].map(OsString::from);
        assert_eq!(
            with_clean("give it up: `kubectl jattach TARGET clean`", &flags, "x"),
            "give it up: `kubectl jattach pod/x clean --namespace='my shop' --context=prod --as=ada`"
        );
        assert_eq!(with_clean("wait", &flags, "x"), "wait");
    }
}
