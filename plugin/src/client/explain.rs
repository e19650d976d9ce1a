//! What the API server refused, or what kept it from answering, made into cause, evidence and remedy.
//!
//! The texts that are taken apart here are the API server's own; tests/recordings holds one of each kind.

mod rbac;
mod transport;

use std::fmt;
use std::time::Duration;

use kube::core::Status;

use super::Place;
use crate::catalogue::Id;
use crate::error::Failure;
use crate::kubectl;

pub(crate) use rbac::FIX_RBAC;
pub(crate) use transport::no_client;

/// A call, in the words of RBAC: what was tried on what.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `get`, `list`, `watch`, `patch`, or `exec` for the two verbs that it takes.
    pub(crate) verb: &'static str,
    /// `pods`, `pods/ephemeralcontainers`, `deployments.apps`.
    pub(crate) resource: &'static str,
    /// The object's name, or a selector.
    pub(crate) name: String,
}

impl Call {
    /// Any call.
    pub(crate) fn new(verb: &'static str, resource: &'static str, name: impl Into<String>) -> Call {
        Call { verb, resource, name: name.into() }
    }

    pub(crate) fn get(resource: &'static str, name: &str) -> Call {
        Call::new("get", resource, name)
    }

    pub(crate) fn list(resource: &'static str, selector: &str) -> Call {
        Call::new("list", resource, selector)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.resource, self.name)
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server's refusal, or a failure on the way to it.
    #[error("failed to call the API server")]
    Call(#[source] Box<kube::Error>),
    /// The limit for a single request ran out.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> CallError {
        CallError::Call(Box::new(error))
    }
}

impl CallError {
    /// The server's refusal, if it was one.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            CallError::Call(error) => match error.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            CallError::TimedOut(_) => None,
        }
    }

    /// The same for a person.
    pub(crate) fn explain(&self, call: &Call, place: &Place) -> Failure {
        match self {
            CallError::Call(error) => match error.as_ref() {
                kube::Error::Api(status) => refusal(status, call, place),
                other => transport::failure(other, &place.server),
            },
            CallError::TimedOut(limit) => Failure::new(
                Id::RequestTimedOut,
                format!("the API server did not answer within {} s", limit.as_secs_f64()),
            )
            .evidence(format!("{call} at {}", place.server))
            .remedy("check the connection, or allow more with --request-timeout"),
        }
    }
}

/// A refusal that concerns any call. What concerns the injector's container alone is explained where it is created.
fn refusal(status: &Status, call: &Call, place: &Place) -> Failure {
    let Call { verb, resource, name } = call;
    let Place { namespace, server } = place;
    // A policy chooses its own status code, 422 unless it says another.
    if let Some((_, policy)) = status.message.split_once(POLICY) {
        return denied_by_policy(policy, call);
    }
    match status.code {
        401 => Failure::new(Id::NoLogin, "the API server does not accept these credentials")
            .evidence(format!("{server} answered 401 {}", status.message))
            .remedy(format!(
                "log in again as for kubectl ({} shows as whom), or choose another --user or --context",
                kubectl::line("auth whoami")
            )),
        403 => forbidden(status, call, namespace),
        404 if status.message.contains("could not find the requested resource") => {
            Failure::new(Id::NoSuchResource, format!("this cluster knows no {resource}"))
                .evidence(format!("{server} answered 404 {}", status.message))
                .remedy("Kubernetes 1.25 or newer is needed")
        }
        404 => Failure::new(
            Id::NotFound,
            format!("{} \"{name}\" not found in namespace \"{namespace}\"", singular(resource)),
        )
        .evidence(format!("the API server says: {}", status.message))
        .remedy("look for it in another namespace (-n) or cluster (--context)"),
        429 | 503 | 504 => Failure::new(Id::Overloaded, "the API server is overloaded or not ready")
            .evidence(answer(status))
            .remedy("try again in a while"),
        500.. => Failure::new(Id::ServerFailed, format!("the API server failed to {verb} {resource}"))
            .evidence(answer(status))
            .remedy(if_it_stays(call, namespace)),
        _ => Failure::new(Id::ServerRefused, format!("the API server refuses to {verb} {resource}"))
            .evidence(answer(status))
            .remedy(format!(
                "add -v=6 to see the request; {} shows whether the server is 1.25 or newer",
                kubectl::line("version")
            )),
    }
}

/// Where a failure of the server itself shows.
fn if_it_stays(Call { verb, resource, name }: &Call, namespace: &str) -> String {
    let logs = "the logs of the API server and of the node's kubelet tell more";
    if *verb == "list" || singular(resource) != "pod" {
        return format!("try again; if it stays so, {logs}");
    }
    let line = kubectl::line_in(namespace, format_args!("describe pod {name}"));
    format!("try again; if it stays so, {line} and {logs}")
}

fn forbidden(status: &Status, call: &Call, namespace: &str) -> Failure {
    if let Some(missing) = rbac::Missing::of(status, call, namespace) {
        return missing.explain(&status.message);
    }
    let message = &status.message;
    if let Some((_, quota)) = message.split_once("exceeded quota: ") {
        return Failure::new(Id::Quota, format!("a quota of namespace \"{namespace}\" is used up"))
            .evidence(quota)
            .remedy(format!("{}; ask for more, or free some", kubectl::line_in(namespace, "describe quota")));
    }
    Failure::new(
        Id::AdmissionRule,
        format!("an admission rule of the cluster refuses to {} {}", call.verb, call.resource),
    )
    .evidence(message)
    .remedy("show this to whoever runs the cluster")
}

/// What the server's words for a denial begin with, before the policy's name in quotes.
pub(crate) const POLICY: &str = "ValidatingAdmissionPolicy ";

/// The name of the policy that a denial is of, if it is a policy's.
pub(crate) fn denying_policy(message: &str) -> Option<&str> {
    message.split_once(POLICY)?.1.split('\'').nth(1)
}

/// `'name' with binding 'name' denied request: why`.
fn denied_by_policy(policy: &str, call: &Call) -> Failure {
    let (names, why) = policy.split_once(" denied request: ").unwrap_or((policy, ""));
    let name = names.split('\'').nth(1).unwrap_or(names);
    let Call { verb, resource, .. } = call;
    Failure::new(Id::AdmissionRule, format!("the cluster's admission policy \"{name}\" refuses to {verb} {resource}"))
        .evidence(why)
        .remedy("do as it says, or show this to whoever runs the cluster")
}

/// `422 Invalid: Pod "x" is invalid: …`.
pub(crate) fn answer(status: &Status) -> String {
    let reason = if status.reason.is_empty() || status.reason.starts_with("Failed to parse") {
        String::new()
    } else {
        format!(" {}", status.reason)
    };
    format!("{}{reason}: {}", status.code, status.message)
}

fn singular(resource: &str) -> &str {
    let plural = resource.split(['.', '/']).next().unwrap_or(resource);
    plural.strip_suffix('s').unwrap_or(plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_a_remedy_whatever_its_code() {
        let place = Place { namespace: "shop".to_owned(), server: "https://k8s.example".to_owned() };
        let call = Call::new("exec", "pods/exec", "x");
        for code in 400..600 {
            let status = Status::failure("something of its own", "SomeReason").with_code(code);
            let failure = refusal(&status, &call, &place);
            assert!(!failure.remedy.is_empty(), "{code}: {failure}");
        }
    }
}
