//! Each claim of the lab about its containers, checked from inside of one. These tests need root and runc.

mod exec;
mod identity;
mod isolation;
mod leftovers;
mod lifecycle;
mod limits;
mod processes;
mod support;
