//! What the user asks for instead of what the target has: a profile and ids. Pure functions of the pod and of the options.
//! The profiles are those of `kubectl debug` (`pkg/cmd/debug/profiles.go` of kubectl), over what [`derive`] gives; but the
//! privileges of `sysadmin` go to a container of their own ([`privileged`]), never to the injector.

use jattach_protocol::Identity;
use k8s_openapi::api::core::v1::{AppArmorProfile, Capabilities, Pod, SecurityContext};

use super::capabilities::{Set, bare};
use super::{Basis, Chosen, View, derive, exact};
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::options::{Injector, Profile};

/// What the Pod Security level `baseline` lets a container add.
const BASELINE: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The first container's security context: by what the API shows of the target, the user's ids, and the profile.
///
/// # Errors
/// Exit code 6 where the profile rules out what the target runs as.
pub(crate) fn first(pod: &Pod, container: &str, injector: &Injector) -> Result<Chosen> {
    let view = View::of(pod, container);
    let derived = derive(pod, container);
    let context = with_ids(&view, &derived.context, injector);
    let context = shape(&view, context, injector.profile).ok_or_else(|| no_root(container))?;
    let basis = if injector.has_own_ids() { Basis::Asked } else { derived.basis };
    Ok(Chosen { context, basis, derived })
}

/// The second container's: for what the injector has read of the JVM, and the profile.
///
/// # Errors
/// Those of [`exact`], and exit code 6 where the profile rules out what the JVM runs as.
pub(crate) fn second(pod: &Pod, container: &str, identity: Identity, injector: &Injector) -> Result<Chosen> {
    let view = View::of(pod, container);
    let derived = exact(pod, container, identity)?;
    let context = shape(&view, derived.context.clone(), injector.profile).ok_or_else(|| no_root(container))?;
    let lacking = Set::from_bits(identity.capabilities).without(given(&context));
    if lacking.is_empty() {
        return Ok(Chosen { context, basis: derived.basis, derived });
    }
    Err(Failure::new(Id::Profile, format!("the JVM has capabilities that the profile leaves out: {lacking}"))
        .evidence(format!("the injector says that it runs as {}:{}", identity.uid, identity.gid))
        .remedy("leave --profile out: then the injector has what the target has"))
}

/// The capabilities that root has with the one context and has not with the other, by name. Where it is privileged, that says
/// all.
pub(crate) fn added_capabilities(plain: Option<&SecurityContext>, wanted: Option<&SecurityContext>) -> String {
    let of = |context: Option<&SecurityContext>| given(&context.cloned().unwrap_or_default());
    if wanted.is_some_and(|context| context.privileged == Some(true)) {
        return String::new();
    }
    let more = of(wanted).without(of(plain));
    let list = |context: Option<&SecurityContext>| context?.capabilities.as_ref()?.add.clone();
    let (before, added) = (list(plain).unwrap_or_default(), list(wanted).unwrap_or_default());
    let is_new = |name: &String| !Set::is_known(bare(&name.to_ascii_uppercase())) && !before.contains(name);
    let names = (!more.is_empty()).then(|| more.to_string());
    names.into_iter().chain(added.into_iter().filter(is_new)).collect::<Vec<_>>().join(", ")
}

fn with_ids(view: &View<'_>, derived: &SecurityContext, injector: &Injector) -> SecurityContext {
    let (user, group) = (injector.run_as_user.map(i64::from), injector.run_as_group.map(i64::from));
    if user.or(group).is_none() {
        return derived.clone();
    }
    let (own_user, own_group) = (derived.run_as_user, derived.run_as_group);
    let uid = user.or(own_user).unwrap_or_default();
    // As for a uid that the pod's spec asks for: most images give a user a group of the same number.
    let gid = group.or(own_group.filter(|_| user.is_none() || user == own_user)).unwrap_or(uid);
    view.context(uid, gid)
}

/// The context by the profile; `None` if that has no place for it.
fn shape(view: &View<'_>, context: SecurityContext, profile: Profile) -> Option<SecurityContext> {
    match profile {
        Profile::Auto => Some(context),
        Profile::Restricted => (context.run_as_user != Some(0)).then(|| baseline(context)),
        Profile::Baseline => Some(baseline(context)),
        // Whoever takes hold over, a hostile JVM of root's for one, would have the node with a privileged container: that is
        // another one, which speaks to nobody.
        Profile::General | Profile::Sysadmin => Some(general(view, context)),
    }
}

