//! OpenJ9's side, as its description has it: a process that has mapped a libj9vm, waits for a semaphore, looks whether it is
//! meant, connects, says the key, carries commands out until it is told to detach, and is not woken again before who attaches
//! has given its lock back.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::errno::Errno;

use crate::sysv;

/// Tells this program to be the stand-in, with that fault, or to look for what is left in the semaphore.
pub(crate) const ROLE: &str = "JATTACH_OPENJ9";
pub(crate) const TOKENS: &str = "tokens";
/// Where the common directory is, for who only looks.
pub(crate) const COMMON_AT: &str = "JATTACH_OPENJ9_DIRECTORY";

/// Where JVMs meet.
pub(crate) const COMMON: &str = ".com_ibm_tools_attach";
/// Two that have ended and left their directories: each is counted, and wakes of nothing.
pub(crate) const ENDED: [&str; 2] = ["4711", "4712"];
pub(crate) const SYNC: &str = "attachNotificationSync";

/// What it says that has been woken, has ended its connection, and has begun.
pub(crate) const WOKEN: &str = "WOKEN";
pub(crate) const DETACHED: &str = "DETACHED";
pub(crate) const READY: &str = "READY";

static WAKES: AtomicU32 = AtomicU32::new(0);

/// Not a test: what the others start, by the name of this function.
#[test]
#[ignore = "the process that the other tests attach to"]
fn process() {
    match std::env::var(ROLE).as_deref() {
        Err(_) => {}
        Ok(TOKENS) => say(&format!("{}", has_tokens())),
        Ok(fault) => run(fault),
    }
}

/// Its words go where those of a test's harness do not.
fn say(words: &str) {
    eprintln!("{words}");
}

fn semaphore(common: &Path) -> i32 {
    let seen = fs::metadata(common.join("_notifier")).expect("a file");
    let key = 0xa1 << 24 | (seen.dev() & 0xff) << 16 | seen.ino() & 0xffff;
    let key = u32::try_from(key).expect("32 bits").cast_signed();
    sysv::semget(key, libc::IPC_CREAT | 0o666).expect("a semaphore")
}

fn has_tokens() -> bool {
    let common = PathBuf::from(std::env::var_os(COMMON_AT).expect("a directory"));
    let at_once = i16::try_from(libc::IPC_NOWAIT).expect("a bit");
    match sysv::semop(semaphore(&common), &[(-1, at_once)]) {
        Ok(()) => true,
        Err(errno) => errno != Errno::EAGAIN,
    }
}

fn run(fault: &str) {
    let common = Path::new("/tmp").join(COMMON);
    let own = common.join(std::process::id().to_string());
    make_directory(&common, 0o1777);
    make_file(&common.join("_attachlock"), 0o666);
    make_file(&common.join("_notifier"), 0o666);
    for pid in ENDED {
        make_directory(&common.join(pid), 0o1711);
        make_file(&common.join(pid).join(SYNC), 0o666);
    }
    make_directory(&common.join("no-pid"), 0o1711);
    make_directory(&own, 0o1711);
    make_file(&own.join(SYNC), 0o666);
    let semaphore = semaphore(&common);
    if fault != "asleep" {
        let (own, fault) = (own.clone(), fault.to_owned());
        thread::spawn(move || wait(semaphore, &own, &fault));
    }
    make_file(&own.join("attachInfo"), 0o600);
    say(READY);
    // Each line asks how often it was woken.
    for _ in stdin().lines() {
        say(&WAKES.load(Ordering::SeqCst).to_string());
    }
    std::process::exit(0);
}

fn make_directory(path: &Path, mode: u32) {
    // Another that shares its /tmp may have been first.
    fs::create_dir_all(path).expect("made");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its own");
}

fn make_file(path: &Path, mode: u32) {
    File::options().write(true).create(true).truncate(false).open(path).expect("made");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its own");
}

/// The loop of the thread that waits to be attached to.
fn wait(semaphore: i32, own: &Path, fault: &str) {
    loop {
        sysv::semop(semaphore, &[(-1, 0)]).expect("woken");
        WAKES.fetch_add(1, Ordering::SeqCst);
        say(WOKEN);
        if let Ok(info) = fs::read_to_string(own.join("replyInfo")) {
            let mode = fs::metadata(own.join("replyInfo")).map(|seen| seen.mode() & 0o7777);
            assert!(mode.is_err() || mode.is_ok_and(|mode| mode == 0o600), "it holds a secret");
            let fault = fault.to_owned();
            thread::spawn(move || attached(&info, &fault));
        }
        // Whoever attaches has it as long as there may be something in the semaphore for another JVM.
        File::open(own.join(SYNC)).expect("its own").lock().expect("given back");
    }
}

fn attached(info: &str, fault: &str) {
    let (key, rest) = info.split_once('\n').expect("two lines");
    assert!(key.len() == 16 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{info:?}");
    let port = rest.strip_suffix('\n').expect("a line").parse().expect("a port");
    if fault == "does not connect" {
        return;
    }
    let stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port));
    let mut stream = stream.or_else(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port))).expect("somebody listens");
    let said = if fault == "wrong key" { "fedcba9876543210" } else { key };
    stream.write_all(format!("ATTACH_CONNECTED {said} \0").as_bytes()).expect("taken");
    match fault {
        "dies when connected" => std::process::exit(1),
        "hangs up" => return,
        _ => {}
    }
    let mut commands = BufReader::new(stream.try_clone().expect("a descriptor"));
    loop {
        let mut command = Vec::new();
        commands.read_until(0, &mut command).expect("a command");
        if command.pop() != Some(0) {
            return;
        }
        if command == b"ATTACH_DETACHED" {
            stream.write_all(b"ATTACH_DETACHED\0").expect("it is waited for");
            assert_eq!(commands.read(&mut [0]).expect("an end"), 0);
            return say(DETACHED);
        }
        let answer = crate::table::answer(&String::from_utf8(command).expect("text"), fault);
        let answer = answer.as_bytes();
        // Whoever has gone by then has heard enough.
        let _ = match fault {
            "half a reply" => return drop(stream.write_all(&answer[..answer.len() - 3])),
            "text without end" => pour(&mut stream, crate::table::BEFORE_THE_TEXT.as_bytes()),
            "noise after the text" => pour(&mut stream, &answer[..answer.len() - 1]),
            "nothing but noise" => pour(&mut stream, b""),
            _ => stream.write_all(answer),
        };
    }
}

/// Says that, and goes on until nobody hears it.
fn pour(stream: &mut TcpStream, beginning: &[u8]) -> std::io::Result<()> {
    stream.write_all(beginning)?;
    loop {
        stream.write_all(&[b'x'; 4096])?;
    }
}
