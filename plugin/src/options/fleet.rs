//! The options of a command over all pods of its target.

use super::{Action, Destination, DumpHeap};
use crate::cli::NAME;
use crate::cli::flags::TargetFlags;
use crate::error::{Failure, Result};
use crate::target::{Name, Wish};

/// How many pods are worked on at once, unless the user says so.
const PARALLEL: usize = 8;

/// All pods of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fleet {
    /// How many of them at once.
    pub(crate) parallel: usize,
    /// Whether that is one alone for the application's sake, and not by the user's word.
    pub(crate) spares_the_service: bool,
}

impl Fleet {
    /// From the raw flags; `None` where one pod is meant.
    ///
    /// # Errors
    /// A usage failure where the flags make no sense together.
    pub(super) fn check(raw: &TargetFlags, wish: &Wish, action: &Action) -> Result<Option<Fleet>> {
        if !raw.all_pods {
            return match raw.parallel {
                None => Ok(None),
                Some(_) => Err(Failure::usage("--parallel is for --all-pods: one pod has one JVM to ask")
                    .remedy(format!("{NAME} deploy/x --all-pods COMMAND, or leave --parallel out"))),
            };
        }
        if let Name::Pod(name) = &wish.name {
            return Err(Failure::usage(format!("--all-pods of one pod: pod/{name} is all there is")).remedy(format!(
                "{NAME} deploy/x --all-pods COMMAND, {NAME} -l app=x --all-pods COMMAND, or leave it out"
            )));
        }
        if let Action::DumpHeap(DumpHeap { file: Destination::Stdout, .. }) = action {
            return Err(Failure::usage("several heap dumps do not fit into one standard output")
                .remedy("give a directory, or nothing for this one: each dump is POD-CONTAINER-UTC.hprof there"));
        }
        let parallel = raw.parallel.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let spares_the_service = parallel.is_none() && action.stops_the_application();
        let default = if spares_the_service { 1 } else { PARALLEL };
        Ok(Some(Fleet { parallel: parallel.unwrap_or(default), spares_the_service }))
    }
}

impl Action {
    /// Whether the application stands still meanwhile for as long as the heap is large. Where that happens in all pods of a
    /// Service at once, none is left to answer.
    fn stops_the_application(&self) -> bool {
        const OF_THE_HEAP: [&str; 3] = ["GC.heap_dump", "GC.class_histogram", "GC.run"];
        match self {
            Action::DumpHeap(_) | Action::InspectHeap { live: true, .. } => true,
            Action::Jcmd { words } => words
                .first()
                .and_then(|words| words.split_whitespace().next())
                .is_some_and(|word| OF_THE_HEAP.contains(&word)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use crate::options::{Command, Parsed, parse};

    /// The fleet of a command line, or the cause of its refusal.
    fn parsed(line: &str) -> std::result::Result<Option<Fleet>, String> {
        let words = ["kubectl-jattach"].into_iter().chain(line.split_whitespace());
        match parse(words.map(Into::into)) {
            Ok(Parsed::Run(options)) => match options.command {
                Command::On(..) => Ok(None),
                Command::OnAll(_, _, fleet) => Ok(Some(fleet)),
                other => panic!("{other:?}"),
            },
            Ok(Parsed::Say(said)) => panic!("{said}"),
            Err(failure) => {
                assert_eq!(failure.exit(), Exit::Usage);
                Err(failure.cause)
            }
        }
    }

    fn parallel(line: &str) -> Option<(usize, bool)> {
        parsed(line).expect("a command line").map(|fleet| (fleet.parallel, fleet.spares_the_service))
    }

    #[test]
    fn eight_pods_at_once_and_one_where_the_application_would_stand_still() {
        assert_eq!(parallel("deploy/x ps"), None);
        assert_eq!(parallel("deploy/x --all-pods threaddump"), Some((8, false)));
        assert_eq!(parallel("-l app=x threaddump --all-pods --parallel 3"), Some((3, false)));
        for standing in ["dumpheap", "inspectheap", "jcmd GC.class_histogram -all", "jcmd GC.run"] {
            assert_eq!(parallel(&format!("--all-pods deploy/x {standing}")), Some((1, true)), "{standing}");
        }
        assert_eq!(parallel("deploy/x inspectheap --all --all-pods"), Some((8, false)));
        assert_eq!(parallel("deploy/x dumpheap --all-pods --parallel=4"), Some((4, false)));
    }

    #[test]
    fn what_makes_no_sense_for_many_pods_is_refused() {
        for (line, words) in [
            ("pod/x --all-pods ps", "--all-pods of one pod"),
            ("x --all-pods ps", "--all-pods of one pod"),
            ("deploy/x --parallel 2 ps", "--parallel is for --all-pods"),
            ("deploy/x --all-pods dumpheap -", "do not fit into one standard output"),
        ] {
            let cause = parsed(line).expect_err(line);
            assert!(cause.contains(words), "{line}: {cause}");
        }
    }

    #[test]
    fn the_flag_may_be_written_as_kubectl_documents_it() {
        assert_eq!(parallel("deploy/x ps --all-pods=true"), Some((8, false)));
        assert_eq!(parallel("deploy/x ps --all-pods=false"), None);
    }
}
