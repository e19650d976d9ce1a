//! `doctor`: everything that the commands need, from the API server to the JVM, a line each. Where a check has failed, those
//! that cannot be made without it say so, and the others go on.

mod api_server;
mod check;
mod examined;
mod grant;
mod inside;
mod permissions;
mod pod;
mod report;
mod seen;
mod speed;

use super::{Answer, Context, Shared, Turn, remedy};
use crate::client::Cluster;
use crate::debugger;
use crate::error::{Exit, Failure};
use crate::options::DryRun;
use crate::render::Notes;
use crate::render::document::document;
use crate::render::out::Out;
use crate::render::stdout::print;
use crate::session::Partings;
use crate::target::{self, Name, Target, Wish};
use check::Check;
use inside::Unseen;
use permissions::{Exec, Missing, Way};
use report::{Report, Verdict};

/// What the checks are made with.
pub(super) struct Doctor {
    pub(super) cluster: Cluster,
    pub(super) options: Shared,
    pub(super) notes: Notes,
    pub(super) partings: Partings,
    /// What several pods' checks take turns in.
    pub(super) measuring: Turn,
}

impl Doctor {
    /// Makes the checks and prints what they have found.
    ///
    /// # Errors
    /// The exit code of the first check that fails, of which everything has been said by then; an I/O error of standard output.
    pub(super) async fn run(self, wish: &Wish) -> anyhow::Result<()> {
        let format = self.options.output.format;
        let report = self.examine(wish).await;
        let text = match format {
            Some(format) => document(&report.document(), format)?,
            None => report.text(),
        };
        print(&text, &mut std::io::stdout())?;
        report.exit().map_or(Ok(()), |exit| Err(crate::Silent(exit).into()))
    }

    /// The same for one pod of several: a text goes to `out`, and a document into the list of all.
    ///
    /// # Errors
    /// Those of printing.
    pub(super) async fn report(self, wish: &Wish, out: &Out) -> Result<Answer, Failure> {
        let is_text = self.options.output.format.is_none();
        let report = self.examine(wish).await;
        if is_text {
            out.print(&report.text())?;
        }
        let document = if is_text { None } else { serde_json::to_value(report.document()).ok() };
        Ok(Answer::Report { document, failed: report.failed() })
    }

    async fn examine(self, wish: &Wish) -> Report {
        let Doctor { cluster, options, notes, partings, measuring } = self;
        let mut report = Report::default();
        let (given, is_dry) = (options.clone(), options.injector.dry_run.is_some());
        let version = cluster.version().await;
        let exec = if api_server::asks_for_create(&version) { Exec::GetAndCreate } else { Exec::Get };
        report.add(Check::ApiServer, api_server::verdict(version, cluster.place()));
        let missing =
            if report.allows(Check::Permissions) { permissions(&cluster, wish, exec, &mut report).await } else { None };
        if report.allows(Check::Target)
            && let Some(target) = find(&cluster, wish, &notes, &mut report).await
        {
            let context = Context { measuring, ..Context::new(cluster, target, options, notes, partings) };
            let way = match missing {
                Some(missing) => permissions_there(&context, wish, missing, exec, &mut report).await,
                None => Way::Added,
            };
            // What needs no more than the pod comes first: it may spare a question.
            of_pod(&context, &mut report);
            admission(&context, &way, &mut report).await;
            report.add(Check::Tmp, tmp(&context).await);
            within(&context, &mut report).await;
            report.exact(|remedy| context.with_pod(remedy));
        }
        report.exact(|remedy| given.exact_lines(remedy));
        report.skip_the_rest(if is_dry { "because of --dry-run" } else { "because no JVM was seen" });
        report
    }
}

/// Prints the Role and the RoleBinding that are missing.
///
/// # Errors
/// 4 where the API server does not say who asks, or what they may.
pub(super) async fn fix_rbac(cluster: &Cluster, wish: &Wish, options: &Shared, notes: &Notes) -> anyhow::Result<()> {
    match grant::text(cluster, named_pod(wish), options.output.format).await? {
        Some(text) => print(&text, &mut std::io::stdout())?,
        None => notes.say("Nothing is missing."),
    }
    Ok(())
}

/// The pod's name, where it is known before anything is asked.
fn named_pod(wish: &Wish) -> Option<&str> {
    if let Name::Pod(name) = &wish.name { Some(name) } else { None }
}

