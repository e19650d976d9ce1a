//! A line that is not whole yet, for completion.

use std::ffi::OsString;

use clap_lex::RawArgs;

use super::{Flags, NAME, RESERVED, Scan};

/// A line that is still being typed: what its words say up to the one under the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) target: Option<OsString>,
    pub(crate) has_selector: bool,
    /// COMMAND, and then what else is no flag.
    pub(crate) command: Vec<OsString>,
    /// Our flags, each as one word.
    pub(crate) flags: Vec<OsString>,
    /// The flag whose value is the word under the cursor.
    pub(crate) pending: Option<String>,
    /// Whether that word is no flag, whatever it begins with.
    pub(crate) is_escaped: bool,
}

impl Typed {
    /// From the words before that under the cursor, without the program's name.
    pub(crate) fn of(words: &[OsString], definitions: &clap::Command) -> Typed {
        let mut definitions = definitions.clone();
        definitions.build();
        let mut scan = Scan { flags: Flags::of(&definitions), ..Scan::default() };
        let words = std::iter::once(NAME.into()).chain(words.iter().cloned());
        // What makes no sense is for the command to say, once the line is whole.
        let _ = scan.run(&RawArgs::new(words));
        let is_escaped = scan.is_escaped || scan.jvms_turn();
        let has_selector = scan.selector.is_some();
        let is_reserved = scan.plain.first().is_some_and(|word| RESERVED.iter().any(|reserved| word == reserved));
        let mut command = scan.plain;
        let has_target = !has_selector && !is_reserved && !command.is_empty();
        let target = has_target.then(|| command.remove(0));
        Typed { target, has_selector, command, flags: scan.given, pending: scan.pending, is_escaped }
    }
}
