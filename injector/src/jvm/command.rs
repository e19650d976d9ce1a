//! An attach command, from the words of a command line to the strings that the JVM gets.

use jattach_protocol::{Code, Failure};

/// The commands of HotSpot's attach listener that jattach names in its usage.
pub(crate) const KNOWN: [&str; 10] = [
    "load",
    "threaddump",
    "dumpheap",
    "setflag",
    "properties",
    "jcmd",
    "inspectheap",
    "datadump",
    "printflag",
    "agentProperties",
];

/// The number of arguments that version 1 of the protocol carries, always.
pub(crate) const ARGUMENTS: usize = 3;

/// A command and its arguments, as the JVM gets them: no string holds a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    name: Vec<u8>,
    arguments: Vec<Vec<u8>>,
}

impl Command {
    /// Exactly what jattach 2.1 makes of these words: any name, the first three arguments, the rest is dropped.
    pub(crate) fn like_jattach(name: &[u8], arguments: &[Vec<u8>]) -> Result<Command, Failure> {
        let arguments = arguments.iter().take(ARGUMENTS).cloned().collect();
        Command { name: name.to_vec(), arguments }.without_nul()
    }

    /// What a user means by these words: the words after `jcmd` are one diagnostic command, words that the JVM would
    /// drop are refused, and so is a command that no JVM has.
    pub(crate) fn from_words<S: AsRef<str>>(name: &str, arguments: &[S]) -> Result<Command, Failure> {
        Command::from_plain_words(name, &arguments.iter().map(AsRef::as_ref).collect::<Vec<&str>>())
    }

    fn from_plain_words(name: &str, words: &[&str]) -> Result<Command, Failure> {
        if !KNOWN.contains(&name) {
            return Err(Failure::new(Code::Usage, format!("unknown command {name}"))
                .remedy(format!("commands: {}", KNOWN.join(", "))));
        }
        let arguments: Vec<Vec<u8>> = if name == "jcmd" {
            vec![words.join(" ").into_bytes()]
        } else {
            words.iter().map(|word| word.as_bytes().to_vec()).collect()
        };
        if arguments.len() > ARGUMENTS {
            return Err(Failure::new(Code::Usage, format!("{name} takes at most {ARGUMENTS} arguments"))
                .evidence(format!("{} were given", arguments.len())));
        }
        Command { name: name.as_bytes().to_vec(), arguments }.without_nul()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its arguments, [`ARGUMENTS`] at most.
    pub(crate) fn arguments(&self) -> &[Vec<u8>] {
        &self.arguments
    }

    fn without_nul(self) -> Result<Command, Failure> {
        let strings = self.arguments.iter().chain([&self.name]);
        if strings.into_iter().any(|string| string.contains(&0)) {
            return Err(Failure::new(Code::Usage, "an argument holds a NUL byte, which ends a string in the protocol"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_drop_in_form_passes_any_name_and_drops_the_fourth_argument_as_jattach_does() {
        let command = Command::like_jattach(b"foo", &words(&["a", "b", "c", "d"])).expect("no NUL");
        assert_eq!(command.name(), b"foo");
        assert_eq!(command.arguments(), words(&["a", "b", "c"]));
    }

    #[test]
    fn the_words_of_a_diagnostic_command_become_one_argument() {
        let command = Command::from_words("jcmd", &["VM.native_memory", "summary", "scale=MB"]).expect("known");
        assert_eq!(command.arguments(), words(&["VM.native_memory summary scale=MB"]));
    }

    #[test]
    fn what_the_jvm_would_not_understand_is_refused_before_it_is_sent() {
        let code = |result: Result<Command, Failure>| result.expect_err("refused").code;
        assert_eq!(code(Command::from_words("treaddump", &["-l"])), Code::Usage);
        assert_eq!(code(Command::from_words("threaddump", &["1", "2", "3", "4"])), Code::Usage);
        assert_eq!(code(Command::from_words("setflag", &["A\0", "1"])), Code::Usage);
        assert_eq!(code(Command::like_jattach(b"a\0b", &[])), Code::Usage);
    }
}
