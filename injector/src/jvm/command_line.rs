//! A JVM's command line, as far as it names what runs: where the performance data does not.

/// Launcher options whose value is the next argument (java --help).
const WITH_VALUE: [&[u8]; 14] = [
    b"-cp",
    b"-classpath",
    b"--class-path",
    b"-p",
    b"--module-path",
    b"--upgrade-module-path",
    b"--add-modules",
    b"--limit-modules",
    b"--add-exports",
    b"--add-opens",
    b"--add-reads",
    b"--patch-module",
    b"--enable-native-access",
    b"--source",
];

/// Whether the program calls itself java.
pub(crate) fn names_java(command_line: &[u8]) -> bool {
    let program = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    program.rsplit(|byte| *byte == b'/').next() == Some(b"java")
}

/// The main class, jar or module of `java OPTIONS… MAIN ARGS…`, each argument ended by a NUL.
pub(crate) fn main_class(command_line: &[u8]) -> Option<&[u8]> {
    let mut words = command_line.split(|byte| *byte == 0).skip(1);
    while let Some(word) = words.next() {
        if [b"-jar".as_slice(), b"-m", b"--module"].contains(&word) {
            return words.next().filter(|word| !word.is_empty());
        }
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if let Some(module) = word.strip_prefix(b"--module=") {
            return Some(module);
        } else if !word.is_empty() && !word.starts_with(b"-") && !word.starts_with(b"@") {
            return Some(word);
        }
    }
    None
}

/// The first word of a command as HotSpot prints it: main class or jar, then the arguments, joined by blanks.
pub(crate) fn first_word(command: &[u8]) -> Option<&[u8]> {
    command.split(|byte| *byte == b' ').next().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_class_is_found_behind_the_options() {
        for (line, main) in [
            ("java\0Main\0a\0", Some("Main")),
            ("/opt/jdk/bin/java\0-Xmx1g\0-cp\0lib/*\0Main\0-jar\0x\0", Some("Main")),
            ("java\0-jar\0app.jar\0x\0", Some("app.jar")),
            ("java\0-p\0mods\0-m\0shop/shop.Main\0", Some("shop/shop.Main")),
            ("java\0--module=shop/shop.Main\0", Some("shop/shop.Main")),
            ("java\0@args\0--class-path=x\0Main\0", Some("Main")),
            ("java\0-version\0", None),
            ("java\0-jar\0", None),
            ("", None),
        ] {
            assert_eq!(main_class(line.as_bytes()), main.map(str::as_bytes), "{line:?}");
        }
    }

    #[test]
    fn java_is_known_by_the_last_part_of_its_path() {
        assert!(names_java(b"/opt/jdk/bin/java\0-version\0"));
        assert!(!names_java(b"/opt/java/run\0"));
        assert!(!names_java(b"javac\0"));
        assert!(!names_java(b""));
    }
}
