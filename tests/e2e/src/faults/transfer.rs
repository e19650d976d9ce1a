//! A heap dump on its way from a [`Stage`] through a proxy that breaks connections.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::Outcome;
use super::stage::{HEAP, Stage};
use crate::documents;
use crate::dump;
use crate::kubeconfig::Kubeconfig;
use crate::proxy::{Fault, Proxy};
use crate::run::{Program, Ran, Running};

/// Bytes a second at which a test can do something while a dump is on its way.
pub const UNHURRIED: Fault = Fault::Rate(16 << 20);

/// A dump to `x.hprof` in a directory of its own.
#[derive(Debug)]
pub struct Transfer<'s> {
    stage: &'s Stage,
    directory: TempDir,
    /// Where the kubeconfigs lie.
    aside: TempDir,
}

impl<'s> Transfer<'s> {
    /// Nothing is started yet.
    ///
    /// # Panics
    /// If there is no room for a directory.
    #[must_use]
    pub fn of(stage: &'s Stage) -> Transfer<'s> {
        Transfer { stage, directory: tempdir().expect("a directory"), aside: tempdir().expect("a directory") }
    }

    /// `x.hprof`.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("x.hprof")
    }

    /// The command through that proxy, with the name of the file as its last word unless `file` is another one.
    #[must_use]
    pub fn to(&self, proxy: &Proxy, file: &str) -> Program {
        let config = Kubeconfig::admin().through(&proxy.url()).write(self.aside.path());
        self.stage.pod().plugin_by(&config, ["dumpheap", file]).directory(self.directory.path())
    }

    /// The command through that proxy.
    #[must_use]
    pub fn program(&self, proxy: &Proxy) -> Program {
        self.to(proxy, "x.hprof")
    }

    /// Starts it through a proxy with that fault, and waits until so many bytes have come.
    #[must_use]
    pub fn under_way(&self, flags: &[&str], fault: Fault, bytes: u64) -> (Running, Proxy) {
        let proxy = Proxy::start().with(fault);
        let running = self.program(&proxy).args(flags).start();
        proxy.wait_until_passed(bytes);
        (running, proxy)
    }

    /// What came of it: a whole dump of everything the application holds, or a failure that explains itself and leaves
    /// nothing by the dump's name.
    ///
    /// # Panics
    /// If it is neither.
    #[track_caller]
    #[must_use]
    pub fn outcome(&self, ran: Ran) -> Outcome {
        let names = dump::names(self.directory.path());
        match ran.code() {
            Some(0) => {
                let _ = ran.says("verified to its end");
                assert_eq!(names, ["x.hprof"]);
                let (_, found) = documents::of_dump(&self.file());
                assert!(documents::of_heap(HEAP).is_subset(&found), "what the application holds is not all there");
                Outcome::Whole
            }
            Some(code) => {
                let _ = ran.explains();
                assert!(!names.contains(&"x.hprof".to_owned()), "{names:?}");
                Outcome::Failed(code)
            }
            None => panic!("the plugin was killed: {ran}"),
        }
    }

    /// The same where it has to be whole.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    #[must_use]
    pub fn whole(&self, ran: Ran) -> Outcome {
        self.outcome(ran.succeeded())
    }

    /// The same where it has to fail with one of these codes, and what came is kept.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn kept(&self, ran: Ran, codes: &[i32]) -> Outcome {
        assert!(ran.code().is_some_and(|code| codes.contains(&code)), "{ran}");
        let ran = ran.says(" arrived and are in ");
        let held = fs::metadata(self.file().with_extension("hprof.part")).map_or(0, |part| part.len());
        assert!(held > 0, "nothing is kept: {:?}\n{ran}", dump::names(self.directory.path()));
        self.outcome(ran)
    }

    /// Runs the same command again, without a fault: it goes on with what is there, and fetches nothing of that again.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn gone_on_with(&self) -> Outcome {
        let stored = self.stored();
        let proxy = Proxy::start();
        let ran = self.program(&proxy).run().succeeded();
        assert!(!ran.stderr.contains("starting afresh"), "{ran}");
        // A few seals and heartbeats of TLS and HTTP beside the blocks.
        let (length, passed) = (documents::of_dump(&self.file()).0, proxy.bytes());
        assert!(
            passed < length - stored + length / 8,
            "{passed} bytes for {length} of which {stored} were there\n{ran}"
        );
        self.whole(ran)
    }

    /// How much of the dump is acknowledged, by its record.
    fn stored(&self) -> u64 {
        let record = fs::read(self.file().with_extension("hprof.part.json")).expect("a record of the dump");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        record["streams"].as_array().expect("streams").iter().filter_map(|held| held["raw"].as_u64()).sum()
    }
}
