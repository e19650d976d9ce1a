//! One command over all pods of its target. Each pod is a target of its own; what they share is the terminal, which shows a
//! line for each that is under way, and standard output, which gets their answers one after the other.
//!
//! The answers stand in the order of the pods' names, whichever is there first: text under a line that names the pod, lists
//! as one list that names it in each row. The failure of one stops no other; the worst exit code is the command's.
//!
//! Broken off, it prints what is there: the answers that waited behind one that is not, and what has come of that one.

mod order;
mod tally;

use std::cell::{Cell, RefCell};
use std::io::{self, StdoutLock, Write};
use std::rc::Rc;

use jattach_protocol::message::Jvm;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::doctor::{self, Doctor};
use super::dumpheap::Beside;
use super::stop::Stop;
use super::{Agent, Answer, Context, Shared, Turn, ask, clean, load, ps};
use crate::Silent;
use crate::catalogue::Id;
use crate::client::Cluster;
use crate::error::Failure;
use crate::options::{Action, Destination, DumpHeap, Fleet, OutputFormat};
use crate::render::Notes;
use crate::render::board::Board;
use crate::render::document::document;
use crate::render::out::{Aside, Out, Shelf};
use crate::render::stdout;
use crate::session::Partings;
use crate::target::{self, Name, Wish};
use order::in_order;
use tally::{End, Tally};

/// Does it, and says what has become of each.
///
/// # Errors
/// The worst exit code, of which everything has been said by then; a failure that concerns all pods.
pub(super) async fn run(
    cluster: Cluster,
    wish: &Wish,
    action: &Action,
    fleet: Fleet,
    options: Shared,
    partings: Partings,
    stop: &mut Stop,
) -> anyhow::Result<()> {
    if let Action::Doctor { fix_rbac: true } = action {
        let notes = Notes::new(options.output.quiet);
        return stop.unless(doctor::fix_rbac(&cluster, wish, &options, &notes)).await;
    }
    let agent = prepare(action)?;
    let pods = stop.unless(target::names(&cluster, wish)).await?;
    let quiet = options.output.quiet;
    let board = Board::new(quiet);
    if fleet.spares_the_service && pods.len() > 1 && !quiet {
        board
            .say("One pod after the other, because its JVM stands still meanwhile; --parallel N takes several at once");
    }
    let tally = &RefCell::new(Tally::new(&board, &pods, quiet));
    let beside = Beside::new(fleet.parallel.min(pods.len()));
    let (broken_off, measuring, shelf) = (watch::Sender::new(false), Turn::default(), Shelf::default());
    let crew = Crew {
        cluster,
        wish,
        action,
        options: &options,
        partings,
        agent,
        beside,
        measuring,
        board: &board,
        tally,
        shelf,
        broken_off: broken_off.subscribe(),
    };
    let paper = Paper {
        board: &board,
        tally,
        reader_left: Cell::new(false),
        jvms: RefCell::default(),
        documents: RefCell::default(),
    };
    let work = async {
        let jobs = pods.iter().map(|pod| crew.serve(pod));
        in_order(jobs, fleet.parallel, async |served| paper.take(served).await).await?;
        paper.lists(action, &options).await
    };
    let printed = tokio::select! {
        biased;
        printed = work => printed,
        () = break_off(stop, tally, &broken_off) => Ok(()),
    };
    if let Err(failure) = printed {
        tally.borrow_mut().stop(failure);
    }
    let exit = tally.borrow().exit();
    exit.map_or(Ok(()), |exit| Err(Silent(exit).into()))
}

/// Has the pods' commands break off where there is a reason to. Comes back with the second one: then nobody waits until what
/// is there is printed.
async fn break_off(stop: &mut Stop, tally: &RefCell<Tally>, broken_off: &watch::Sender<bool>) {
    loop {
        let why = stop.next().await;
        // What is left then is to be printed, and takes as long as its reader does.
        if why.id == Id::TimedOut && tally.borrow().is_over() {
            continue;
        }
        tally.borrow_mut().stop(why);
        if broken_off.send_replace(true) {
            return;
        }
    }
}

/// What all pods' commands need of this machine, looked at once and before anything is begun.
fn prepare(action: &Action) -> Result<Option<Rc<[u8]>>, Failure> {
    match action {
        Action::DumpHeap(DumpHeap { file: Destination::File(directory), .. }) if !directory.is_dir() => {
            Err(Failure::usage(format!("{} is no directory", directory.display()))
                .evidence("several heap dumps need one, and each makes its file there: POD-CONTAINER-UTC.hprof")
                .remedy("make it, give another one, or none for this one"))
        }
        Action::Load { agent: Agent::Upload(path), .. } => load::read(path).map(|agent| Some(agent.into())),
        _ => Ok(None),
    }
}

/// What the commands have in common.
struct Crew<'a> {
    cluster: Cluster,
    wish: &'a Wish,
    action: &'a Action,
    options: &'a Shared,
    partings: Partings,
    agent: Option<Rc<[u8]>>,
    beside: Beside,
    measuring: Turn,
    board: &'a Rc<Board>,
    tally: &'a RefCell<Tally>,
    shelf: Shelf,
    broken_off: watch::Receiver<bool>,
}

/// What has come of a pod.
struct Served {
    pod: String,
    answer: Answer,
    text: Aside,
}

