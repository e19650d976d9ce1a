//! One command over all pods of its target. Each pod is a target of its own; what they share is the terminal, which shows a
//! line for each that is under way, and standard output, which gets their answers one after the other.
//!
//! The answers stand in the order of the pods' names, whichever is there first: text under a line that names the pod, lists
//! as one list that names it in each row. The failure of one stops no other; the worst exit code is the command's.

mod order;
mod tally;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use jattach_protocol::message::Jvm;
use serde_json::{Value, json};

use super::dumpheap::Beside;
use super::{Agent, Answer, Context, Shared, ask, clean, doctor, load, ps};
use crate::Silent;
use crate::client::Cluster;
use crate::error::Failure;
use crate::options::{Action, Destination, DumpHeap, Fleet, OutputFormat};
use crate::render::Notes;
use crate::render::board::Board;
use crate::render::document::document;
use crate::render::out::{Aside, Out};
use crate::render::stdout;
use crate::session::Partings;
use crate::target::{self, Name, Wish};
use order::in_order;
use tally::Tally;

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
) -> anyhow::Result<()> {
    if let Action::Doctor { fix_rbac: true } = action {
        return doctor::fix_rbac(&cluster, wish, &options, &Notes::new(options.output.quiet)).await;
    }
    let agent = prepare(action)?;
    let pods = target::names(&cluster, wish).await?;
    let quiet = options.output.quiet;
    let board = Board::new(quiet);
    if fleet.spares_the_service && pods.len() > 1 && !quiet {
        board
            .say("One pod after the other, because its JVM stands still meanwhile; --parallel N takes several at once");
    }
    let tally = RefCell::new(Tally::new(&board, pods.len(), quiet));
    let beside = Beside::new(fleet.parallel.min(pods.len()));
    let crew = Crew { cluster, wish, action, options: &options, partings, agent, beside, board: &board, tally: &tally };
    let paper =
        Paper { board: &board, reader_left: Cell::new(false), jvms: RefCell::default(), documents: RefCell::default() };
    let jobs = pods.iter().map(|pod| crew.serve(pod));
    in_order(jobs, fleet.parallel, async |served| paper.take(served).await).await?;
    paper.lists(action, &options)?;
    let exit = tally.borrow().exit();
    drop(tally);
    exit.map_or(Ok(()), |exit| Err(Silent(exit).into()))
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
    board: &'a Rc<Board>,
    tally: &'a RefCell<Tally>,
}

/// What has come of a pod.
struct Served {
    pod: String,
    answer: Answer,
    text: Aside,
}

impl Crew<'_> {
    /// The command on one pod, to its end, good or bad.
    async fn serve(&self, pod: &str) -> Served {
        self.tally.borrow_mut().begin();
        let text = Aside::new();
        let result = self.command(pod, Out::Aside(text.clone())).await;
        let (answer, failure) = match result {
            Ok(Answer::Report { document, failed }) => (Answer::Report { document, failed: None }, failed),
            Ok(answer) => (answer, None),
            Err(failure) => (Answer::Told, Some(self.options.exact(failure))),
        };
        self.tally.borrow_mut().end(pod, failure);
        Served { pod: pod.to_owned(), answer, text }
    }

    async fn command(&self, pod: &str, out: Out) -> Result<Answer, Failure> {
        let notes = Notes::on(self.board, &format!("pod/{pod}"), self.options.output.quiet);
        let Wish { container, pid, .. } = self.wish;
        let wish = Wish { name: Name::Pod(pod.to_owned()), container: container.clone(), pid: *pid };
        let (cluster, options, partings) = (self.cluster.clone(), self.options.clone(), self.partings.clone());
        notes.phase("looking at the pod");
        if let Action::Doctor { .. } = self.action {
            return doctor::report(cluster, &wish, options, notes, partings, &out).await;
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

/// Where the answers go.
struct Paper<'a> {
    board: &'a Board,
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
        if self.reader_left.get() || text.is_empty() {
            return Ok(());
        }
        // On a thread of its own: a person before a pager takes his time, and the other pods go on.
        let print = move || text.print_under(&format!("pod/{pod}"), &mut std::io::stdout().lock());
        let alone = self.board.alone().await;
        let printed = tokio::task::spawn_blocking(print).await.unwrap_or_else(|died| Err(std::io::Error::other(died)));
        drop(alone);
        self.reader_left.set(!stdout::heard(printed)?);
        Ok(())
    }

    /// Prints what is one list of all pods.
    fn lists(self, action: &Action, options: &Shared) -> Result<(), Failure> {
        let (format, to) = (options.output.format, &mut std::io::stdout());
        let documents = self.documents.into_inner();
        if options.injector.dry_run.is_some() && !matches!(action, Action::Doctor { .. } | Action::Clean) {
            // As kubectl prints several objects.
            let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
            return stdout::print(&document(&list, format.unwrap_or(OutputFormat::Yaml))?, to);
        }
        match (action, format) {
            (Action::Ps, _) => ps::show_all(&self.jvms.into_inner(), format, to),
            (Action::Doctor { .. }, Some(format)) => stdout::print(&document(&documents, format)?, to),
            _ => Ok(()),
        }
    }
}
