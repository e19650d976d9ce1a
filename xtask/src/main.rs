//! The commands of the README: `cargo xtask injector`, `image`, `test`, `e2e`, `bench`, `demo`.
//!
//! Nothing here is shipped. Data (a path, a summary) goes to stdout, the account of what is being done to stderr.

mod arch;
mod cli;
mod cluster;
mod commands;
mod dev_build;
#[cfg(test)]
mod docs;
mod elf;
#[cfg(test)]
mod github;
mod images;
mod kind;
mod krew;
mod lab;
mod static_build;
mod steps;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::run(&cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
