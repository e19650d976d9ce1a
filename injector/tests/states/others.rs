//! Programs that are no JVM: SIGQUIT ends most of them, and some tell of it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::{Expected, Health, Missing, State, Subject};
use crate::process::{mortal, send, stop};
use crate::rest::{has_pending_sigquit, serves, settle};

const NO_JVM: Expected = Expected::Refused("is no HotSpot JVM");

/// Says that it runs, and then whatever it is told.
const ECHO: &str = "echo READY; while read line; do echo $line; done";
/// The same, and tells of SIGQUIT instead of ending.
const TELLTALE: &str = "trap 'echo SIGQUIT' QUIT; echo READY; while read line; do echo $line; done";

/// The states, by name.
pub(crate) fn states() -> Vec<State> {
    vec![
        State::new("shell", NO_JVM, || Ok(Box::new(shell(ECHO)))),
        State::new("shell that handles SIGQUIT", NO_JVM, || Ok(Box::new(shell(TELLTALE)))),
        State::new("program called java", NO_JVM, called_java),
        State::new("stopped shell", Expected::Refused("is stopped"), stopped_shell),
        State::new("native image", Expected::Refused("is a GraalVM native image"), native_image),
        State::new("zombie", Expected::Refused(" ended"), zombie),
        State::new("Go", NO_JVM, go),
        State::new("nginx", NO_JVM, Nginx::start),
    ]
}

fn shell(script: &str) -> Program {
    Program::start(mortal("sh").args(["-c", script]))
}

fn called_java() -> Result<Box<dyn Subject>, Missing> {
    let called_so = r#"exec -a /opt/jdk/bin/java sh -c "$0""#;
    Ok(Box::new(Program::start(mortal("bash").args(["-c", called_so, ECHO]))))
}

/// A shell whose executable says of itself that it is one: GraalVM is at hand nowhere.
fn native_image() -> Result<Box<dyn Subject>, Missing> {
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let (bytes, path) = (folder.path().join("bytes"), folder.path().join("image"));
    std::fs::write(&bytes, with_heap(std::fs::read("/bin/sh").expect("a shell"))).expect("written");
    // By another process: what this one holds open for writing, the child of a parallel test holds, too, until it executes
    // something, and what anybody holds open for writing is not executed.
    let copied = Command::new("install").arg("--mode=755").args([&bytes, &path]).status().expect("install");
    assert!(copied.success());
    Ok(Box::new(Program::start(mortal(path).args(["-c", ECHO]))))
}

/// The executable with two sections instead of its own, which who runs it does not look at: `.svm_heap`, and their names.
fn with_heap(mut executable: Vec<u8>) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.svm_heap\0";
    let names = executable.len().next_multiple_of(64);
    executable.resize(names, 0);
    executable.extend_from_slice(NAMES);
    let table = executable.len().next_multiple_of(64);
    executable.resize(table + 2 * 64, 0);
    let mut put = |offset: usize, bytes: &[u8]| executable[offset..offset + bytes.len()].copy_from_slice(bytes);
    // sh_name of the first section; sh_offset and sh_size of the second.
    put(table, &1_u32.to_le_bytes());
    put(table + 64 + 0x18, &(names as u64).to_le_bytes());
    put(table + 64 + 0x20, &(NAMES.len() as u64).to_le_bytes());
    // e_shoff, e_shnum and e_shstrndx.
    put(0x28, &(table as u64).to_le_bytes());
    put(0x3c, &2_u16.to_le_bytes());
    put(0x3e, &1_u16.to_le_bytes());
    executable
}

fn stopped_shell() -> Result<Box<dyn Subject>, Missing> {
    let mut shell = shell(TELLTALE);
    stop(shell.pid());
    shell.stopped = true;
    Ok(Box::new(shell))
}

/// The program that this variable names.
fn named(variable: &str) -> Result<OsString, Missing> {
    std::env::var_os(variable).ok_or_else(|| Missing::Program(format!("{variable} names none")))
}

