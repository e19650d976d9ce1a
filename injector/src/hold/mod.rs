//! The debug container's main process: it owns the job and everything the job has created, and outlives every client.
//!
//! Threads only, never a child: an orphan would be reparented to the JVM. The main thread listens, has all threads take on
//! the target's identity, and starts the jobs; each client has a thread that listens to it.

mod backlog;
mod desk;
mod dump;
mod echo;
mod examine;
mod find;
mod inbox;
pub(crate) mod inside;
mod output;
mod peer;
mod serve;
mod upload;

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use jattach_protocol::message::{Codec, DumpHeap, Operation, Phase, Progress, Request, TOLD_TO_END};
use jattach_protocol::{Code, Failure, Message};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::rendezvous;
use crate::sys::wait::{Wanted, wait};
use desk::{Desk, Order};
use inbox::{Inbox, Piece};
pub(crate) use output::ask;
pub(crate) use peer::{Gone, Peer};

/// Runs until told to end, or idle for its time to live.
pub(crate) fn run() -> ExitCode {
    match hold() {
        Ok(reason) => {
            farewell(&reason);
            ExitCode::SUCCESS
        }
        Err(error) => {
            farewell(&format!("could not start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Says why it ends to who reads the log, and in the pod's status.
fn farewell(reason: &str) {
    // A stderr that is gone must not be what it dies of.
    let _ = writeln!(io::stderr(), "injector hold: ends: {reason}");
    // Only there in a container whose runtime made it.
    if fs::exists("/dev/termination-log").unwrap_or(false) {
        let _ = fs::write("/dev/termination-log", reason);
    }
}

fn hold() -> io::Result<String> {
    let signals = prepare()?;
    serve::sweep();
    let desk = Arc::new(Desk::new()?);
    let (listener, path) = rendezvous::listen()?;
    let reason = attend(&desk, Some(&listener), &signals);
    let _ = fs::remove_file(path);
    reason
}

/// Makes the process what it has to be, and takes its signals. Only to be called before any thread is started.
fn prepare() -> io::Result<SignalFd> {
    // The kernel kills the greediest first when the pod's memory is full: that must be us and not the application. A
    // sandbox without /proc/self/oom_score_adj has no such killer either.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    // It executes nothing, and who gets hold of it is not to get root's capabilities back by that.
    let _ = prctl::set_no_new_privs();
    let terminate: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    // Before any thread is started: they all inherit it.
    terminate.thread_block()?;
    Ok(SignalFd::with_flags(&terminate, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// Runs the jobs, and lets clients in where there is a way in, until there is nothing left to stay for.
fn attend(desk: &Arc<Desk>, listener: Option<&UnixListener>, signals: &SignalFd) -> io::Result<String> {
    let owner = nix::unistd::geteuid().as_raw();
    let mut pinned = None;
    loop {
        let deadline = match desk.over() {
            Ok(deadline) => deadline,
            Err(reason) => return Ok(reason),
        };
        let clients = listener.map_or_else(|| desk.bell.wanted(), |listener| Wanted::read(listener.as_fd()));
        let wanted = [clients, Wanted::read(signals.as_fd()), desk.bell.wanted()];
        let [client, signal, bell] = wait(wanted, deadline)?;
        if signal && matches!(signals.read_signal(), Ok(Some(_))) {
            desk.close("told to end (SIGTERM)", false);
        }
        if bell {
            desk.bell.quiet();
            while let Some((order, job)) = desk.next() {
                serve::start(desk, &mut pinned, order, job);
            }
        }
        if client && let Some(listener) = listener {
            // Without a descriptor to spare there is no client; the job goes on.
            let Ok((socket, _)) = listener.accept() else { continue };
            if admitted(&socket, owner) {
                receive(desk, socket);
            }
        }
    }
}

/// Only this container's own user may ask: the one it was started as, or the target's that it has become. In /dev/shm the
/// socket is in reach of the pod's other containers.
fn admitted(socket: &UnixStream, owner: u32) -> bool {
    let uid = getsockopt(socket, PeerCredentials).map(|peer| peer.uid());
    let ours = uid.is_ok_and(|uid| uid == owner || uid == nix::unistd::geteuid().as_raw());
    ours && rendezvous::is_of_this_container(socket)
}

/// Gives a client its thread.
fn receive(desk: &Arc<Desk>, socket: UnixStream) {
    if !desk.enter() {
        return;
    }
    let its_desk = Arc::clone(desk);
    let listen = move || {
        listen(&its_desk, socket);
        its_desk.leave();
    };
    // Where no thread can be had the closure is dropped, and with it the socket: the client sees the end.
    if start_thread(Box::new(listen)).is_err() {
        desk.leave();
    }
}

/// Starts a thread. Boxed, because the code to start one is made anew for each kind of closure.
fn start_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().spawn(work)
}

/// The same for a request, which fails with it.
fn start_thread_for_job(work: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, Failure> {
    start_thread(work).map_err(|error| {
        Failure::new(Code::Other, "the injector cannot start a thread")
            .evidence(error.to_string())
            .remedy("the pod has reached its limit of processes")
    })
}

/// Listens to a client until it goes.
fn listen(desk: &Desk, socket: UnixStream) {
    if let Ok(peer) = Peer::new(socket) {
        let peer = Arc::new(peer);
        converse(desk, &peer);
        desk.detach(&peer);
    }
}

fn converse(desk: &Desk, peer: &Arc<Peer>) {
    let mut upload = Arc::new(Inbox::default());
    // Until a request opens another one.
    upload.close();
    peer.listen(&mut |id, message| {
        let answer = match message {
            Message::Request(request) => answer(desk, peer, id, request, &mut upload),
            Message::Block(block) if block.codec == Codec::None => {
                let piece = Piece { offset: block.offset, bytes: block.data.to_vec() };
                let room = upload.put(piece);
                room.then_some(()).ok_or_else(|| Failure::new(Code::Usage, "the client sends more than it may"))
            }
            Message::Bye => {
                // In this order: a dump that has not begun yet is not there to be given up, and looks for its client first.
                peer.hang_up();
                desk.give_up(|dump| dump.is_for(peer));
                Ok(())
            }
            Message::Ack { stream, offset } => {
                desk.acknowledge(peer, stream, offset);
                Ok(())
            }
            _ => Err(Failure::new(Code::Usage, "the client sent what makes no sense here")),
        };
        match answer {
            Ok(()) => true,
            Err(failure) => peer.send(id, &Message::Failure(failure)).is_ok(),
        }
    });
    upload.close();
}

/// Does what needs no turn at once, and has the rest wait for its turn. One job at a time for each client.
fn answer(desk: &Desk, peer: &Arc<Peer>, id: u32, request: Request, upload: &mut Arc<Inbox>) -> Result<(), Failure> {
    desk.stay(request.ttl);
    match request.operation {
        Operation::List => return serve::list(desk, peer, id, &request),
        Operation::Shutdown => {
            // Answered first: the process may be gone soon after the desk is closed.
            let answered = serve::end(peer, id);
            desk.close(TOLD_TO_END, true);
            return answered;
        }
        Operation::GiveUp(job) => {
            let given_up = desk.give_up(|dump| dump.started.job == job);
            return if given_up { serve::end(peer, id) } else { Err(dump::gone(job)) };
        }
        Operation::Examine(limits) => return examine::answer(peer, id, &request, &limits),
        Operation::Echo(length) => return echo::send(peer, id, length),
        _ => {}
    }
    if !peer.begin(id) {
        return Err(Failure::new(Code::Usage, "the client asks for more before it has its answer"));
    }
    if let Operation::DumpHeap(wanted @ DumpHeap { resume: Some(resume), .. }) = &request.operation {
        if let Err(failure) = dump::resume(desk, peer, id, resume, dump::patience(wanted, request.ttl)) {
            peer.conclude(id, &Message::Failure(failure));
        }
        return Ok(());
    }
    let blocks = Arc::new(Inbox::default());
    *upload = Arc::clone(&blocks);
    let order = serve::target(&request).map(|target| Order { target, peer: Arc::clone(peer), id, request, blocks });
    match order.and_then(|order| desk.submit(order)) {
        Ok(None) => Ok(()),
        Ok(Some(before)) => {
            peer.send(id, &Message::Job(&before))?;
            Ok(peer.progress(id, Progress { phase: Phase::Queued, done: 0, total: 0, stalled: 0 })?)
        }
        Err(failure) => {
            upload.close();
            peer.conclude(id, &Message::Failure(failure));
            Ok(())
        }
    }
}
