//! The images that this project makes.

pub(crate) mod dockerfile;
pub(crate) mod injector;
pub(crate) mod jvm;
