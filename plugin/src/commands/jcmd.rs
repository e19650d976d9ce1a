//! `jcmd`: any diagnostic command of the JVM.

use jattach_protocol::message::Operation;

use super::attach;

/// The words as the one line that the JVM takes: it parts them at blanks, so a word that holds some is quoted, and of
/// `key=value` the value alone.
pub(super) fn operation(words: &[String]) -> Operation {
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    attach("jcmd", Some(line.join(" ")))
}

fn quoted(word: &str) -> String {
    let has_blank = word.contains(char::is_whitespace);
    let is_quoted = word.contains(['"', '\'']);
    match word.split_once('=') {
        _ if !has_blank || is_quoted => word.to_owned(),
        Some((key, value)) if !key.contains(char::is_whitespace) => format!("{key}=\"{value}\""),
        _ => format!("\"{word}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match operation(&words) {
            Operation::Attach { command, arguments } => format!("{command} {}", arguments.join("|")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_words_are_one_argument() {
        assert_eq!(line(&["Thread.print", "-l"]), "jcmd Thread.print -l");
    }

    #[test]
    fn a_word_with_blanks_stays_one_word() {
        assert_eq!(line(&["GC.heap_dump", "/tmp/a b"]), "jcmd GC.heap_dump \"/tmp/a b\"");
        assert_eq!(line(&["JFR.start", "filename=/tmp/a b"]), "jcmd JFR.start filename=\"/tmp/a b\"");
    }

    #[test]
    fn a_word_that_the_user_quoted_for_the_jvm_is_left_alone() {
        assert_eq!(line(&["JFR.start", "name='a b'"]), "jcmd JFR.start name='a b'");
        assert_eq!(line(&["GC.heap_dump \"/tmp/a b\""]), "jcmd GC.heap_dump \"/tmp/a b\"");
    }
}
