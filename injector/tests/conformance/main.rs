//! The injector against real JVMs, and beside the program whose place it takes.
//!
//! `cargo test -p jattach-injector --features real-jvm`. Wants a JDK, and Debian's `jattach` 2.1; the tests across
//! namespaces want root, and are skipped without, or fail where JATTACH_NO_SKIPS is set. JATTACH_INJECTOR names another
//! injector binary to test (the static one, say). JVMs: JAVA_HOME or the `java` of the PATH, and all others in /usr/lib/jvm.
#![cfg(feature = "real-jvm")]

mod jattach;
mod jvm;
mod namespaces;
mod run;
mod safe_order;
#[path = "../shared/skip.rs"]
mod skip;