/// kubectl, linked statically, that serves on loopback.
fn go() -> Result<Box<dyn Subject>, Missing> {
    let kubectl = named("JATTACH_KUBECTL")?;
    let mut command = mortal(kubectl);
    command.args(["proxy", "--port=0", "--kubeconfig=/dev/null"]);
    // Where it is to die it tells all its goroutines.
    let mut proxy = Program::start(command.stderr(Stdio::null()));
    let address = proxy.first_line.trim_end().rsplit(' ').next().map(String::from);
    proxy.address = Some(address.expect("it says where it serves"));
    Ok(Box::new(proxy))
}

/// A program that says when it runs; killed when dropped.
struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
    first_line: String,
    stopped: bool,
    /// Where it serves HTTP. Otherwise it repeats what it is told.
    address: Option<String>,
}

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first_line = String::new();
        lines.read_line(&mut first_line).expect("its output");
        assert!(!first_line.is_empty(), "{command:?} ended at once");
        Program { child, lines, first_line, stopped: false, address: None }
    }

    /// What it says up to the answer, or to its end.
    fn answer(&mut self) -> String {
        if let Some(address) = &self.address {
            return if serves(address) { ANSWER.to_string() } else { String::new() };
        }
        // One that is dead takes nothing; it has an exit status, too.
        let _ = self.child.stdin.as_mut().expect("piped").write_all(ANSWER.as_bytes());
        let mut said = String::new();
        while self.lines.read_line(&mut said).expect("its output") > 0 && !said.ends_with(ANSWER) {}
        said
    }
}

/// What a program is told that repeats it.
const ANSWER: &str = "well?\n";

impl Subject for Program {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It is spoken to, and told to end. A signal that came before has ended it by then, or makes it say more.
    fn health(mut self: Box<Self>) -> Health {
        if self.stopped {
            if has_pending_sigquit(self.pid()) {
                return Health::Signalled("SIGQUIT was sent to it while it stood still".to_string());
            }
            send(self.pid(), Signal::SIGCONT);
        }
        settle(self.pid());
        let mut said = self.answer();
        send(self.pid(), Signal::SIGTERM);
        self.lines.read_to_string(&mut said).expect("its output");
        let status = self.child.wait().expect("a child");
        if status.signal() != Some(Signal::SIGTERM as i32) {
            return Health::Dead(format!("{status}, and before that {said:?}"));
        }
        if said == ANSWER { Health::Well } else { Health::Signalled(format!("it said {said:?}")) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that has ended, and whose parent, this one, has not looked after it.
struct Zombie(Child);

fn zombie() -> Result<Box<dyn Subject>, Missing> {
    let child = Command::new("true").spawn().expect("started");
    let id = Id::Pid(Pid::from_raw(child.id().cast_signed()));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("a child");
    Ok(Box::new(Zombie(child)))
}

impl Subject for Zombie {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// No signal changes anything of a process that has ended.
    fn health(mut self: Box<Self>) -> Health {
        let status = self.0.wait().expect("a child");
        if status.success() { Health::Well } else { Health::Dead(format!("{status}")) }
    }
}

/// A server that takes SIGQUIT for a request to end, and notes each signal in its log.
struct Nginx {
    _folder: TempDir,
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Nginx {
    fn start() -> Result<Box<dyn Subject>, Missing> {
        let nginx = named("JATTACH_NGINX")?;
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = folder.path().join("nginx.conf");
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {path}/{name};\n")).collect();
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr notice; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen unix:{path}/socket; }} }}\n"
        );
        std::fs::write(&configuration, text).expect("written");
        let mut child = mortal(nginx)
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(configuration)
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("built by") && !line.contains("OS: ") {
            line.clear();
            assert!(log.read_line(&mut line).expect("its log") > 0, "nginx ended at once");
        }
        Ok(Box::new(Nginx { _folder: folder, child, log }))
    }
}

impl Subject for Nginx {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn health(mut self: Box<Self>) -> Health {
        settle(self.pid());
        send(self.pid(), Signal::SIGTERM);
        let mut log = String::new();
        self.log.read_to_string(&mut log).expect("its log");
        self.child.wait().expect("a child");
        if log.contains("SIGTERM") && !log.contains("SIGQUIT") {
            return Health::Well;
        }
        Health::Dead(format!("its log says {log:?}"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
