//! The injector's security context: no more than the target has, and no less than it takes to attach to it. Pure
//! functions of the pod, of what the injector has read of the JVM ([`exact`]), and of what its user asks for by name
//! ([`profile`]).
//!
//! The kernel lets the injector look into the JVM's process only if uid and gid are the same and the JVM's permitted
//! capabilities are a subset of the injector's (`ptrace(2)`, "Ptrace access mode checking"); the JVM takes requests only
//! from its own uid and gid.

mod capabilities;
mod exact;
mod profile;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};

use crate::target::{identity_of, spec_of};
use capabilities::Set;
pub(crate) use capabilities::names as capability_names;
use exact::exact;
pub(crate) use exact::instead_of_chosen;
pub(crate) use profile::{added_capabilities, first, privileged, second, traces_others};

/// A uid that no image is likely to run as: for a first look where the API shows no uid. It may read /proc/PID/status.
const UNKNOWN_UID: i64 = 65532;

/// Where the ids of a security context come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The kubelet reports what the container's first process runs as.
    Reported,
    /// The pod's spec asks for them; an image's passwd may have given another gid.
    Declared,
    /// Nothing shows them: this container can only find out.
    Unknown,
    /// The injector read them from the JVM's process.
    Exact,
    /// The user has given them.
    Asked,
}

impl Basis {
    /// Whether no other ids are to be tried, whatever the injector finds.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Basis::Exact | Basis::Asked)
    }
}

/// A security context for what the target is, and how sure it is that it fits.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) context: SecurityContext,
    pub(crate) basis: Basis,
}

/// The same by what its user has asked for.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) context: SecurityContext,
    pub(crate) basis: Basis,
    /// What it would be if nothing had been asked for.
    pub(crate) derived: Derived,
}

/// The security context for a container of a pod, by what the API shows of it.
fn derive(pod: &Pod, container: &str) -> Derived {
    let view = View::of(pod, container);
    if let Some(user) = identity_of(pod, container) {
        return Derived { context: view.context(user.uid, user.gid), basis: Basis::Reported };
    }
    match view.declared_uid() {
        // The first guess where nothing names a gid: most images give a user a group of the same number.
        Some(uid) => {
            let gid = view.declared_gid().unwrap_or(uid);
            Derived { context: view.context(uid, gid), basis: Basis::Declared }
        }
        None => Derived { context: view.non_root(UNKNOWN_UID, UNKNOWN_UID), basis: Basis::Unknown },
    }
}

