//! Users who may do less than everything.

use std::fs;

use serde_json::{Value, json};

use crate::cluster::cluster;
use crate::kubeconfig::Kubeconfig;
use crate::namespace::Namespace;

/// The Role that the project publishes.
const ROLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/role.yaml");

/// A service account of the namespace, which may do nothing until a role is bound to it.
#[derive(Debug)]
pub struct ServiceAccount<'n> {
    namespace: &'n Namespace,
    pub name: String,
}

impl<'n> ServiceAccount<'n> {
    /// A new one.
    #[must_use]
    pub fn new(namespace: &'n Namespace, name: &str) -> ServiceAccount<'n> {
        namespace.create(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}));
        ServiceAccount { namespace, name: name.to_owned() }
    }

    /// A new one with the rights of the published Role.
    ///
    /// # Panics
    /// If the Role cannot be read.
    #[must_use]
    pub fn with_published_role(namespace: &'n Namespace, name: &str) -> ServiceAccount<'n> {
        let account = ServiceAccount::new(namespace, name);
        let role = fs::read(ROLE).expect("deploy/role.yaml");
        let create = ["create", "--validate=false", "-f", "-"];
        let _ = namespace.kubectl_program().args(create).stdin(role).run().succeeded();
        account.bind("jattach");
        account
    }

    /// A new one with the rights of these rules alone.
    #[must_use]
    pub fn with_rules(namespace: &'n Namespace, name: &str, rules: &Value) -> ServiceAccount<'n> {
        let account = ServiceAccount::new(namespace, name);
        account.grant(name, rules);
        account
    }

    /// Gives it the rights of a new role as well.
    pub fn grant(&self, role: &str, rules: &Value) {
        self.namespace.create(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": role},
            "rules": rules,
        }));
        self.bind(role);
    }

    fn bind(&self, role: &str) {
        self.namespace.create(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": format!("{}-{role}", self.name)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace.name}],
        }));
    }

    /// `system:serviceaccount:NAMESPACE:NAME`
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace.name, self.name)
    }

    /// A token of it.
    ///
    /// # Panics
    /// If the server gives none.
    #[must_use]
    pub fn token(&self) -> String {
        // `kubectl create token` speaks protobuf, which the lab does not.
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", self.namespace.name, self.name);
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let create = ["create", "--raw", &path, "-f", "-"];
        let answer = cluster().kubectl().args(create).stdin(request.to_string()).run().succeeded().json();
        answer["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// A kubeconfig with a token of it.
    #[must_use]
    pub fn kubeconfig(&self) -> Kubeconfig {
        Kubeconfig::of_user(json!({"token": self.token()}))
    }

    /// Takes the account away, and its tokens with it.
    pub fn delete(self) {
        self.namespace.kubectl(["delete", "serviceaccount", &self.name]);
    }
}
