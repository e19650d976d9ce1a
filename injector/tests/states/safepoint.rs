//! A JVM that stands still: it writes a heap dump into FIFOs that nobody reads, as long as nobody does.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::container::Jvm;
use crate::harness::{Health, Missing, Subject};
use crate::injector;
use crate::jvms::listening;

/// See the module.
struct StandingStill {
    jvm: Box<Jvm>,
    dump: Option<Dump>,
    goes_on: Option<JoinHandle<()>>,
}

/// A heap dump under way: its injector, and both FIFOs, of which JDK 21 and older open the first only.
struct Dump {
    injector: Child,
    fifos: [File; 2],
}

/// A JVM that stands still when this returns.
pub(crate) fn start() -> Result<Box<dyn Subject>, Missing> {
    let jvm = Box::new(listening());
    let help = injector(jvm.pid(), &["jcmd", "help GC.heap_dump"]).output().expect("the injector");
    if !String::from_utf8_lossy(&help.stdout).contains("-overwrite") {
        return Err(Missing::Build("it writes no heap dump into a FIFO".to_owned()));
    }
    let fifos = ["x", "x.p0"].map(|name| {
        let path = jvm.tmp.path().join(name);
        mkfifo(&path, Mode::S_IRWXU).expect("made");
        // Open for both: the JVM, too, opens the second one in either direction, and is not to wait for us.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).expect("opened")
    });
    let mut command = injector(jvm.pid(), &["jcmd", "GC.heap_dump -overwrite /tmp/x"]);
    let injector = command.stdout(Stdio::piped()).spawn().expect("the injector");
    let dump = Dump { injector, fifos };
    dump.await_data();
    Ok(Box::new(StandingStill { jvm, dump: Some(dump), goes_on: None }))
}

impl Dump {
    /// The heap is written at a safepoint, and fills the FIFO.
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
