//! `verify` and `inspect`, as a person or a script runs them on a file. No cluster, no JVM: the dumps are made here.

mod dump;
mod hostile;
mod inspect;
mod packed;
mod run;
mod verify;
