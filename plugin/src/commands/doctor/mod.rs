//! `doctor`: everything that the commands need, from the API server to the JVM, a line each. Where a check has failed, those
//! that cannot be made without it say so, and the others go on.

mod api_server;
mod check;
mod inside;
mod permissions;
mod report;
mod seen;

use super::{Context, Shared};
use crate::client::Cluster;
use crate::render::Notes;
use crate::render::document::document;
use crate::render::stdout::print;
use crate::session::Partings;
use crate::target::{self, Name, Target, Wish};
use check::Check;
use inside::Unseen;
use report::{Report, Verdict};

/// Makes the checks and prints what they have found.
///
/// # Errors
/// The exit code of the first check that fails, of which everything has been said by then; an I/O error of standard output.
pub(super) async fn run(
    cluster: Cluster,
    wish: &Wish,
    options: Shared,
    notes: Notes,
    partings: Partings,
) -> anyhow::Result<()> {
    let format = options.output.format;
    let report = examine(cluster, wish, options, notes, partings).await;
    let text = match format {
        Some(format) => document(&report.document(), format)?,
        None => report.text(),
    };
    print(&text, &mut std::io::stdout())?;
    report.exit().map_or(Ok(()), |exit| Err(crate::Silent(exit).into()))
}

async fn examine(cluster: Cluster, wish: &Wish, options: Shared, notes: Notes, partings: Partings) -> Report {
    let mut report = Report::default();
    report.add(Check::ApiServer, api_server::verdict(cluster.version().await, cluster.place()));
    if report.allows(Check::Permissions) {
        report.add(Check::Permissions, permissions(&cluster, wish).await);
    }
    if report.allows(Check::Target)
        && let Some(target) = find(&cluster, wish, &notes, &mut report).await
    {
        let context = Context { cluster, target, options, notes, partings };
        within(&context, &mut report).await;
    }
    report.skip_the_rest("because of --dry-run");
    report
}

async fn permissions(cluster: &Cluster, wish: &Wish) -> Verdict {
    let pod = if let Name::Pod(name) = &wish.name { Some(name.as_str()) } else { None };
    match permissions::missing(cluster, pod).await {
        Ok(missing) => missing.verdict(cluster.namespace()),
        Err(failure) => failure.into(),
    }
}

/// The pod and the container, whether they run or not.
async fn find(cluster: &Cluster, wish: &Wish, notes: &Notes, report: &mut Report) -> Option<Target> {
    match target::find(cluster, wish, notes).await {
        Ok(target) => {
            let named = format!("pod/{}, container \"{}\"", target.pod_name(), target.container);
            let gone = target::vanished(&target.pod, &target.container);
            report.add(Check::Target, gone.map_or(Verdict::Ok(named), Verdict::Fail));
            Some(target)
        }
        Err(failure) => {
            report.add(Check::Target, failure);
            None
        }
    }
}

/// What takes an injector.
async fn within(context: &Context, report: &mut Report) {
    if context.options.injector.dry_run.is_some() || !report.allows(Check::Injector) {
        return;
    }
    let image = &context.options.injector.image;
    match inside::look(context).await {
        Ok(seen) => seen::judge(&seen, &context.target, image, report),
        Err(Unseen::NotStarted(failure)) => report.add(Check::Injector, failure),
        Err(Unseen::NotHeard(failure)) => {
            report.add(Check::Injector, Verdict::Ok(image.clone()));
            report.add(Check::Exec, failure);
        }
        Err(Unseen::Unfit(failure)) => {
            report.add(Check::Injector, Verdict::Ok(image.clone()));
            report.add(Check::Exec, Verdict::Ok("the injector answers".to_owned()));
            report.add(Check::Identity, failure);
        }
    }
}
