//! The program in the image: attaches to a JVM from outside, across namespaces, and never harms it.

mod args;
mod dropin;
mod jvm;
mod process;
mod sys;

use std::io::{self, Write};
use std::process::ExitCode;

use args::Invocation;
use jattach_protocol::{Code, Failure};
use sys::Kernel;

const USAGE: &str = "\
Usage: injector <pid> <cmd> [args ...]
       injector list [--json]

Commands:
    load  threaddump   dumpheap  setflag    properties
    jcmd  inspectheap  datadump  printflag  agentProperties
";

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(args::parse(std::env::args_os().skip(1)), &mut out) {
        Ok(code) => ExitCode::from(code),
        // A reader of our output that has gone: nobody wants to hear more.
        Err(failure) if failure.code == Code::Cancelled && failure.cause.is_empty() => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: Option<Invocation>, out: &mut dyn Write) -> Result<u8, Failure> {
    match invocation {
        Some(Invocation::DropIn { pid, command, arguments }) => dropin::run(&Kernel, &pid, &command, &arguments, out),
        Some(Invocation::List { json: _ }) => Ok(1),
        Some(Invocation::Hold(_arguments)) => Ok(1),
        Some(Invocation::Session(_arguments)) => Ok(1),
        Some(Invocation::Version) => print(out, concat!("injector ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Some(Invocation::Help) => print(out, USAGE, 0),
        None => print(out, USAGE, 1),
    }
}

fn print(out: &mut dyn Write, text: &str, code: u8) -> Result<u8, Failure> {
    let _ = out.write_all(text.as_bytes());
    Ok(code)
}
