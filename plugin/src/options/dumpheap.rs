//! The options of `dumpheap`.

use std::path::PathBuf;
use std::time::Duration;

use jattach_protocol::message::Redact;

use super::{limit, set};
use crate::cli;
use crate::error::{Failure, Result};
use crate::receive::dump::Format;
use crate::target::quantity;

/// A heap dump as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DumpHeap {
    pub(crate) file: Destination,
    pub(crate) live: bool,
    pub(crate) redact: Redact,
    pub(crate) format: Format,
    pub(crate) force: bool,
    pub(crate) resume: bool,
    pub(crate) yes: bool,
    /// The most bytes that may wait in the pod; `None` leaves it to the injector.
    pub(crate) spool: Option<u64>,
    /// How long the JVM may wait for room, beyond what any disk takes; `None` is for as long as it takes.
    pub(crate) max_stall: Option<Duration>,
    /// How long it may stand still in all.
    pub(crate) max_pause: Option<Duration>,
}

/// Where a heap dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// POD-CONTAINER-UTC.hprof in the working directory.
    Default,
    /// A file, or POD-CONTAINER-UTC.hprof in it where it is a directory.
    File(PathBuf),
    Stdout,
}

const DEFAULT_MAX_STALL: Duration = Duration::from_secs(10);

impl DumpHeap {
    /// From the raw ones.
    ///
    /// # Errors
    /// A usage failure.
    pub(super) fn check(raw: cli::DumpHeap) -> Result<DumpHeap> {
        Ok(DumpHeap {
            file: match raw.file {
                None => Destination::Default,
                Some(file) if file.as_os_str() == "-" => Destination::Stdout,
                Some(file) => Destination::File(file),
            },
            live: !raw.objects.all,
            redact: match raw.redact {
                None => Redact::Nothing,
                Some(cli::Redact::Text) => Redact::Text,
                Some(cli::Redact::Arrays) => Redact::Arrays,
                Some(cli::Redact::All) => Redact::All,
            },
            format: match (raw.gzip, raw.zstd) {
                (true, _) => Format::Gzip,
                (_, true) => Format::Zstd,
                _ => Format::Raw,
            },
            force: raw.force,
            resume: !raw.no_resume,
            yes: raw.yes,
            spool: set(raw.spool_limit).map(|text| spool(&text)).transpose()?,
            max_stall: limit("--max-stall", raw.max_stall, Some(DEFAULT_MAX_STALL))?,
            max_pause: limit("--max-pause", raw.max_pause, None)?,
        })
    }
}

fn spool(text: &str) -> Result<u64> {
    quantity(text).ok_or_else(|| {
        Failure::usage(format!("--spool-limit \"{text}\" is no size")).remedy("examples: 0, 512Mi, 2Gi, 1G")
    })
}
