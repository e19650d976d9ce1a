//! `completion`: a real shell with the real script, and what `install` leaves behind.

use std::path::Path;
use std::process::Command;

const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-jattach");

/// The plugin alone, as a user has it in PATH.
fn installed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(PLUGIN, folder.path().join("kubectl-jattach")).expect("a link");
    folder
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn bash_offers_what_the_plugin_knows() {
    let folder = installed();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let offered = |words: &str, current: &str| {
        // What bash calls the word at the cursor, where that is a break between two.
        let word = if matches!(current, "=" | ":") { "" } else { current };
        let lines = format!(
            "source <(kubectl-jattach completion bash) && complete -p kubectl-jattach >&2\n\
             COMP_WORDS=(kubectl-jattach {words} {current}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9\n\
             [ -n '{current}' ] || {{ COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)); }}\n\
             _clap_complete_kubectl_jattach kubectl-jattach '{word}'\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let (code, stdout, stderr) = output(Command::new("bash").args(["--norc", "-c", &lines]).env("PATH", &path));
        assert!(code == Some(0) && stderr.contains("-F _clap_complete_kubectl_jattach kubectl-jattach"), "{stderr}");
        stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("pod/x", "du"), ["dumpheap"]);
    assert_eq!(offered("-n shop pod/x jcmd", "GC.heap_"), ["GC.heap_dump", "GC.heap_info"]);
    assert_eq!(offered("pod/x dumpheap", "--gz"), ["--gzip"]);
    // As bash breaks them.
    assert_eq!(offered("--context = prod pod/x", "du"), ["dumpheap"]);
    assert_eq!(offered("--context = arn : aws : eks pod/x", "du"), ["dumpheap"]);
    assert_eq!(offered("pod/x dumpheap --redact =", "a"), ["arrays", "all"]);
    assert_eq!(offered("pod/x dumpheap --redact", "="), ["text", "arrays", "all"]);
    assert_eq!(offered("-l app = x", "thr"), ["threaddump"]);
    assert_eq!(offered("--kubeconfig /dev/null --context arn : aws", ":"), [""]);
    assert!(offered("-l app = x", "").contains(&"threaddump".to_owned()));
}

#[test]
fn what_is_installed_completes_for_the_shell_and_for_kubectl() {
    let (folder, home) = (installed(), tempfile::tempdir().expect("a directory"));
    let plugin = folder.path().join("kubectl-jattach");
    let install = |shell: &str| {
        let mut command = Command::new(&plugin);
        let _ = command.args(["completion", "install", shell]).env_clear().env("HOME", home.path());
        output(command.env("PATH", folder.path()))
    };
    for (shell, script) in [
        ("bash", ".local/share/bash-completion/completions/kubectl-jattach"),
        ("zsh", ".local/share/zsh/site-functions/_kubectl-jattach"),
        ("fish", ".config/fish/completions/kubectl-jattach.fish"),
        ("powershell", ".config/powershell/kubectl-jattach.ps1"),
    ] {
        let (code, stdout, stderr) = install(shell);
        assert!(code == Some(0) && stdout.is_empty() && stderr.contains(script), "{shell}: {stderr}");
        let printed = output(Command::new(&plugin).args(["completion", shell]));
        assert_eq!(std::fs::read_to_string(home.path().join(script)).expect("it is there"), printed.1, "{shell}");
    }
    let completer = folder.path().join("kubectl_complete-jattach");
    let asked = |words: &[&str]| output(Command::new(&completer).args(words).env("KUBECONFIG", Path::new("/dev/null")));
    let (code, stdout, stderr) = asked(&["pod/x", "verif"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), ":4\n", ""));
    let (_, stdout, _) = asked(&["verif"]);
    assert!(stdout.starts_with("verify\t") && stdout.ends_with("\n:4\n"), "{stdout}");
    // A cluster that cannot be asked is no reason to write upon a prompt.
    assert_eq!(asked(&["pod/"]), (Some(0), ":4\n".to_owned(), String::new()));
}

#[test]
fn a_credential_plugin_says_nothing_on_the_terminal_where_the_line_is_typed() {
    let folder = installed();
    let kubeconfig = folder.path().join("config");
    let user = "{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, \
                command: sh, args: [-c, 'echo hear me >&2; exit 1']}}}";
    let text = format!(
        "{{clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}], users: [{user}], \
         contexts: [{{name: x, context: {{cluster: c, user: u}}}}], current-context: x}}"
    );
    std::fs::write(&kubeconfig, text).expect("a file");
    let on_a_terminal = |line: &str| {
        let mut script = Command::new("script");
        let _ = script.args(["--quiet", "--return", "--command", line, "/dev/null"]).env("KUBECONFIG", &kubeconfig);
        output(script.current_dir(folder.path())).1
    };
    // Whoever runs a command is told.
    assert!(on_a_terminal("./kubectl-jattach pod/x ps").contains("hear me"));
    std::os::unix::fs::symlink(PLUGIN, folder.path().join("kubectl_complete-jattach")).expect("a link");
    assert_eq!(on_a_terminal("./kubectl_complete-jattach pod/"), ":4\r\n");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a directory");
    let kubeconfig = folder.path().join("config");
    let text = format!(
        "{{clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}], users: [{{name: u}}], \
         contexts: [{{name: x, context: {{cluster: c, user: u}}}}], current-context: x}}",
        server.local_addr().expect("an address")
    );
    std::fs::write(&kubeconfig, text).expect("a file");
    let completer = folder.path().join("kubectl_complete-jattach");
    std::os::unix::fs::symlink(PLUGIN, &completer).expect("a link");
    let asked = std::thread::spawn(move || output(Command::new(completer).arg("pod/").env("KUBECONFIG", kubeconfig)));
    // It is connected to, and hears nothing; that it comes to an end is what is tested.
    let _connection = server.accept().expect("it asks");
    assert_eq!(asked.join().expect("it ends"), (Some(0), ":4\n".to_owned(), String::new()));
}