/// Where it is known what is missing, that is told again once it is known what is needed.
async fn permissions(cluster: &Cluster, wish: &Wish, exec: Exec, report: &mut Report) -> Option<Missing> {
    match permissions::missing(cluster, named_pod(wish)).await {
        Ok(missing) => {
            report.add(Check::Permissions, missing.verdict(cluster.namespace(), &Way::Added, exec));
            Some(missing)
        }
        Err(failure) => {
            report.add(Check::Permissions, failure);
            None
        }
    }
}

/// The same again for what has been found, which a Role may name; and how the injector gets there.
async fn permissions_there(
    context: &Context,
    wish: &Wish,
    mut missing: Missing,
    exec: Exec,
    report: &mut Report,
) -> Way {
    let Context { cluster, target, options, .. } = context;
    if named_pod(wish).is_none()
        && !missing.0.is_empty()
        && let Ok(there) = permissions::missing(cluster, Some(target.pod_name())).await
    {
        missing = there;
    }
    let way = if options.injector.via.is_some() {
        Way::Inside
    } else if missing.forbids_adding()
        && let Some(running) = debugger::reusable(cluster, target, &options.injector).await
    {
        Way::Running(running)
    } else {
        Way::Added
    };
    report.add(Check::Permissions, missing.verdict(cluster.namespace(), &way, exec));
    way
}

/// The pod and the container, whether they run or not.
async fn find(cluster: &Cluster, wish: &Wish, notes: &Notes, report: &mut Report) -> Option<Target> {
    match target::find(cluster, wish, notes).await {
        Ok(target) => {
            report.add(Check::Target, pod::state(&target));
            Some(target)
        }
        Err(failure) => {
            // Said once is enough.
            let refused = report.because_of(Check::Permissions).filter(|_| failure.exit() == Exit::Refused);
            report.add(Check::Target, refused.map_or(Verdict::Fail(failure), Verdict::Skipped));
            None
        }
    }
}

/// Whether the server would take the very container that a command adds, asked without adding it.
async fn admission(context: &Context, way: &Way, report: &mut Report) {
    let Context { cluster, target, options, .. } = context;
    let nothing_added = match way {
        Way::Added => None,
        Way::Running(name) => Some(format!("not asked: {name} runs already")),
        Way::Inside => Some("not asked: --via=exec adds no container".to_owned()),
    };
    if let Some(why) = nothing_added {
        return report.add(Check::Admission, Verdict::Ok(why));
    }
    if options.injector.dry_run == Some(DryRun::Client) || !report.allows(Check::Admission) {
        return;
    }
    let verdict = match debugger::dry_run(cluster, target, &options.injector, DryRun::Server).await {
        Ok(_) => Verdict::Ok("the API server would take the injector's container".to_owned()),
        Err(failure) => failure.into(),
    };
    report.add(Check::Admission, verdict);
}

/// What needs no more than the pod, whether it runs or not.
fn of_pod(context: &Context, report: &mut Report) {
    let target = &context.target;
    report.add(Check::StaticPod, pod::static_pod(target, context.options.injector.via.is_some()));
    report.add(Check::NodeOs, pod::node_os(target));
    report.add(Check::FreeHere, pod::free_here(fs4::available_space("."), target));
    report.add(Check::Storage, pod::storage(target));
    report.add(Check::Memory, pod::memory(target, None));
    report.add(Check::Probes, pod::probes(target));
}

/// What the pod's spec says of /tmp, and what helps.
async fn tmp(context: &Context) -> Verdict {
    match pod::tmp(&context.target) {
        Verdict::Fail(failure) => Verdict::Fail(remedy::of_tmp_in_doctor(context, failure, report::leaves_room).await),
        verdict => verdict,
    }
}

/// What takes an injector.
async fn within(context: &Context, report: &mut Report) {
    let image = &context.options.injector.image;
    if context.options.injector.dry_run.is_some() {
        if let Some(verdict) = pod::image(&context.target.pod, image).filter(|_| report.allows(Check::Injector)) {
            report.add(Check::Injector, verdict);
        }
        return;
    }
    if !report.allows(Check::Injector) {
        return;
    }
    match inside::look(context).await {
        Ok(seen) => seen::judge(&seen, &context.target, image, report),
        Err(Unseen::NotStarted(failure)) => report.add(Check::Injector, failure),
        Err(Unseen::NotHeard(failure)) => {
            report.add(Check::Injector, Verdict::Ok(image.clone()));
            report.add(Check::Exec, failure);
        }
        Err(Unseen::Unfit(failure, examined)) => {
            report.add(Check::Injector, Verdict::Ok(image.clone()));
            report.add(Check::Exec, Verdict::Ok("the injector answers".to_owned()));
            report.add(Check::Identity, failure);
            seen::compare(&examined, false, report);
        }
    }
}
