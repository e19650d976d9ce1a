//! A permission that is missing, and the commands that would grant exactly that.

use kube::core::Status;

use super::Call;
use crate::catalogue::Id;
use crate::cli::NAME;
use crate::error::Failure;
use crate::kubectl::quoted;

/// What prints all that is missing as one Role: a refusal names one right, and the next would come behind it. What is run for a
/// person puts the target in (`commands/line.rs`).
pub(crate) const FIX_RBAC: &str = "TARGET doctor --fix-rbac";

/// What the server says is missing, and for whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The user as the server knows them; empty where it does not say.
    user: String,
    verbs: &'static str,
    /// `pods/exec`, `deployments.apps`.
    resource: String,
    namespace: String,
    /// A right that no namespace's role can give.
    cluster_wide: bool,
}

impl Missing {
    /// From `pods "x" is forbidden: User "u" cannot get resource "pods/exec" in API group "" in the namespace "n"`, or
    /// from exec's `pods "x" is forbidden: `, which names nothing.
    pub(super) fn of(status: &Status, call: &Call, namespace: &str) -> Option<Missing> {
        let message = &status.message;
        if let Some(missing) = Missing::of_constrained_impersonation(message, namespace) {
            return Some(missing);
        }
        let refused = message.split_once(" cannot ").and_then(|(front, rest)| {
            let user = front.rsplit_once("User ")?.1.trim_matches('"');
            Some((user, rest.split_once("resource \"")?.1))
        });
        let (user, resource) = match refused {
            Some((user, rest)) => {
                let resource = rest.split('"').next()?;
                let group = rest.split_once("API group \"").and_then(|(_, rest)| rest.split('"').next());
                let group = group.filter(|group| !group.is_empty());
                (user, group.map_or_else(|| resource.to_owned(), |group| format!("{resource}.{group}")))
            }
            None if message.ends_with("is forbidden: ") => ("", call.resource.to_owned()),
            None => return None,
        };
        let verbs = match (resource.as_str(), call.verb) {
            // Servers differ in which of the two they ask for, some ask for both.
            ("pods/exec", _) => "get,create",
            // What was called does not matter: --as alone was too much.
            _ if message.contains(" cannot impersonate ") => "impersonate",
            (_, "get") => "get",
            (_, "list") => "list",
            (_, "watch") => "list,watch",
            (_, verb) => verb,
        };
        let cluster_wide = message.ends_with(" at the cluster scope");
        Some(Missing { user: user.to_owned(), verbs, resource, namespace: namespace.to_owned(), cluster_wide })
    }

    /// From `… User "u" cannot impersonate-on:user-info:get resource "pods" …` or `… cannot impersonate:user-info resource
    /// "users" …`: two rights that servers from 1.36 on ask for (KEP-5284). The one right to impersonate, which every
    /// version knows, stands for both.
    fn of_constrained_impersonation(message: &str, namespace: &str) -> Option<Missing> {
        let (front, rest) = message.split_once(" cannot impersonate")?;
        let verb = rest.split(' ').next().filter(|verb| !verb.is_empty())?;
        let resource = if verb.contains(":serviceaccount") { "serviceaccounts" } else { "users" };
        Some(Missing {
            user: front.rsplit_once("User ")?.1.trim_matches('"').to_owned(),
            verbs: "impersonate",
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            cluster_wide: true,
        })
    }

    pub(super) fn explain(&self, message: &str) -> Failure {
        let Missing { user, verbs, resource, namespace, cluster_wide } = self;
        let who = if user.is_empty() { "your user".to_owned() } else { format!("\"{user}\"") };
        let verbs_text = verbs.replace(',', " and ");
        let place = if *cluster_wide { "the cluster".to_owned() } else { format!("namespace \"{namespace}\"") };
        Failure::new(Id::NoPermission, format!("{who} may not {verbs_text} {resource} in {place}"))
            .evidence(format!("the API server says: {}", message.trim()))
            .remedy(self.remedy())
    }

