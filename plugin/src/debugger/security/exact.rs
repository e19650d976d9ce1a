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
    if is_beyond_users(identity) {
        refuse_root(&view, identity_of(pod, container).map(|user| user.uid), identity)?;
        refuse_more(&view, container, identity)?;
    }
    let context = match (uid, is_beyond_users(identity)) {
        (0, _) => view.root(gid),
        (_, false) => view.non_root(uid, gid),
        // Kubernetes gives capabilities to root alone. The injector starts as root and takes on the JVM's ids itself,
        // which SETUID and SETGID allow, and keeps the JVM's capabilities.
        (_, true) => view.root(0),
    };
    Ok(Derived { context, basis: Basis::Exact })
}

/// What there is to do for a JVM that runs as `identity`, as the injector says that does not fit it and whose ids its user has
/// chosen.
pub(crate) fn instead_of_chosen(pod: &Pod, container: &str, identity: Option<Identity>) -> String {
    match identity.filter(|identity| is_beyond_users(*identity)) {
        Some(identity) => {
            let by_name = by_name(&View::of(pod, container), identity);
            format!("root can become that, if you trust what runs in this container: {by_name}")
        }
        None => "give the target's ids, as they stand above, or leave --run-as-user, --run-as-group and the ids in --custom \
                 out: then they are found out"
            .to_owned(),
    }
}

/// Whether only what begins as root can be that: Kubernetes gives capabilities to nobody else.
fn is_beyond_users(identity: Identity) -> bool {
    identity.uid == 0 || !Set::from_bits(identity.capabilities).is_empty()
}

/// What root has to have to become that.
fn needed(identity: Identity) -> Set {
    let permitted = Set::from_bits(identity.capabilities);
    if identity.uid == 0 { permitted } else { permitted.with("SETUID").with("SETGID") }
}

/// The flags that give an injector which begins as root, and can become that.
fn by_name(view: &View<'_>, identity: Identity) -> String {
    let Identity { uid, gid, .. } = identity;
    let group = if uid == 0 && gid != 0 { format!(" --run-as-group {gid}") } else { String::new() };
    let needed = needed(identity);
    if needed.without(view.bound()).is_empty() {
        return format!("--run-as-user 0{group}");
    }
    // The list as a whole: a merge takes the place of the target's, and what that drops by name stays dropped.
    let names = needed.names().collect::<Vec<_>>().join(", ");
    format!(
        "--run-as-user 0{group} --custom FILE, where FILE says\n\
         securityContext: {{capabilities: {{drop: [ALL], add: [{names}]}}}}"
    )
}

/// Refuses root, and what only root can be given, where the target's container begins as a user. With a setuid program or a
/// file's capabilities one of its processes may have become that all the same; whether so is for the user to know.
fn refuse_root(view: &View<'_>, reported_uid: Option<i64>, identity: Identity) -> Result<()> {
    let begins_as = match reported_uid.or_else(|| view.declared_uid()) {
        Some(0) => return Ok(()),
        Some(uid) => format!("of uid {uid}"),
        None if view.is_non_root() => "with runAsNonRoot: true".to_owned(),
        None => return Ok(()),
    };
    let (uid, permitted) = (identity.uid, Set::from_bits(identity.capabilities));
    let refused = |cause: &str, more: &str| {
        let evidence = format!("uid {uid} with {permitted}, in a container {begins_as}{more}");
        Failure::new(Id::MoreThanTarget, cause).evidence(evidence)
    };
    if view.container.and_then(|context| context.allow_privilege_escalation) == Some(false) {
        let cause = "the injector says that the JVM runs as what it cannot be";
        return Err(refused(cause, " and allowPrivilegeEscalation: false").remedy(DISTRUST));
    }
    let cause =
        "the injector says that the JVM has become root or has capabilities, and its container begins as a user";
    Err(refused(cause, "").remedy(format!(
        "where java is run by sudo, or its file has capabilities, ask for a root injector by name: {}\nelse {DISTRUST}",
        by_name(view, identity)
    )))
}

/// Refuses what is not among the capabilities of the target's container: the kernel lets no process have more than that
/// (`capabilities(7)`, "Capability bounding set").
fn refuse_more(view: &View<'_>, container: &str, identity: Identity) -> Result<()> {
    let bound = view.bound();
    let lacking = needed(identity).without(bound);
    if lacking.is_empty() {
        return Ok(());
    }
    let permitted = Set::from_bits(identity.capabilities);
    let by_name = by_name(view, identity);
    let remedy = if permitted.without(bound).is_empty() {
        format!(
            "a JVM that has capabilities without being root is reached by a root that becomes its user, which takes these: \
             name them in the container's securityContext.capabilities.add, or for the injector alone: {by_name}"
        )
    } else {
        format!(
            "where the container's runtime gives more than the spec shows, name them in the container's \
             securityContext.capabilities.add, or for the injector alone: {by_name}\nelse {DISTRUST}"
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

#[cfg(test)]
#[path = "exact_tests.rs"]
mod tests;
