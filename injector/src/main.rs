//! The program in the image: attaches to a JVM from outside, across namespaces, and never harms it.

mod args;
mod dropin;
mod dump;
mod hold;
mod jvm;
mod list;
mod process;
mod rendezvous;
mod session;
mod shelter;
#[cfg(test)]
#[path = "../tests/shared/skip.rs"]
mod skip;
mod sys;

use std::io::{self, Write};
use std::process::ExitCode;

use args::Invocation;
use jattach_protocol::{Code, Failure};
use sys::Kernel;

/// What this program calls itself to its peers.
const SOFTWARE: &str = concat!("injector ", env!("CARGO_PKG_VERSION"));

const USAGE: &str = "\
Usage: injector <pid> <cmd> [args ...]
       injector list [--json]

Commands:
    load  threaddump   dumpheap  setflag    properties
    jcmd  inspectheap  datadump  printflag  agentProperties
";

fn main() -> ExitCode {
    let invocation = args::parse(std::env::args_os().skip(1));
    let mut out = io::stdout().lock();
    let result = match invocation {
        Some(Invocation::Hold) => return hold::run(),
        Some(Invocation::Session) => return session::run(),
        Some(Invocation::Inside) => return hold::inside::run(),
        Some(Invocation::DropIn { pid, command, arguments }) => {
            dropin::run(&Kernel, &pid, &command, &arguments, &mut out)
        }
        Some(Invocation::List { json }) => {
            let _ = list::print(&list::jvms(&Kernel), json, &mut out);
            Ok(0)
        }
        Some(Invocation::Shelter { who, mounts: true }) => shelter::mount(&Kernel, &who, &mut out).map(|()| 0),
        Some(Invocation::Shelter { who, mounts: false }) => shelter::guard(&Kernel, &who).map(|()| 0),
        Some(Invocation::Version) => print(&mut out, concat!("injector ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Some(Invocation::Help) => print(&mut out, USAGE, 0),
        None => print(&mut out, USAGE, 1),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // A reader of our output that has gone: nobody wants to hear more.
        Err(failure) if failure.code == Code::Cancelled && failure.cause.is_empty() => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn print(out: &mut dyn Write, text: &str, code: u8) -> Result<u8, Failure> {
    let _ = out.write_all(text.as_bytes());
    Ok(code)
}
