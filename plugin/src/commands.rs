//! One small file per command, and the way there: options → cluster → target → injector.

mod act;
mod answer;
mod clean;
mod completion;
mod doctor;
mod dumpheap;
mod explain;
mod flags;
mod fleet;
mod image;
mod inspect;
mod inspectheap;
mod jcmd;
mod line;
mod load;
mod man;
mod offline;
mod operation;
mod postmortem;
mod ps;
mod remedy;
mod sheltered;
mod stop;
mod threaddump;
mod verify;
mod version;
mod vialog;

use std::cell::Cell;
use std::rc::Rc;

use jattach_protocol::message::{Jvm, Operation, Request};

use crate::client::Cluster;
use crate::error::{Exit, Failure};
use crate::inside;
use crate::options::{Action, Agent, Command, Options, OutputFormat};
use crate::render::Notes;
use crate::render::document::document;
use crate::render::out::Out;
use crate::render::stdout;
use crate::render::terminal::one_line;
use crate::session::Partings;
use crate::target::{self, Target, Wish};
use doctor::Doctor;
use operation::attach;
use stop::Stop;

/// What every command on a target works with.
pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) target: Target,
    pub(crate) options: Shared,
    pub(crate) notes: Notes,
    /// Conversations that it has broken off.
    pub(crate) partings: Partings,
    /// Where its answer goes.
    pub(crate) out: Out,
    /// The agent that is brought along, where that was read already.
    agent: Option<Rc<[u8]>>,
    /// What it shares with the same command on other pods.
    beside: dumpheap::Beside,
    measuring: Turn,
    /// Whether it was said which job comes before the request under way.
    is_behind: Cell<bool>,
}

/// Of several pods' commands one at a time measures how fast data come: they come the same way.
type Turn = Rc<tokio::sync::Mutex<()>>;

/// What a command has found, where it does not print that itself.
enum Answer {
    /// All has been said.
    Told,
    Jvms(Vec<Jvm>),
    /// What `--dry-run` would send.
    Patch(serde_json::Value),
    /// Doctor's, for a list; and the first check that has failed.
    Report {
        document: Option<serde_json::Value>,
        failed: Option<Failure>,
    },
}

/// The options that concern all commands.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) injector: crate::options::Injector,
    pub(crate) output: crate::options::Output,
    /// The flags as they were given.
    pub(crate) flags: Vec<std::ffi::OsString>,
    /// COMMAND and its arguments, likewise.
    pub(crate) words: Vec<std::ffi::OsString>,
    /// The target, as it is named before COMMAND.
    target: String,
}

impl Shared {
    /// The failure with the command lines in its remedy as this user has to give them.
    fn exact(&self, mut failure: Failure) -> Failure {
        failure.remedy = self.exact_lines(&failure.remedy);
        failure
    }

    /// A remedy's command lines, those that go another way among them.
    fn exact_lines(&self, remedy: &str) -> String {
        let remedy = line::with_via_exec(remedy, &self.flags, &self.words, inside::is_carried());
        line::with_cluster(&line::with_target(&remedy, &self.target), &self.flags)
    }

    /// The same of an error, if it is a failure.
    fn exact_of_any(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast() {
            Ok(failure) => self.exact(failure).into(),
            Err(error) => error,
        }
    }
}

/// Does what the options say, within the limit for the whole command.
///
/// # Errors
/// A [`Failure`], or an I/O error of standard output.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Options { command, connection, injector, output, timeout, flags, words } = options;
    let partings = Partings::default();
    let mut stop = Stop::new(timeout)?;
    let result = match command {
        Command::Version => version::run(&injector, output.format),
        Command::Completion(shell) => completion::script(shell),
        Command::InstallCompletion(shell) => completion::install(shell, output.quiet),
        Command::Man(folder) => Ok(man::run(&folder)?),
        Command::Image { save } => image::run(&injector, save, output),
        Command::Explain { id } => explain::run(id, output.format),
        Command::Verify { dump } => stop.unless(verify::run(dump, output)).await,
        Command::Inspect { dump, top } => stop.unless(inspect::run(dump, top, output)).await,
        Command::On(wish, action) => {
            let notes = Notes::new(output.quiet);
            let at = notes.at().clone();
            let shared = Shared { injector, output, flags, words, target: line::target(&wish.name) };
            let cluster = stop.unless(Cluster::connect(&connection)).await.map_err(|failure| shared.exact(failure))?;
            let work = on_target(cluster, &wish, &action, shared.clone(), notes, partings.clone());
            stop.unless_at(&at, work).await.map_err(|error| shared.exact_of_any(error))
        }
        Command::OnAll(wish, action, fleet) => {
            let shared = Shared { injector, output, flags, words, target: line::target(&wish.name) };
            let cluster = stop.unless(Cluster::connect(&connection)).await.map_err(|failure| shared.exact(failure))?;
            let done = fleet::run(cluster, &wish, &action, fleet, shared.clone(), partings.clone(), &mut stop).await;
            done.map_err(|error| shared.exact_of_any(error))
        }
    };
    partings.say_bye().await;
    result
}

