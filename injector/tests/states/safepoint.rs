//! A JVM that stands still: it writes at a safepoint, into FIFOs that nobody reads, as long as nobody does. That is a heap dump;
//! JDK 8, which writes none into a FIFO, counts its objects into the log of a collection.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::container::{Jvm, Launch};
use crate::harness::{Health, Subject};
use crate::injector;
use crate::jvms::listening;

/// See the module.
struct StandingStill {
    jvm: Box<Jvm>,
    dump: Option<Dump>,
    goes_on: Option<JoinHandle<()>>,
}

/// What is under way: the injector that has asked for it, and the FIFOs. Only for a heap dump of JDK 22 and newer it is both.
struct Dump {
    injector: Child,
    fifos: [File; 2],
}

/// A JVM that stands still when this returns.
pub(crate) fn start() -> Box<dyn Subject> {
    let jvm = listening();
    let help = injector(jvm.pid(), &["jcmd", "help GC.heap_dump"]).output().expect("the injector");
    let (jvm, fifos, request) = if String::from_utf8_lossy(&help.stdout).contains("-overwrite") {
        let fifos = fifos(jvm.tmp.path());
        (jvm, fifos, "GC.heap_dump -overwrite /tmp/x")
    } else {
        let (jvm, fifos) = logging();
        (jvm, fifos, "GC.run")
    };
    let mut command = injector(jvm.pid(), &["jcmd", request]);
    let injector = command.stdout(Stdio::piped()).spawn().expect("the injector");
    let dump = Dump { injector, fifos };
    dump.await_data();
    Box::new(StandingStill { jvm: Box::new(jvm), dump: Some(dump), goes_on: None })
}

fn fifos(folder: &Path) -> [File; 2] {
    ["x", "x.p0"].map(|name| {
        let path = folder.join(name);
        mkfifo(&path, Mode::S_IRWXU).expect("made");
        // Open for both: the JVM, too, opens the second one in either direction, and is not to wait for us.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).expect("opened")
    })
}

/// JDK 8 with a log that has no room for what a collection writes, and in which nothing is yet.
fn logging() -> (Jvm, [File; 2]) {
    let tmp = Jvm::folder();
    let mut fifos = fifos(tmp.path());
    let launch = Launch::with(&["-Xloggc:/tmp/x", "-XX:+PrintClassHistogramBeforeFullGC"]);
    let mut jvm = Jvm::launch_in(tmp, &launch);
    jvm.await_ready().expect("it runs");
    let log = &mut fifos[0];
    while log.read(&mut [0; 1 << 12]).is_ok() {}
    fcntl(&*log, FcntlArg::F_SETPIPE_SZ(1 << 12)).expect("a page at the least");
    (jvm, fifos)
}

impl Dump {
    /// Whatever is written here is written at a safepoint, and fills the FIFO.
    fn await_data(&self) {
        let mut fds = self.fifos.each_ref().map(|fifo| PollFd::new(fifo.as_fd(), PollFlags::POLLIN));
        assert!(poll(&mut fds, PollTimeout::MAX).expect("polled") > 0, "the JVM writes nothing");
    }

    /// Reads what the JVM writes until its answer has come to its end.
    fn drain(mut self) {
        let mut answer = self.injector.stdout.take().expect("piped");
        let mut buffer = vec![0; 1 << 16];
        loop {
            let sources = [self.fifos[0].as_fd(), self.fifos[1].as_fd(), answer.as_fd()];
            let mut fds = sources.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll(&mut fds, PollTimeout::NONE).expect("polled");
            let [first, second, ended] = fds.map(|fd| fd.any().unwrap_or(false));
            for (fifo, ready) in self.fifos.iter_mut().zip([first, second]) {
                if ready {
                    assert!(fifo.read(&mut buffer).expect("the FIFO") > 0, "there is some");
                }
            }
            if ended && answer.read(&mut buffer).expect("its output") == 0 {
                break;
            }
        }
        assert!(self.injector.wait().expect("its end").success());
    }
}

impl StandingStill {
    fn go_on(&mut self) {
        if let Some(dump) = self.dump.take() {
            self.goes_on = Some(thread::spawn(|| dump.drain()));
        }
    }
}

impl Subject for StandingStill {
    fn pid(&self) -> u32 {
        self.jvm.pid()
    }

    fn connected(&mut self) {
        self.go_on();
    }

    fn health(mut self: Box<Self>) -> Health {
        self.go_on();
        if let Some(dump) = self.goes_on.take() {
            dump.join().expect("it came to its end");
        }
        self.jvm.health()
    }
}
