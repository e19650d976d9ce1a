//! The plugin against a cluster: any cluster, as `cargo xtask e2e` names it.

mod commands;
mod containers;
mod dry_run;
mod dumpheap;
mod identities;
mod injector;
mod jvms;
mod load;
mod restricted;
mod start;
mod targets;
mod threaddump;
mod tmp;
