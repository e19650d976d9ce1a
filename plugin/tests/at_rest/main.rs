//! What needs no cluster and no JVM, as a person or a script runs it: `explain`, and `verify` and `inspect` on files that are
//! made here.

#[cfg(unix)]
mod completion;
mod dump;
mod explain;
mod hostile;
mod image;
mod inspect;
mod man;
mod packed;
mod run;
mod verify;
