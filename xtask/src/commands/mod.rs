//! One file per command.

mod bench;
mod check;
mod demo;
mod dist;
mod e2e;
mod image;
mod injector;
mod soak;
mod test;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::images::jvm;
use crate::lab;
use crate::tools::jdk::{self, Jdk};
use crate::tools::{self, Package, apt, python, root};
use crate::workspace::Workspace;

/// Runs the command.
pub(crate) fn run(cli: &Cli) -> Result<()> {
    let workspace = Workspace::find()?;
    match &cli.command {
        Command::Injector(arguments) => injector::run(&workspace, arguments, cli.yes),
        Command::Dist(arguments) => dist::run(&workspace, arguments, cli.yes),
        Command::Image(arguments) => image::run(&workspace, arguments, cli.yes),
        Command::Check(arguments) => check::run(&workspace, arguments, cli.yes),
        Command::Test(arguments) => test::run(&workspace, arguments, cli.yes),
        Command::Bench(arguments) => bench::run(&workspace, arguments, cli.yes),
        Command::Demo(arguments) => demo::run(&workspace, arguments, cli.yes),
        Command::E2e(arguments) => e2e::run(&workspace, arguments, cli.yes),
        Command::Soak(arguments) => soak::run(&workspace, arguments, cli.yes),
    }
}

/// Installs what the lab and the images in it are made of, and `more`; one question for all of it.
fn install(workspace: &Workspace, more: &[Package], yes: bool) -> Result<Jdk> {
    let sh = workspace.shell()?;
    let packages = [&lab::PACKAGES[..], &jvm::PACKAGES, more].concat();
    let missing = [&tools::missing(&packages)[..], python::missing(&sh), jdk::missing().as_slice()].concat();
    apt::install(&sh, &missing, yes)?;
    root::check(&sh)?;
    jdk::ensure(&sh, yes)
}