async fn on_target(
    cluster: Cluster,
    wish: &Wish,
    action: &Action,
    options: Shared,
    notes: Notes,
    partings: Partings,
) -> anyhow::Result<()> {
    if *action == Action::Clean {
        // The injectors run beside whatever else does not.
        let target = target::find(&cluster, wish, &notes).await?;
        return Ok(clean::run(&Context::new(cluster, target, options, notes, partings)).await?);
    }
    match *action {
        Action::Doctor { fix_rbac: true } => return doctor::fix_rbac(&cluster, wish, &options, &notes).await,
        Action::Doctor { fix_rbac: false } => {
            return Doctor { cluster, options, notes, partings, measuring: Turn::default() }.run(wish).await;
        }
        _ => {}
    }
    let target = match (target::resolve(&cluster, wish, &notes).await, action) {
        (Err(gone), Action::DumpHeap(wanted)) if gone.exit() == Exit::Target => {
            return Ok(dumpheap::complete_without(gone, cluster.namespace(), wish, wanted, &notes).await?);
        }
        (found, _) => found?,
    };
    let mut context = Context::new(cluster, target, options, notes, partings);
    let (format, to) = (context.options.output.format, &mut std::io::stdout());
    match ask(&mut context, action).await? {
        Answer::Jvms(jvms) => ps::show(&jvms, format, &context.target, to)?,
        Answer::Patch(patch) => stdout::print(&document(&patch, format.unwrap_or(OutputFormat::Yaml))?, to)?,
        Answer::Told | Answer::Report { .. } => {}
    }
    Ok(())
}

/// Does what is asked of a running target, or tells what it would begin with.
async fn ask(context: &mut Context, action: &Action) -> Result<Answer, Failure> {
    match context.options.injector.dry_run {
        Some(by) => sheltered::dry_run(context, by).await.map(Answer::Patch),
        None => sheltered::run(context, action).await,
    }
}

impl Context {
    /// For a command alone, whose answer goes to standard output.
    fn new(cluster: Cluster, target: Target, options: Shared, notes: Notes, partings: Partings) -> Context {
        let (out, agent, beside) = (Out::Stdout, None, dumpheap::Beside::new(1));
        let (measuring, is_behind) = (Turn::default(), Cell::default());
        Context { cluster, target, options, notes, partings, out, agent, beside, measuring, is_behind }
    }

    /// A request for the target's JVM.
    fn request(&self, operation: Operation) -> Request {
        let id = self.target.container_id().unwrap_or_default();
        self.is_behind.set(false);
        Request {
            pid: self.target.pid.unwrap_or(0),
            container: id.rsplit("//").next().unwrap_or_default().to_owned(),
            wait: self.options.injector.wait,
            ttl: u32::try_from(self.options.injector.ttl.as_secs()).unwrap_or(u32::MAX),
            operation,
        }
    }

    /// The remedy with the command lines in it that its maker knew no pod for.
    fn with_pod(&self, remedy: &str) -> String {
        line::with_pod(remedy, &self.options.flags, self.cluster.namespace(), self.target.pod_name())
    }

    /// Says which job of the injector's comes first, in its words: once for each request, however often it is told.
    fn behind(&self, job: &str) {
        if !self.is_behind.replace(true) {
            self.notes.say(&format!("Waiting for another job of the injector: {}", one_line(job, LONGEST_JOB)));
        }
    }
}

/// How much is shown of what the injector calls a job, in characters.
const LONGEST_JOB: usize = 200;
