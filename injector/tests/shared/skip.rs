//! What a test cannot do on this machine. With JATTACH_NO_SKIPS that is a failure: `cargo xtask test` sets it, where it is root.

/// Says that the running test, or a part of it, is left out.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("JATTACH_NO_SKIPS").is_none(), "not to be skipped: {reason}");
    eprintln!("skipped: {reason}");
}
