//! The security context for what the injector has read of the JVM, and what it is not taken at its word for: it lives in
//! the target's trust domain, and what it says is not to make a container that may do more than the target's.

use jattach_protocol::Identity;
use k8s_openapi::api::core::v1::Pod;

use super::capabilities::Set;
use super::{Basis, Derived, View};
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::target::identity_of;

/// What there is to do where the injector says what cannot be.
const DISTRUST: &str = "trust nothing that runs in this container: it may speak in the injector's place";

/// The security context for a JVM that runs as `identity`, whatever the API shows of it.
///
/// # Errors
/// Exit code 6 for an identity that nothing in the container can have, and for one that takes capabilities which the
/// container has not by the pod's spec.
pub(super) fn exact(pod: &Pod, container: &str, identity: Identity) -> Result<Derived> {
    let view = View::of(pod, container);
    let (uid, gid) = (i64::from(identity.uid), i64::from(identity.gid));
    let permitted = Set::from_bits(identity.capabilities);
    if (uid == 0 || !permitted.is_empty())
        && let Some(confined) = confined(&view, identity_of(pod, container).map(|user| user.uid))
    {
        return Err(Failure::new(Id::MoreThanTarget, "the injector says that the JVM runs as what it cannot be")
            .evidence(format!("uid {uid} with {permitted}, in a container {confined}"))
            .remedy(DISTRUST));
    }
    let context = match (uid, permitted.is_empty()) {
        (0, _) => {
            refuse_more(&view, container, identity, permitted)?;
            view.root(gid)
        }
        (_, true) => view.non_root(uid, gid),
        // Kubernetes gives capabilities to root alone. The injector starts as root and takes on the JVM's ids itself,
        // which SETUID and SETGID allow, and keeps the JVM's capabilities.
        (_, false) => {
            refuse_more(&view, container, identity, permitted.with("SETUID").with("SETGID"))?;
            view.root(0)
        }
    };
    Ok(Derived { context, basis: Basis::Exact })
}

/// Why nothing in the container is ever root or gets a capability, if that is so: who begins as a user, and may not
/// escalate, stays one.
fn confined(view: &View<'_>, reported_uid: Option<i64>) -> Option<String> {
    let begins_as = match reported_uid.or_else(|| view.declared_uid()) {
        Some(0) => return None,
        Some(uid) => format!("of uid {uid}"),
        None if view.is_non_root() => "with runAsNonRoot: true".to_owned(),
        None => return None,
    };
    let escalates = view.container.and_then(|context| context.allow_privilege_escalation) != Some(false);
    (!escalates).then(|| format!("{begins_as} and allowPrivilegeEscalation: false"))
}

/// Refuses what is not among the capabilities of the target's container: the kernel lets no process have more than that
/// (`capabilities(7)`, "Capability bounding set").
fn refuse_more(view: &View<'_>, container: &str, identity: Identity, needed: Set) -> Result<()> {
    let bound = view.bound();
    let lacking = needed.without(bound);
    if lacking.is_empty() {
        return Ok(());
    }
    let permitted = Set::from_bits(identity.capabilities);
    let remedy = if permitted.without(bound).is_empty() {
        "name them in the container's securityContext.capabilities.add: a JVM that has capabilities without being root is \
         reached by a root that becomes its user"
            .to_owned()
    } else {
        format!(
            "where the container's runtime gives more than the spec shows, name them in the container's \
             securityContext.capabilities.add; else {DISTRUST}"
        )
    };
    let Identity { uid, gid, .. } = identity;
    Err(Failure::new(
        Id::MoreThanTarget,
        format!("the injector would need what the target's container has not: {lacking}"),
    )
    .evidence(format!(
        "the injector says that the JVM runs as {uid}:{gid} with {permitted}; by the pod's spec container {container} \
             has {bound}"
    ))
    .remedy(remedy))
}