impl Crew<'_> {
    /// The command on one pod, to its end, good or bad, or until all are broken off.
    async fn serve(&self, pod: &str) -> Served {
        let (text, mut broken_off) = (self.shelf.aside(), self.broken_off.clone());
        let mut served = Served { pod: pod.to_owned(), answer: Answer::Told, text };
        tokio::select! {
            biased;
            _ = broken_off.wait_for(|is_so| *is_so) => return served,
            () = self.shelf.has_room() => self.tally.borrow_mut().begin(pod),
        }
        let result = tokio::select! {
            biased;
            result = self.command(pod, Out::Aside(served.text.clone())) => Some(result),
            _ = broken_off.wait_for(|is_so| *is_so) => None,
        };
        let (answer, end) = match result {
            Some(Ok(Answer::Report { document, failed })) => {
                (Answer::Report { document, failed: None }, failed.map_or(End::Done, End::Failed))
            }
            Some(Ok(answer)) => (answer, End::Done),
            Some(Err(failure)) => (Answer::Told, End::Failed(self.options.exact(failure))),
            None => (Answer::Told, End::BrokenOff),
        };
        served.text.is_settled().await;
        served.answer = answer;
        self.tally.borrow_mut().end(pod, end, served.is_answer());
        served
    }

    async fn command(&self, pod: &str, out: Out) -> Result<Answer, Failure> {
        let notes = Notes::on(self.board, &format!("pod/{pod}"), self.options.output.quiet);
        let Wish { container, pid, .. } = self.wish;
        let wish = Wish { name: Name::Pod(pod.to_owned()), container: container.clone(), pid: *pid };
        let (cluster, options, partings) = (self.cluster.clone(), self.options.clone(), self.partings.clone());
        notes.phase("looking at the pod");
        if let Action::Doctor { .. } = self.action {
            let doctor = Doctor { cluster, options, notes, partings, measuring: self.measuring.clone() };
            return doctor.report(&wish, &out).await;
        }
        // It may be minutes since the pods were listed.
        let target = match self.action {
            Action::Clean => target::find(&cluster, &wish, &notes).await?,
            _ => target::resolve(&cluster, &wish, &notes).await?,
        };
        let (agent, beside) = (self.agent.clone(), self.beside.clone());
        let mut context = Context { out, agent, beside, ..Context::new(cluster, target, options, notes, partings) };
        match self.action {
            Action::Clean => clean::run(&context).await.map(|()| Answer::Told),
            action => {
                let answer = ask(&mut context, action).await?;
                if let Answer::Jvms(jvms) = &answer {
                    ps::is_any(jvms, &context.target)?;
                }
                Ok(answer)
            }
        }
    }
}

impl Served {
    /// Whether there is something to be printed of it, now or in a list.
    fn is_answer(&self) -> bool {
        match &self.answer {
            Answer::Told | Answer::Report { document: None, .. } => !self.text.is_empty(),
            Answer::Jvms(_) | Answer::Patch(_) | Answer::Report { .. } => true,
        }
    }
}

/// Where the answers go.
struct Paper<'a> {
    board: &'a Board,
    tally: &'a RefCell<Tally>,
    /// Whether nobody reads standard output any more: the commands go on all the same.
    reader_left: Cell<bool>,
    jvms: RefCell<Vec<(String, Jvm)>>,
    documents: RefCell<Vec<Value>>,
}

impl Paper<'_> {
    /// Prints a pod's text, and keeps what becomes part of a list.
    async fn take(&self, served: Served) -> Result<(), Failure> {
        let Served { pod, answer, text } = served;
        match answer {
            Answer::Told => {}
            Answer::Jvms(jvms) => self.jvms.borrow_mut().extend(jvms.into_iter().map(|jvm| (pod.clone(), jvm))),
            Answer::Patch(patch) => self.documents.borrow_mut().push(patch),
            Answer::Report { document, .. } => {
                if let Some(mut report) = document {
                    report["pod"] = json!(pod);
                    self.documents.borrow_mut().push(report);
                }
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        self.print(move |to| text.print_under(&format!("pod/{pod}"), to)).await?;
        self.tally.borrow_mut().printed(1);
        Ok(())
    }

    /// Prints on a thread of its own: a person before a pager takes his time, and the other pods go on.
    async fn print(
        &self,
        what: impl FnOnce(&mut StdoutLock<'_>) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Failure> {
        if self.reader_left.get() {
            return Ok(());
        }
        let alone = self.board.alone().await;
        let printed = tokio::task::spawn_blocking(move || what(&mut io::stdout().lock())).await;
        drop(alone);
        let printed = printed.unwrap_or_else(|died| Err(io::Error::other(died)));
        self.reader_left.set(!stdout::heard(printed)?);
        Ok(())
    }

    /// Prints what is one list of all pods.
    async fn lists(&self, action: &Action, options: &Shared) -> Result<(), Failure> {
        let mut text = Vec::new();
        self.write_lists(action, options, &mut text)?;
        if !text.is_empty() {
            self.print(move |to| to.write_all(&text).and_then(|()| to.flush())).await?;
        }
        self.tally.borrow_mut().printed(usize::MAX);
        Ok(())
    }

    fn write_lists(&self, action: &Action, options: &Shared, to: &mut Vec<u8>) -> Result<(), Failure> {
        let (format, documents) = (options.output.format, self.documents.take());
        if options.injector.dry_run.is_some() && !matches!(action, Action::Doctor { .. } | Action::Clean) {
            // As kubectl prints several objects.
            let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
            return stdout::print(&document(&list, format.unwrap_or(OutputFormat::Yaml))?, to);
        }
        match (action, format) {
            (Action::Ps, _) => ps::show_all(&self.jvms.take(), format, to),
            (Action::Doctor { .. }, Some(format)) => stdout::print(&document(&documents, format)?, to),
            _ => Ok(()),
        }
    }
}
