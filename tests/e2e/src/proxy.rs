//! A proxy before the cluster that breaks connections on demand, for tests that are not asynchronous.

use std::time::Duration;

pub use jattach_lab::proxy::Fault;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Longer than this nothing takes to pass.
const LIMIT: Duration = Duration::from_secs(60);

/// A running proxy, and the runtime that it runs on.
#[derive(Debug)]
pub struct Proxy {
    // Dropped first: it ends in its runtime.
    proxy: jattach_lab::proxy::Proxy,
    runtime: Runtime,
}

impl Proxy {
    /// A proxy to wherever the client wants.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn start() -> Proxy {
        Proxy::run(jattach_lab::proxy::Proxy::start())
    }

    /// A proxy to one server, `HOST:PORT`, whatever the client calls it.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn start_to(server: &str) -> Proxy {
        Proxy::run(jattach_lab::proxy::Proxy::start_to(server.to_owned()))
    }

    fn run(start: impl Future<Output = std::io::Result<jattach_lab::proxy::Proxy>>) -> Proxy {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let proxy = runtime.block_on(start).expect("a port for the proxy");
        Proxy { proxy, runtime }
    }

    /// The same with a fault for every connection to come.
    #[must_use]
    pub fn with(self, fault: Fault) -> Proxy {
        self.proxy.set_fault(fault);
        self
    }

    /// The fault of every connection to come, from now on.
    pub fn set(&self, fault: Fault) {
        self.proxy.set_fault(fault);
    }

    /// Cuts every open connection at once.
    pub fn cut(&self) {
        self.proxy.cut_all();
    }

    /// For `proxy-url` and HTTPS_PROXY.
    #[must_use]
    pub fn url(&self) -> String {
        self.proxy.url()
    }

    /// How many connections it has made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.proxy.connections()
    }

    /// Frees every open connection from its fault.
    pub fn release(&self) {
        self.proxy.release();
    }

    /// How many bytes, encrypted as they are, have gone to clients.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.proxy.bytes()
    }

    /// Waits until so many bytes, encrypted as they are, have gone to clients.
    ///
    /// # Panics
    /// If they do not.
    pub fn wait_until_passed(&self, bytes: u64) {
        let passed = async { timeout(LIMIT, self.proxy.passed(bytes)).await };
        let passed = self.runtime.block_on(passed);
        assert!(passed.is_ok(), "{} bytes of {bytes} passed within {} s", self.proxy.bytes(), LIMIT.as_secs());
    }
}
