//! The images that this project makes.

mod disk;
#[cfg(test)]
mod dockerfile;
pub(crate) mod hostile;
pub(crate) mod injector;
pub(crate) mod jvm;
