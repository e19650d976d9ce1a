//! Programs, run with a limit on their time, and what came of them.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// The longest that any single program may take; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A program to run, and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    stdin: Vec<u8>,
}

impl Program {
    /// A program without arguments, in this process's environment.
    #[must_use]
    pub fn new(program: &Path) -> Program {
        Program {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            stdin: Vec::new(),
        }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Program {
        self.environment.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Program {
        self.environment.push((name.into(), None));
        self
    }

    /// The working directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Program {
        self.directory = Some(directory.to_owned());
        self
    }

    /// What it reads from its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.stdin = bytes.into();
        self
    }

    /// The same, started by another program: the last words of that.
    #[must_use]
    pub fn under(self, starter: Program) -> Program {
        let starter = starter.arg(&self.program).args(self.arguments);
        Program { program: starter.program, arguments: starter.arguments, ..self }
    }

    /// The same with a terminal of its own, whose output is stdout then (util-linux's `script`); none where there is no such
    /// program.
    #[must_use]
    pub fn on_a_terminal(self) -> Option<Program> {
        const SCRIPT: &str = "/usr/bin/script";
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
        let words = std::iter::once(self.program.as_os_str()).chain(self.arguments.iter().map(OsString::as_os_str));
        let line = words.map(quoted).collect::<Vec<_>>().join(" ");
        let program = Program { program: SCRIPT.into(), arguments: Vec::new(), ..self };
        let program = program.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
        Path::new(SCRIPT).exists().then_some(program)
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or does not end.
    #[must_use]
    pub fn run(self) -> Ran {
        self.start().wait()
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(self) -> Running {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let line = self.line();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.stdin;
        // On a thread of its own: a program may end before it has read everything, or speak before it reads.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = read_to_end(child.stderr.take().expect("stderr is piped"));
        Running { line, child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// As a person would type it.
    fn line(&self) -> String {
        let mut line = self.program.display().to_string();
        for argument in &self.arguments {
            let _ = write!(line, " {}", argument.display());
        }
        line
    }
}

fn read_to_end(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read up to a failure is what there is.
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// A program that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<Receiver<Vec<u8>>>,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn wait(mut self) -> Ran {
        let stdout = self.stdout.take().map(read_to_end);
        let (stdout, stderr) = (self.rest(stdout), self.stderr.take());
        let stderr = self.rest(stderr);
        let status = self.child.wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.line));
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ran { line: std::mem::take(&mut self.line), status, stdout, stderr }
    }

    /// Waits for its end, and reads nothing of its standard output meanwhile, which stays open.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn wait_unread(mut self) -> Ran {
        let _unread = self.stdout.take();
        self.wait()
    }

    fn rest(&mut self, from: Option<Receiver<Vec<u8>>>) -> Vec<u8> {
        let Some(from) = from else { return Vec::new() };
        match from.recv_timeout(LIMIT) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Disconnected) => Vec::new(),
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                let stderr = self.stderr.take().and_then(|stderr| stderr.recv_timeout(LIMIT).ok()).unwrap_or_default();
                let stderr = String::from_utf8_lossy(&stderr).into_owned();
                panic!("{} did not end within {} s\nstderr:\n{stderr}", self.line, LIMIT.as_secs());
            }
        }
    }

    /// The first line of its standard output that is wanted; `None` if it ends without one.
    ///
    /// # Panics
    /// If neither comes within the limit.
    pub fn line_with(&mut self, wanted: &str) -> Option<String> {
        let stdout = self.stdout.take()?;
        let (sender, receiver) = channel();
        let wanted = wanted.to_owned();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let _ = sender.send(lines.find(|line| line.contains(&wanted)));
            // Read on, or the program would stand still.
            lines.for_each(drop);
        });
        match receiver.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(_) => panic!("{} printed no such line within {} s", self.line, LIMIT.as_secs()),
        }
    }

    /// Its standard output, to be read elsewhere.
    ///
    /// # Panics
    /// If somebody reads it already.
    #[must_use]
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("nobody reads its stdout")
    }

    /// Reads no more of its standard output.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended already.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.line));
    }

    /// kill -9, and its end.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // One that has ended already is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ran {
    line: String,
    status: ExitStatus,
    stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// Its exit code; `None` where a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Its standard output, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// Checks that it ended with exit code 0.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    #[must_use]
    pub fn succeeded(self) -> Ran {
        self.ended_with(0)
    }

    /// Checks its exit code.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    #[must_use]
    pub fn ended_with(self, code: i32) -> Ran {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// Checks that its standard output contains a text.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn prints(self, text: &str) -> Ran {
        assert!(self.text().contains(text), "{text:?} is not on stdout\n{self}");
        self
    }

    /// Checks that its standard error contains a text.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "{text:?} is not on stderr\n{self}");
        self
    }

    /// Checks that a failure of the plugin names cause, evidence and remedy, in this order, on one screen, and nothing
    /// in the words of the program's own types.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn explains(self) -> Ran {
        let places = ["error[JAT-", "evidence: ", "remedy: "].map(|label| self.stderr.find(label));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{self}");
        assert!(self.stderr.lines().count() <= 24, "more than a screen\n{self}");
        assert!(!self.stderr.contains("ErrorResponse") && !self.stderr.contains("Some("), "{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ran { line, status, stdout, stderr } = self;
        let shown = String::from_utf8_lossy(&stdout[..stdout.len().min(4000)]);
        write!(f, "$ {line}\n{status}\nstdout ({} bytes):\n{shown}\nstderr:\n{stderr}", stdout.len())
    }
}
