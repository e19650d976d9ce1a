//! The plugin against a cluster: any cluster, as `cargo xtask e2e` names it.

mod dumpheap;
mod threaddump;
