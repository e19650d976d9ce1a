//! The plugin against a cluster: any cluster, as `cargo xtask e2e` names it.

mod commands;
mod containers;
mod dry_run;
mod dumpheap;
mod faults;
mod identities;
mod injector;
mod jvms;
mod kubeconfigs;
mod kubectl;
mod load;
mod rbac;
mod restricted;
mod start;
mod targets;
mod terminal;
mod threaddump;
mod tmp;
