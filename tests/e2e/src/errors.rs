//! What a person sees of a failure, kept in tests/errors under its id.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use snapbox::{Data, assert_data_eq};

use crate::cluster;
use crate::run::Ran;

/// What differs from run to run, and what stands for it.
static NAMES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"jattach-e2e-[0-9a-f]{12}", "NAMESPACE"),
        (r"jattach-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "jattach-xxxxx"),
        (r"(https?)://[0-9a-z.:\[\]-]+:[0-9]+", "$1://SERVER"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME"),
        (r"[0-9a-f]{64}", "CONTAINER"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
        (r"back-off [0-9ms]+", "back-off TIME"),
        (r"\b[0-9]+(\.[0-9]+)? (bytes|[KMG]iB|ms|s|%)", "N $2"),
        (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "TIME"),
        (r"/tmp/\.tmp[0-9A-Za-z]{6}", "DIRECTORY"),
        (r"--kubeconfig=[^ `]+", "--kubeconfig=FILE"),
        (r" --context=[^ `]+", ""),
        (r"\.jattach-in-[0-9a-f-]+", ".jattach-in-xxxxx"),
        (r"within frame [0-9]+", "within frame N"),
        (r"certificate is only valid for .+", "certificate is only valid for NAMES"),
    ]
    .map(|(pattern, stand_in)| (Regex::new(pattern).expect("a pattern"), stand_in))
    .into()
});

impl Ran {
    /// Checks that it ended with a failure that reads as in tests/errors/JAT-nnn.CASE.txt, but for names that differ from
    /// run to run; elsewhere than in the lab, of whose nodes everything is known, also but for the evidence.
    /// [`Ran::is_error_however_seen`] is for what is seen now so and now so.
    /// `SNAPSHOTS=overwrite` in the lab writes the file anew: read the difference.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn is_error(self, snapshot: &str) -> Ran {
        self.compared(snapshot, cluster().is_lab)
    }

    /// The same, whatever the evidence.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn is_error_however_seen(self, snapshot: &str) -> Ran {
        self.compared(snapshot, false)
    }

    #[track_caller]
    fn compared(self, snapshot: &str, to_the_letter: bool) -> Ran {
        let id = snapshot.split('.').next().unwrap_or_default();
        // Who has interrupted it knows why, and what to do.
        let ran = if id == "JAT-017" { self } else { self.explains() };
        let at = ran.stderr.find("error[").unwrap_or_else(|| panic!("no failure\n{ran}"));
        let mut text = ran.stderr[at..].to_owned();
        assert!(text.starts_with(&format!("error[{id}]: ")), "another failure than {id}\n{ran}");
        for (pattern, stand_in) in NAMES.iter() {
            text = pattern.replace_all(&text, *stand_in).into_owned();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../errors/{snapshot}.txt"));
        if to_the_letter || !path.exists() {
            assert_data_eq!(text, Data::read_from(&path, None).raw());
        } else {
            let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(without_evidence(&text), without_evidence(&expected), "{ran}");
        }
        ran
    }
}

fn without_evidence(text: &str) -> String {
    let cause = text.split("\n  evidence: ").next().unwrap_or_default();
    let remedy = text.split_once("\n  remedy: ").map(|(_, remedy)| remedy).unwrap_or_default();
    format!("{cause}\n{remedy}")
}
