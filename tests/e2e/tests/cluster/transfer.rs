//! A dump through a proxy that breaks it.

use std::path::PathBuf;

use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Program, Proxy, cluster, dump, manifest};
use tempfile::{TempDir, tempdir};

/// How far a transfer gets before it breaks: more than everything before it takes, less than what may be under way
/// without an acknowledgement (32 MiB), far less than the dump.
pub(crate) const SOME: u64 = 4 << 20;

/// For how long the injector keeps a dump that nobody fetches: no longer than a test can wait.
pub(crate) const BRIEFLY: [&str; 1] = ["--ttl=5s"];

/// A heap that does not become smaller on its way.
pub(crate) fn start_large<'n>(namespace: &'n Namespace) -> Pod<'n> {
    let app = manifest::jvm_with("app", &["--heap-mb", "40", "--content", "random"]);
    namespace.start(&manifest::pod("x", &[manifest::restricted(app)]))
}

/// A dump through a proxy into a directory of its own.
pub(crate) struct Transfer {
    pub(crate) proxy: Proxy,
    pub(crate) directory: TempDir,
    _config: Config,
    pub(crate) program: Program,
}

/// A directory with a kubeconfig, which goes with the transfer.
struct Config(PathBuf);

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Transfer {
    pub(crate) fn of(pod: &Pod<'_>, fault: Fault) -> Transfer {
        let transfer = Transfer::to_nowhere(pod, fault);
        let program = transfer.program.clone().arg(transfer.file());
        Transfer { program, ..transfer }
    }

    /// One that still lacks the FILE.
    pub(crate) fn to_nowhere(pod: &Pod<'_>, fault: Fault) -> Transfer {
        let (proxy, directory) = (Proxy::start().with(fault), tempdir().expect("a directory"));
        let elsewhere = directory.path().with_extension("config");
        std::fs::create_dir(&elsewhere).expect("room for a kubeconfig");
        let config = Kubeconfig::admin().through(&proxy.url()).write(&elsewhere);
        let program = cluster().plugin_of_image().arg("--kubeconfig").arg(&config).args(["-n", &pod.namespace.name]);
        let program = program.args(["pod/x", "dumpheap"]);
        Transfer { proxy, directory, _config: Config(elsewhere), program }
    }

    /// What the dump is to be called.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("x.hprof")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        dump::names(self.directory.path())
    }

    /// Nothing has the dump's name, and what did arrive is kept.
    #[track_caller]
    pub(crate) fn is_kept_as_part(&self) {
        let names = self.names();
        // Where a JVM writes two streams there is a second part; a client that was killed may have been writing its record.
        let known = ["x.hprof.part", "x.hprof.part.json", "x.hprof.part.json.new", "x.hprof.part.p0"];
        assert!(names.len() >= 2 && names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
        let parts = names.iter().filter(|name| !name.contains(".json")).map(|name| self.directory.path().join(name));
        assert!(parts.map(|part| part.metadata().expect("a part").len()).sum::<u64>() > 0);
    }
}
