//! `completion`: the script by which a shell completes `kubectl-jattach …`, and the link by which kubectl completes
//! `kubectl jattach …`. Both ask this program for what the word may be (`complete.rs`).

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::env::{Bash, EnvCompleter, Fish, Powershell, Zsh};

use crate::catalogue::Id;
use crate::complete::{COMPLETER, VARIABLE};
use crate::error::{Failure, Result};
use crate::kubectl::quoted;
use crate::options::Shell;
use crate::render::Notes;
use crate::render::stdout::print;

/// What the shell completes, and asks: it finds it in PATH, wherever a newer version of it lies one day.
const PROGRAM: &str = "kubectl-jattach";

/// Prints the script.
///
/// # Errors
/// Those of standard output.
pub(super) fn script(shell: Shell) -> anyhow::Result<()> {
    Ok(print(&text(shell)?, &mut io::stdout())?)
}

/// Installs the script of `shell`, or of $SHELL, and the link.
///
/// # Errors
/// 1 where one of them cannot be written, 2 where no shell is known.
pub(super) fn install(shell: Option<Shell>, quiet: bool) -> anyhow::Result<()> {
    let notes = Notes::new(quiet);
    let shell = shell.map_or_else(|| of_user(env::var_os("SHELL").as_deref()), Ok)?;
    let places = Places::of_environment(env::home_dir(), |name| env::var_os(name))?;
    let path = places.script(shell);
    put(&path, &text(shell)?)?;
    notes.say(&format!("{}: completes {PROGRAM}{}", path.display(), then(shell, &path)));
    let programs = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let link = link(&programs)?;
    let kubectl = shell.name();
    notes.say(&format!(
        "{}: completes \"kubectl jattach\", where kubectl's own completion is on (kubectl completion {kubectl})",
        link.display()
    ));
    Ok(())
}

impl Shell {
    fn name(self) -> &'static str {
        self.completer().name()
    }

    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
            Shell::Powershell => &Powershell,
        }
    }
}

/// The script.
fn text(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    let written = shell.completer().write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
    let text = written
        .map_err(|error| error.to_string())
        .and_then(|()| String::from_utf8(script).map_err(|error| error.to_string()));
    let text =
        text.map_err(|error| Failure::new(Id::Other, "the script cannot be made").evidence(error).remedy("report it"))?;
    Ok(match shell {
        // Behind `=` or `:` bash completes an empty word, and the word at the cursor is what it has broken the line at.
        Shell::Bash => text.replace(OF_BASH, &format!("[[ -z \"$2\" ]] || {OF_BASH}")),
        // zsh reads the file when the first word is completed, and wants that one answered, too.
        Shell::Zsh => text + OF_ZSH,
        Shell::Fish => text,
        Shell::Powershell => OF_POWERSHELL.replace("PROGRAM", PROGRAM).replace("VARIABLE", VARIABLE),
    })
}

