//! Whether the API server answers, and which version it is.

use k8s_openapi::apimachinery::pkg::version::Info;

use super::report::Verdict;
use crate::catalogue::Id;
use crate::client::Place;
use crate::client::explain::{Call, CallError};
use crate::error::Failure;

/// Ephemeral containers are stable from here on.
const OLDEST: u32 = 25;

/// From here on exec takes the right to create pods/exec beside that to get it
/// (AuthorizePodWebsocketUpgradeCreatePermission).
const ASKS_FOR_CREATE: u32 = 35;

/// Whether exec takes the right to create pods/exec there; also where the version is not told.
pub(super) fn asks_for_create(answer: &Result<Info, CallError>) -> bool {
    let told = answer.as_ref().ok().filter(|info| info.major == "1").and_then(minor);
    told.is_none_or(|minor| minor >= ASKS_FOR_CREATE)
}

/// What an answer to the question for its version says.
pub(super) fn verdict(answer: Result<Info, CallError>, place: &Place) -> Verdict {
    let server = &place.server;
    match answer {
        Ok(info) => known(&info, server),
        // Some clusters keep the path from all but a few; who is told so has been heard.
        Err(error) if error.status().is_some_and(|status| status.code == 403) => {
            Verdict::Ok(format!("{server}, which does not tell you its version"))
        }
        Err(error) => error.explain(&Call::get("version", ""), place).into(),
    }
}

fn known(info: &Info, server: &str) -> Verdict {
    let version = &info.git_version;
    match minor(info) {
        Some(minor) if info.major == "1" && minor < OLDEST => {
            Failure::new(Id::NoSuchResource, format!("{server} is {version}, and too old for ephemeral containers"))
                .remedy(format!("Kubernetes 1.{OLDEST} or newer is needed"))
                .into()
        }
        _ => Verdict::Ok(format!("{version} at {server}")),
    }
}

/// `27+` is how some providers write 27.
fn minor(info: &Info) -> Option<u32> {
    info.minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use kube::core::Status;

    fn place() -> Place {
        Place { namespace: "shop".to_owned(), server: "https://k8s.example".to_owned() }
    }

    fn of(major: &str, minor: &str) -> Verdict {
        let git_version = format!("v{major}.{minor}.3");
        let info = Info { major: major.to_owned(), minor: minor.to_owned(), git_version, ..Info::default() };
        verdict(Ok(info), &place())
    }

    #[test]
    fn a_server_without_ephemeral_containers_is_a_failure() {
        assert!(matches!(of("1", "24"), Verdict::Fail(failure) if failure.exit() == Exit::Other));
        assert!(matches!(of("1", "24+"), Verdict::Fail(_)));
        for new in ["25", "36", "27+", "unheard-of"] {
            assert!(matches!(of("1", new), Verdict::Ok(text) if text.contains(new)), "{new}");
        }
        assert!(matches!(of("2", "0"), Verdict::Ok(_)));
    }

    #[test]
    fn a_server_asks_for_create_from_some_version_on() {
        let of = |minor: &str| Ok(Info { major: "1".to_owned(), minor: minor.to_owned(), ..Info::default() });
        assert!(!asks_for_create(&of("34")) && !asks_for_create(&of("34+")));
        assert!(asks_for_create(&of("35")) && asks_for_create(&of("36+")) && asks_for_create(&of("unheard-of")));
    }

    #[test]
    fn a_server_that_keeps_its_version_to_itself_has_answered_all_the_same() {
        let refused = |code| {
            let status = Status::failure("no", "Reason").with_code(code);
            verdict(Err(kube::Error::Api(Box::new(status)).into()), &place())
        };
        assert!(matches!(refused(403), Verdict::Ok(_)));
        assert!(matches!(refused(401), Verdict::Fail(failure) if failure.exit() == Exit::Refused));
        assert!(matches!(refused(500), Verdict::Fail(failure) if failure.exit() == Exit::Other));
    }
}
