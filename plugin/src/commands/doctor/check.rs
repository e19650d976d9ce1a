//! The checks: their order, and which one cannot be made without which other.

macro_rules! checks {
    ($($check:ident $name:literal;)*) => {
        /// A check, in the order in which they are shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Check {
            $($check,)*
        }

        use Check::{$($check,)*};

        impl Check {
            /// All of them, in their order.
            pub(super) const ALL: [Check; [$($name,)*].len()] = [$($check,)*];

            /// What a person calls it.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $($check => $name,)*
                }
            }
        }
    };
}

checks! {
    ApiServer "API server";
    Permissions "permissions";
    Target "target";
    StaticPod "static pod";
    NodeOs "node OS";
    Admission "admission";
    Injector "injector";
    Identity "uid and gid";
    Capabilities "capabilities";
    Labels "labels";
    Tmp "/tmp writable";
    Jvm "JVM";
    Attachable "attachable";
    FreeHere "free space here";
    FreeThere "free in the pod";
    Storage "storage limit";
    Memory "memory";
    Probes "probes";
    Exec "exec";
    Speed "speed to here";
}

impl Check {
    /// Whether it tells no more than that all is well, where it is.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Permissions | StaticPod | NodeOs | Admission | Identity | Capabilities | Labels | Exec)
    }

    /// The checks that have to be passed for this one to be made.
    pub(super) fn needs(self) -> &'static [Check] {
        match self {
            ApiServer => &[],
            Permissions | Target => &[ApiServer],
            // It would say the same of a static pod.
            Admission => &[Permissions, Target, StaticPod],
            StaticPod | NodeOs | Tmp | FreeHere | Storage | Memory | Probes => &[Target],
            // None is started where no command could use it: its container could not be taken away again.
            Injector => &[Permissions, Target, Admission, StaticPod, NodeOs],
            Exec => &[Injector],
            Identity | Capabilities | Labels => &[Exec],
            Jvm | Speed => &[Identity],
            Attachable | FreeThere => &[Jvm],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own() {
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

    #[test]
    fn the_server_is_not_asked_for_what_the_pods_own_kind_refuses() {
        use super::super::report::{Report, Verdict};
        let mut report = Report::default();
        for passed in [ApiServer, Permissions, Target] {
            report.add(passed, Verdict::Ok(String::new()));
        }
        report.add(StaticPod, crate::error::Failure::new(crate::catalogue::Id::StaticPod, "a static pod"));
        assert!(!report.allows(Admission) && report.allows(NodeOs));
    }
}