const OF_BASH: &str = "words[COMP_CWORD]=\"$2\"";
const OF_ZSH: &str = "
if [ \"$funcstack[1]\" = \"_kubectl-jattach\" ]; then
    _clap_dynamic_completer_kubectl_jattach \"$@\"
fi
";
/// clap_complete's would run what stands on the line in `$(…)`.
const OF_POWERSHELL: &str = r#"
Register-ArgumentCompleter -Native -CommandName PROGRAM -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The words as they stand: nothing on the line is run before it is entered.
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    $index = $words.Count
    if ($wordToComplete -ne '') {
        $index = $index - 1
        $words[$index] = $wordToComplete
    }
    $before = $env:VARIABLE, $env:_CLAP_COMPLETE_INDEX
    try {
        # An empty word is not passed on by every PowerShell: the index says that it is there.
        $env:VARIABLE, $env:_CLAP_COMPLETE_INDEX = 'powershell', $index
        $results = & PROGRAM '--' $words
    } finally {
        $env:VARIABLE, $env:_CLAP_COMPLETE_INDEX = $before
    }
    $results | Where-Object { $_ } | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
"#;

/// What is left to do before the shell reads it.
fn then(shell: Shell, path: &Path) -> String {
    let folder = quoted(&path.parent().unwrap_or(Path::new("")).to_string_lossy());
    match shell {
        Shell::Bash => ", in new shells with the package bash-completion".to_owned(),
        Shell::Fish => ", in new shells".to_owned(),
        Shell::Zsh => format!(", once \"fpath=({folder} $fpath)\" stands before compinit in ~/.zshrc"),
        Shell::Powershell => {
            format!(", once \". '{}'\" stands in $PROFILE", path.display().to_string().replace('\'', "''"))
        }
    }
}

/// The shell that the user has.
fn of_user(shell: Option<&OsStr>) -> Result<Shell> {
    let name = shell.and_then(|path| Path::new(path).file_stem()).map(|name| name.to_string_lossy().into_owned());
    let known = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell];
    match (known.into_iter().find(|shell| name.as_deref() == Some(shell.name())), name) {
        (Some(shell), _) => Ok(shell),
        (None, None) if cfg!(windows) => Ok(Shell::Powershell),
        (None, name) => Err(Failure::usage("which shell it is for is not known")
            .evidence(format!("$SHELL is {}", name.unwrap_or_else(|| "not set".to_owned())))
            .remedy("kubectl jattach completion install bash|zsh|fish|powershell")),
    }
}

/// Where a user's own files are.
struct Places {
    data: PathBuf,
    config: PathBuf,
    /// bash-completion's own, if that is set.
    bash: Option<PathBuf>,
}

impl Places {
    fn of_environment(home: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Places> {
        let home = home.ok_or_else(|| {
            Failure::usage("there is no home directory to install it in")
                .remedy("kubectl jattach completion SHELL prints it")
        })?;
        let named = |name| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        Ok(Places {
            data: named("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share")),
            config: named("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            // A list, of which bash-completion looks into each.
            bash: variable("BASH_COMPLETION_USER_DIR")
                .and_then(|list| env::split_paths(&list).find(|folder| folder.is_absolute())),
        })
    }

    fn script(&self, shell: Shell) -> PathBuf {
        let Places { data, config, bash } = self;
        match shell {
            // Loaded by the command's name when that is completed for the first time.
            Shell::Bash => {
                bash.clone().unwrap_or_else(|| data.join("bash-completion")).join("completions").join(PROGRAM)
            }
            Shell::Zsh => data.join("zsh/site-functions").join(format!("_{PROGRAM}")),
            Shell::Fish => config.join("fish/completions").join(format!("{PROGRAM}.fish")),
            Shell::Powershell => config.join("powershell").join(format!("{PROGRAM}.ps1")),
        }
    }
}

fn put(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).map_err(|error| unwritable(path, &error))
}

/// Beside the plugin, where kubectl finds both; under the plugin's name there, which stays when a new version comes.
fn link(programs: &[PathBuf]) -> Result<PathBuf> {
    let (program, completer) =
        (format!("{PROGRAM}{}", env::consts::EXE_SUFFIX), format!("{COMPLETER}{}", env::consts::EXE_SUFFIX));
    let folder = programs.iter().find(|folder| folder.join(&program).is_file()).ok_or_else(|| {
        Failure::new(Id::CannotWrite, format!("{PROGRAM} is in no directory of PATH, where kubectl would look for it"))
            .evidence(env::join_paths(programs).unwrap_or_default().to_string_lossy())
            .remedy("put it into one of them")
    })?;
    let path = folder.join(completer);
    make(Path::new(&program), folder, &path).map_err(|error| unwritable(&path, &error))?;
    Ok(path)
}

/// A link that is there leads to whatever version is beside it; what is no such link is somebody else's.
#[cfg(unix)]
fn make(program: &Path, _folder: &Path, path: &Path) -> io::Result<()> {
    match fs::read_link(path) {
        Ok(to) if to == program => Ok(()),
        _ => std::os::unix::fs::symlink(program, path),
    }
}