    /// Two commands for whoever administers the namespace.
    fn remedy(&self) -> String {
        let Missing { verbs, resource, namespace, cluster_wide, .. } = self;
        let role = format!("jattach-{}-{}", verbs.replace(',', "-"), resource.replace(['/', '.'], "-"));
        if *cluster_wide {
            let subject = self.subject();
            return format!(
                "who administers the cluster can grant it:\n\
                 kubectl create clusterrole {role} --verb={verbs} --resource={resource}\n\
                 kubectl create clusterrolebinding {role} --clusterrole={role} {subject}"
            );
        }
        let role_command = format!("kubectl -n {namespace} create role {role} --verb={verbs} --resource={resource}");
        let binding_command =
            format!("kubectl -n {namespace} create rolebinding {role} --role={role} {}", self.subject());
        let all = format!("{NAME} -n {namespace} {FIX_RBAC}");
        format!(
            "who administers the namespace can grant it:\n{role_command}\n{binding_command}\n(all that is missing: {all})"
        )
    }

    /// `--serviceaccount=NAMESPACE:NAME` or `--user=NAME`, quoted for a shell.
    fn subject(&self) -> String {
        if self.user.is_empty() {
            return "--user=YOU".to_owned();
        }
        match self.user.strip_prefix("system:serviceaccount:") {
            Some(account) => format!("--serviceaccount={}", quoted(account)),
            None => format!("--user={}", quoted(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(message: &str, call: &Call) -> Option<Missing> {
        Missing::of(&Status::failure(message, "Forbidden").with_code(403), call, "shop")
    }

    #[test]
    fn the_group_of_a_workload_is_part_of_its_resource() {
        let message = "deployments.apps \"api\" is forbidden: User \"jane\" cannot get resource \"deployments\" in API \
                       group \"apps\" in the namespace \"shop\"";
        let missing = missing(message, &Call::get("deployments.apps", "api")).unwrap();
        assert_eq!(
            (missing.resource.as_str(), missing.verbs, missing.user.as_str()),
            ("deployments.apps", "get", "jane")
        );
    }

    #[test]
    fn impersonation_is_a_right_of_the_cluster_whatever_was_called() {
        let message = "users \"root\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \
                       \"\" at the cluster scope";
        let failure = missing(message, &Call::get("pods", "x")).unwrap().explain(message);
        assert_eq!(failure.cause, "\"jane\" may not impersonate users in the cluster");
        assert!(
            failure.remedy.contains("create clusterrole jattach-impersonate-users --verb=impersonate --resource=users")
        );
        assert!(failure.remedy.contains("--clusterrole=jattach-impersonate-users --user=jane"), "{}", failure.remedy);
    }

    #[test]
    fn constrained_impersonation_is_the_right_to_impersonate() {
        let call = Call::get("pods", "x");
        let on = |kind: &str| {
            format!(
                "pods \"x\" is forbidden: User \"jane\" cannot impersonate-on:{kind}:get resource \"pods\" in API group \
                 \"\" in the namespace \"shop\""
            )
        };
        let users = "users.authentication.k8s.io \"root\" is forbidden: User \"jane\" cannot impersonate:user-info \
                     resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope";
        for (message, resource) in [
            (on("user-info"), "users"),
            (on("arbitrary-node"), "users"),
            (on("serviceaccount"), "serviceaccounts"),
            (users.to_owned(), "users"),
        ] {
            let failure = missing(&message, &call).unwrap().explain(&message);
            assert_eq!(failure.cause, format!("\"jane\" may not impersonate {resource} in the cluster"));
            assert!(failure.remedy.contains(&format!("--verb=impersonate --resource={resource}\n")), "{failure}");
        }
    }

    #[test]
    fn a_users_name_is_quoted_for_the_shell() {
        let message = "pods \"x\" is forbidden: User \"o'brien; rm -rf /\" cannot list resource \"pods\" in API group \
                       \"\" in the namespace \"shop\"";
        let missing = missing(message, &Call::list("pods", "app=x")).unwrap();
        assert_eq!(missing.subject(), r#"--user="o'brien; rm -rf /""#);
    }

    #[test]
    fn an_admission_refusal_is_no_missing_permission() {
        let message = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
        assert_eq!(missing(message, &Call::new("patch", "pods/ephemeralcontainers", "x")), None);
    }
}