/// Without what the Pod Security level `baseline` forbids.
fn baseline(context: SecurityContext) -> SecurityContext {
    let mut context = context;
    if let Some(capabilities) = &mut context.capabilities {
        let allowed = |name: &String| BASELINE.contains(&bare(&name.to_ascii_uppercase()));
        capabilities.add = capabilities.add.take().map(|add| add.into_iter().filter(allowed).collect());
        capabilities.add = capabilities.add.take().filter(|add: &Vec<String>| !add.is_empty());
    }
    context.capabilities = context.capabilities.filter(|left| *left != Capabilities::default());
    if context.run_as_user == Some(0) {
        context.allow_privilege_escalation = Some(false);
    }
    context.app_armor_profile = context.app_armor_profile.filter(|profile| profile.type_ != "Unconfined");
    let types = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    context.se_linux_options = context.se_linux_options.filter(|options| {
        let usual = options.type_.as_deref().is_none_or(|own| types.contains(&own));
        usual && options.user.is_none() && options.role.is_none()
    });
    context
}

/// With SYS_PTRACE, which opens a process that is closed to its own user. Kubernetes gives it to root alone: so root takes
/// the JVM's ids on, once it has opened what they do not open.
fn general(view: &View<'_>, context: SecurityContext) -> SecurityContext {
    if context.run_as_user != Some(0) {
        let add = ["SETGID", "SETUID", "SYS_PTRACE"].map(str::to_owned).to_vec();
        let capabilities = Capabilities { drop: Some(vec!["ALL".to_owned()]), add: Some(add) };
        let rooted = view.root(0);
        // The other parts are those of a user's container; only root's answer to runAsNonRoot is another.
        return SecurityContext {
            run_as_user: Some(0),
            run_as_group: Some(0),
            run_as_non_root: rooted.run_as_non_root,
            capabilities: Some(capabilities),
            ..context
        };
    }
    let mut context = context;
    if given(&context).has("SYS_PTRACE") {
        return context;
    }
    let capabilities = context.capabilities.get_or_insert_default();
    // What is dropped by name stays dropped, added or not.
    capabilities.drop = capabilities.drop.take().map(|mut dropped| {
        dropped.retain(|name| bare(&name.to_ascii_uppercase()) != "SYS_PTRACE");
        dropped
    });
    capabilities.add.get_or_insert_default().push("SYS_PTRACE".to_owned());
    context
}

/// Privileged root, in a pod that may name something else for all its containers.
pub(crate) fn privileged(pod: &Pod, container: &str) -> Chosen {
    let view = View::of(pod, container);
    let in_pod = view.pod.and_then(|context| context.app_armor_profile.as_ref());
    let confined = in_pod.is_some() || view.apparmor().is_some();
    let context = SecurityContext {
        privileged: Some(true),
        run_as_user: Some(0),
        run_as_group: Some(0),
        run_as_non_root: view.root(0).run_as_non_root,
        // A privileged container has none unless a profile is named, as the pod may do.
        app_armor_profile: confined
            .then(|| AppArmorProfile { type_: "Unconfined".to_owned(), localhost_profile: None }),
        ..SecurityContext::default()
    };
    Chosen { context, basis: Basis::Asked, derived: derive(pod, container) }
}

/// Whether a process with that context may look into any other, and not do all else besides.
pub(crate) fn traces_others(context: Option<&SecurityContext>) -> bool {
    context.is_some_and(|context| context.privileged != Some(true) && given(context).has("SYS_PTRACE"))
}

/// What root has with that context.
fn given(context: &SecurityContext) -> Set {
    if context.privileged == Some(true) {
        return Set::ALL;
    }
    Set::of_container(context.capabilities.as_ref())
}

fn no_root(container: &str) -> Failure {
    Failure::new(Id::Profile, "--profile=restricted has no root, and the target is root's")
        .evidence(format!("container {container} runs as uid 0"))
        .remedy(
            "leave --profile out, or take --profile=baseline; where the JVM itself runs as another user than its container's \
             first process, name that: --run-as-user UID",
        )
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
