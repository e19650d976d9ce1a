//! The plugin against a cluster: any cluster, as `cargo xtask e2e` names it.

mod commands;
mod containers;
mod credentials;
mod dry_run;
mod dump_faults;
mod dumpheap;
mod exec_v4;
mod faults;
mod identities;
mod in_cluster;
mod injector;
mod jvms;
mod kubeconfigs;
mod kubectl;
mod load;
mod proxies;
mod rbac;
mod restricted;
mod resume;
mod shapes;
mod start;
mod targets;
mod terminal;
mod threaddump;
mod tmp;
mod transfer;
