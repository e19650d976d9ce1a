//! The diagnostic commands that a JVM may have. Which ones it does have it says itself (`jcmd help`), to whom it is attached:
//! that is no price for a key that was pressed.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;

/// HotSpot's, of JDK 17 and 25 together, as their `jcmd PID help` lists them.
const COMMANDS: [&str; 59] = [
    "AOT.end_recording",
    "Compiler.CodeHeap_Analytics",
    "Compiler.codecache",
    "Compiler.codelist",
    "Compiler.directives_add",
    "Compiler.directives_clear",
    "Compiler.directives_print",
    "Compiler.directives_remove",
    "Compiler.memory",
    "Compiler.perfmap",
    "Compiler.queue",
    "GC.class_histogram",
    "GC.finalizer_info",
    "GC.heap_dump",
    "GC.heap_info",
    "GC.run",
    "GC.run_finalization",
    "JFR.check",
    "JFR.configure",
    "JFR.dump",
    "JFR.start",
    "JFR.stop",
    "JFR.view",
    "JVMTI.agent_load",
    "JVMTI.data_dump",
    "ManagementAgent.start",
    "ManagementAgent.start_local",
    "ManagementAgent.status",
    "ManagementAgent.stop",
    "System.dump_map",
    "System.map",
    "System.native_heap_info",
    "System.trim_native_heap",
    "Thread.dump_to_file",
    "Thread.print",
    "Thread.vthread_pollers",
    "Thread.vthread_scheduler",
    "VM.cds",
    "VM.class_hierarchy",
    "VM.classes",
    "VM.classloader_stats",
    "VM.classloaders",
    "VM.command_line",
    "VM.dynlibs",
    "VM.events",
    "VM.flags",
    "VM.info",
    "VM.log",
    "VM.metaspace",
    "VM.native_memory",
    "VM.print_touched_methods",
    "VM.set_flag",
    "VM.stringtable",
    "VM.symboltable",
    "VM.system_properties",
    "VM.systemdictionary",
    "VM.uptime",
    "VM.version",
    "help",
];

/// Those that begin so.
pub(super) fn commands(word: &OsStr) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    COMMANDS
        .iter()
        .filter(|command| command.starts_with(&*word))
        .map(|command| CompletionCandidate::new(*command))
        .collect()
}