/// What the pod says of the target, of which the injector's context takes its parts.
struct View<'a> {
    pod: Option<&'a PodSecurityContext>,
    container: Option<&'a SecurityContext>,
    /// The annotation that named the AppArmor profile before 1.30.
    apparmor_annotation: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(pod: &'a Pod, container: &str) -> View<'a> {
        let spec: Option<&Container> = spec_of(pod, container);
        let annotation = format!("container.apparmor.security.beta.kubernetes.io/{container}");
        View {
            pod: pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()),
            container: spec.and_then(|spec| spec.security_context.as_ref()),
            apparmor_annotation: pod
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(&annotation))
                .map(String::as_str),
        }
    }

    fn declared_uid(&self) -> Option<i64> {
        self.container.and_then(|context| context.run_as_user).or(self.pod.and_then(|context| context.run_as_user))
    }

    fn declared_gid(&self) -> Option<i64> {
        self.container.and_then(|context| context.run_as_group).or(self.pod.and_then(|context| context.run_as_group))
    }

    fn context(&self, uid: i64, gid: i64) -> SecurityContext {
        if uid == 0 { self.root(gid) } else { self.non_root(uid, gid) }
    }

    /// What the Pod Security level `restricted` asks for, with the target's ids.
    fn non_root(&self, uid: i64, gid: i64) -> SecurityContext {
        let runtime_default = SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None };
        SecurityContext {
            run_as_user: Some(uid),
            run_as_group: Some(gid),
            run_as_non_root: Some(true),
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            seccomp_profile: Some(self.seccomp().unwrap_or(runtime_default)),
            app_armor_profile: self.apparmor(),
            se_linux_options: self.selinux(),
            ..SecurityContext::default()
        }
    }

    /// Root with the target's capabilities.
    fn root(&self, gid: i64) -> SecurityContext {
        let capabilities = self.capabilities();
        let added = capabilities.as_ref().and_then(|capabilities| capabilities.add.as_deref()).unwrap_or_default();
        // The API server refuses "no escalation" beside SYS_ADMIN, which is every escalation.
        let escalates = added.iter().any(|name| matches!(capabilities::bare(name), "SYS_ADMIN" | "ALL"));
        SecurityContext {
            run_as_user: Some(0),
            run_as_group: Some(gid),
            // Said aloud only where the pod's own answer would stand against it.
            run_as_non_root: self.pod.and_then(|context| context.run_as_non_root).filter(|set| *set).map(|_| false),
            allow_privilege_escalation: (!escalates).then_some(false),
            capabilities,
            seccomp_profile: self.seccomp(),
            app_armor_profile: self.apparmor(),
            se_linux_options: self.selinux(),
            ..SecurityContext::default()
        }
    }

    /// The target's own list, so that a Pod Security level that took the target takes the injector.
    fn capabilities(&self) -> Option<Capabilities> {
        if self.is_privileged() {
            return Some(Capabilities { add: Some(vec!["ALL".to_owned()]), drop: None });
        }
        self.container.and_then(|context| context.capabilities.clone()).filter(|own| *own != Capabilities::default())
    }

    /// The capabilities that a process of the target's container can have at most.
    fn bound(&self) -> Set {
        if self.is_privileged() {
            return Set::ALL;
        }
        Set::of_container(self.container.and_then(|context| context.capabilities.as_ref()))
    }

    /// Whether the kubelet starts the target as no root.
    fn is_non_root(&self) -> bool {
        let own = self.container.and_then(|context| context.run_as_non_root);
        own.or(self.pod.and_then(|context| context.run_as_non_root)).unwrap_or(false)
    }

    fn is_privileged(&self) -> bool {
        self.container.and_then(|context| context.privileged).unwrap_or(false)
    }

    /// The target's profile at its own level (the pod's is inherited). Never Unconfined: Pod Security refuses it, and the
    /// injector needs no call that a runtime's default profile forbids.
    fn seccomp(&self) -> Option<SeccompProfile> {
        let own = self.container.and_then(|context| context.seccomp_profile.clone());
        own.filter(|profile| profile.type_ != "Unconfined")
    }

    /// The target's profile at its own level: signals and /proc pass only between processes under the same one.
    fn apparmor(&self) -> Option<AppArmorProfile> {
        let own = self.container.and_then(|context| context.app_armor_profile.clone());
        let unconfined = || AppArmorProfile { type_: "Unconfined".to_owned(), localhost_profile: None };
        own.or_else(|| self.apparmor_annotation.and_then(annotated)).or_else(|| self.is_privileged().then(unconfined))
    }

    fn selinux(&self) -> Option<SELinuxOptions> {
        self.container.and_then(|context| context.se_linux_options.clone())
    }
}

/// `runtime/default`, `unconfined`, `localhost/NAME`.
fn annotated(value: &str) -> Option<AppArmorProfile> {
    let profile = |type_: &str, localhost_profile: Option<&str>| {
        Some(AppArmorProfile { type_: type_.to_owned(), localhost_profile: localhost_profile.map(str::to_owned) })
    };
    match value {
        "runtime/default" => profile("RuntimeDefault", None),
        "unconfined" => profile("Unconfined", None),
        _ => profile("Localhost", Some(value.strip_prefix("localhost/")?)),
    }
}

#[cfg(test)]
#[path = "security/tests.rs"]
mod tests;
