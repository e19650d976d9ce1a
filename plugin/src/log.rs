//! `-v`: what the plugin does, on stderr. Never tokens, environment or properties: kube's client logs whole objects when
//! it cannot read them, so of its modules only the one that logs requests is heard.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// kubectl shows requests from level 6 on.
const REQUESTS: u8 = 6;

/// Logs as much as kubectl's level asks for; nothing at 0.
pub(crate) fn init(verbosity: u8) {
    if verbosity == 0 {
        return;
    }
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(layer).with(filter(verbosity)).init();
}

fn filter(verbosity: u8) -> Targets {
    let own = match verbosity {
        0..=3 => LevelFilter::INFO,
        4..=7 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let requests = if verbosity >= REQUESTS { LevelFilter::DEBUG } else { LevelFilter::OFF };
    Targets::new().with_target("kubectl_jattach", own).with_target("kube_client::client::builder", requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_module_that_logs_whole_objects_is_never_heard() {
        for verbosity in 0..=10 {
            assert!(!filter(verbosity).would_enable("kube_client::client", &Level::ERROR), "at {verbosity}");
        }
    }

    #[test]
    fn requests_are_heard_from_kubectls_level_on() {
        assert!(!filter(5).would_enable("kube_client::client::builder", &Level::DEBUG));
        assert!(filter(6).would_enable("kube_client::client::builder", &Level::DEBUG));
        assert!(filter(4).would_enable("kubectl_jattach::debugger", &Level::DEBUG));
    }
}
