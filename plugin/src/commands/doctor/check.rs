//! The checks: their order, and which one cannot be made without which other.

/// A check, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    ApiServer,
    Permissions,
    Target,
    Injector,
    Identity,
    Jvm,
    Attachable,
    Exec,
}

use Check::{ApiServer, Attachable, Exec, Identity, Injector, Jvm, Permissions, Target};

impl Check {
    /// All of them, in their order.
    pub(super) const ALL: [Check; 8] = [ApiServer, Permissions, Target, Injector, Identity, Jvm, Attachable, Exec];

    /// What a person calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            ApiServer => "API server",
            Permissions => "permissions",
            Target => "target",
            Injector => "injector",
            Identity => "uid and gid",
            Jvm => "JVM",
            Attachable => "attachable",
            Exec => "exec",
        }
    }

    /// The checks that have to be passed for this one to be made.
    pub(super) fn needs(self) -> &'static [Check] {
        match self {
            ApiServer => &[],
            Permissions | Target => &[ApiServer],
            // None is started where no command could use it: its container could not be taken away again.
            Injector => &[Permissions, Target],
            Exec => &[Injector],
            Identity => &[Exec],
            Jvm => &[Identity],
            Attachable => &[Jvm],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_place() {
        assert!(Check::ALL.is_sorted());
        let names: std::collections::HashSet<_> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
    }

    #[test]
    fn no_check_needs_itself_in_the_end() {
        fn depth(check: Check, left: usize) {
            assert!(left > 0, "{check:?} needs what needs it");
            check.needs().iter().for_each(|need| depth(*need, left - 1));
        }
        Check::ALL.into_iter().for_each(|check| depth(check, Check::ALL.len()));
    }
}
