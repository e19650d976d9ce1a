//! As a plugin of kubectl.

use std::env;
use std::os::unix::fs::symlink;

use jattach_e2e::{Namespace, Program, cluster};
use tempfile::{TempDir, tempdir};

/// A folder for PATH with the plugin in it.
fn installed() -> TempDir {
    let folder = tempdir().expect("a directory");
    symlink(&cluster().plugin, folder.path().join("kubectl-jattach")).expect("a link");
    folder
}

/// kubectl with that folder in PATH, and no other that has a plugin of that name, told nothing.
fn kubectl(folder: &TempDir) -> Program {
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).filter(|folder| !folder.join("kubectl-jattach").exists());
    let folders = std::iter::once(folder.path().to_owned()).chain(others);
    Program::new(&cluster().kubectl).env("PATH", env::join_paths(folders).expect("folders"))
}

#[test]
fn kubectl_runs_the_plugin_and_passes_its_exit_code_on() {
    let folder = installed();
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let run = |words: &[&str]| {
        let kubectl = kubectl(&folder).env("KUBECONFIG", &cluster().kubeconfig).arg("jattach");
        let kubectl = match &cluster().context {
            Some(context) => kubectl.args(["--context", context]),
            None => kubectl,
        };
        let image = ["--image", &cluster().injector_image, "--image-pull-policy", &cluster().pull_policy];
        kubectl.args(image).args(["-n", &namespace.name]).args(words).run()
    };
    let _ = run(&["pod/x", "ps"]).succeeded().prints("App");
    let _ = run(&["pod/x", "jcmd", "VM.version"]).succeeded().prints("JDK ");
    let _ = run(&["pod/x", "jcmd", "No.such_command"]).ended_with(7).is_error("JAT-012.no-such-command");
    let _ = run(&["pod/nope", "ps"]).ended_with(3).is_error("JAT-103.no-such-pod");
    let _ = run(&["pod/x", "nonsense"]).ended_with(2);
}

/// What kubectl offers for the last of these words: the candidates without their descriptions, and its own last line.
fn offered(folder: &TempDir, words: &[&str]) -> (Vec<String>, String) {
    let ran =
        kubectl(folder).env("KUBECONFIG", &cluster().kubeconfig).args(["__complete", "jattach"]).args(words).run();
    let ran = ran.succeeded();
    let mut lines: Vec<String> =
        ran.text().lines().map(|line| line.split('\t').next().unwrap_or(line).to_owned()).collect();
    let directive = lines.pop().unwrap_or_default();
    (lines, directive)
}

#[test]
fn kubectl_completes_the_plugins_words_and_nothing_is_added_to_a_pod_for_it() {
    let folder = installed();
    symlink("kubectl-jattach", folder.path().join("kubectl_complete-jattach")).expect("a link");
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let context = cluster().context.iter().map(|context| format!("--context={context}"));
    let flags: Vec<String> = context.chain(["-n".to_owned(), namespace.name.clone()]).collect();
    let offered = |words: &[&str]| {
        let words: Vec<&str> = flags.iter().map(String::as_str).chain(words.iter().copied()).collect();
        offered(&folder, &words)
    };
    assert_eq!(offered(&["pod/"]), (vec!["pod/x".to_owned()], ":4".to_owned()));
    let (first, _) = offered(&[""]);
    for word in ["x", "pod/", "deploy/", "verify"] {
        assert!(first.contains(&word.to_owned()), "{word}: {first:?}");
    }
    assert_eq!(offered(&["pod/x", "-c", ""]).0, ["app"]);
    assert_eq!(offered(&["pod/x", "jcmd", "VM.ver"]).0, ["VM.version"]);
    assert!(offered(&["-n", &namespace.name[..namespace.name.len() - 1]]).0.contains(&namespace.name));
    assert!(pod.ephemeral_containers().is_empty(), "a completion has started an injector");
    // What cannot be known is nothing, and no error on the prompt.
    assert_eq!(offered(&["pod/nope", "-c", ""]), (Vec::new(), ":4".to_owned()));
}

#[test]
fn kubectl_lists_the_plugin_without_a_warning() {
    let folder = installed();
    let ran = kubectl(&folder).args(["plugin", "list"]).run().succeeded();
    let ran = ran.prints(&folder.path().join("kubectl-jattach").display().to_string());
    let about_us = ran.stderr.lines().filter(|line| line.contains("jattach")).count();
    assert_eq!(about_us, 0, "{ran}");
}