/// Who may make symbolic links there is for an administrator to say.
#[cfg(not(unix))]
fn make(program: &Path, folder: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::hard_link(folder.join(program), path).or_else(|_| fs::copy(folder.join(program), path).map(drop))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Id::CannotWrite, format!("cannot write {}", path.display())).evidence(error.to_string()).remedy(
        "do it as a user who may write there; `kubectl jattach completion SHELL` prints the script, and a link to \
         kubectl-jattach named kubectl_complete-jattach may lie in any directory of PATH",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shell; 4] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell];

    #[test]
    fn each_script_asks_the_plugin_under_the_variable_that_it_listens_to() {
        for shell in ALL {
            let text = text(shell).expect("a script");
            assert!(text.contains(VARIABLE) && text.contains(PROGRAM), "{shell:?}: {text}");
            // Nothing of the machine that it was printed on.
            assert!(!text.contains("target/") && !text.contains("/home"), "{shell:?}: {text}");
            assert!(!text.contains("Invoke-Expression"), "{shell:?} would run what stands on the line: {text}");
        }
        assert!(text(Shell::Bash).expect("a script").contains(r#"[[ -z "$2" ]] || words[COMP_CWORD]="$2""#));
        assert!(text(Shell::Zsh).expect("a script").contains("function _clap_dynamic_completer_kubectl_jattach"));
    }

    #[test]
    fn each_shell_has_a_place_of_its_own_that_the_environment_may_move() {
        let home = env::temp_dir().join("home");
        let usual = Places::of_environment(Some(home.clone()), |_| None).expect("a home");
        let moved =
            |name: &str| matches!(name, "XDG_DATA_HOME" | "XDG_CONFIG_HOME").then(|| env::temp_dir().join(name).into());
        let moved = Places::of_environment(Some(home.clone()), moved).expect("a home");
        for shell in ALL {
            assert!(usual.script(shell).starts_with(&home), "{shell:?}");
            let script = moved.script(shell);
            assert!(!script.starts_with(&home) && script.is_absolute(), "{}", script.display());
        }
        assert!(usual.script(Shell::Bash).ends_with(".local/share/bash-completion/completions/kubectl-jattach"));
        assert!(Places::of_environment(None, |_| None).is_err());
    }

    #[test]
    fn the_users_shell_is_the_one_that_the_environment_names() {
        assert_eq!(of_user(Some(OsStr::new("/usr/bin/fish"))).expect("known"), Shell::Fish);
        let failure = of_user(Some(OsStr::new("/bin/tcsh"))).expect_err("unknown");
        assert!(failure.evidence.contains("tcsh") && failure.remedy.contains("bash|zsh"), "{failure}");
    }

    #[cfg(unix)]
    #[test]
    fn the_link_lies_beside_the_plugin_and_outlives_a_new_version_of_it() {
        let [empty, folder] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        fs::write(folder.path().join(PROGRAM), "old").expect("a file");
        let programs = [empty.path().to_owned(), folder.path().to_owned()];
        for version in ["new", "newer"] {
            let path = link(&programs).expect("a link");
            assert_eq!(path, folder.path().join(COMPLETER));
            fs::remove_file(folder.path().join(PROGRAM)).expect("it was there");
            fs::write(folder.path().join(PROGRAM), version).expect("a file");
            assert_eq!(fs::read_to_string(&path).expect("it leads there"), version);
        }
        assert_eq!(link(&programs[..1]).expect_err("no plugin there").id, Id::CannotWrite);
        let path = folder.path().join(COMPLETER);
        fs::remove_file(&path).expect("it was there");
        fs::write(&path, "somebody's own").expect("a file");
        assert_eq!(link(&programs).expect_err("not ours").id, Id::CannotWrite);
        assert_eq!(fs::read_to_string(&path).expect("it is left"), "somebody's own");
    }
}
