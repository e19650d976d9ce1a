//! The connection to the API server, as kubectl would make it.

mod credentials;
pub(crate) mod explain;
pub(crate) mod kubeconfig;
pub(crate) mod log;
mod proxy;

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::version::Info;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Api, Client, Config, Resource};

use crate::error::Result;
use crate::options::Connection;
use crate::target::name;
use explain::{Call, CallError};

/// A cluster, and the namespace that all calls go to. Clones share one connection.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    place: Place,
    request_timeout: Option<Duration>,
}

/// Where calls go: what a failure has to name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The target's namespace.
    pub(crate) namespace: String,
    /// The API server's address.
    pub(crate) server: String,
}

impl Cluster {
    /// Reads the configuration and prepares the connection. The first call opens it.
    ///
    /// # Errors
    /// A configuration that is missing, broken, or asks for what this client cannot do.
    pub(crate) async fn connect(connection: &Connection) -> Result<Cluster> {
        // Another part of the process may have been first: either way there is one provider afterwards.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = kubeconfig::load(connection).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        // Of the kubeconfig or the service account, if no flag names it.
        name::check("namespace", &namespace)?;
        tracing::debug!(%server, %namespace, proxy = config.proxy_url.is_some(), "configuration");
        let plugin = config.auth_info.exec.clone();
        let client = client(config).await.map_err(|error| explain::no_client(&error, &server, plugin.as_ref()))?;
        Ok(Cluster { client, place: Place { namespace, server }, request_timeout: connection.request_timeout })
    }

    /// A cluster that no call reaches, for what is decided without one.
    #[cfg(test)]
    pub(crate) fn unreachable() -> Cluster {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = "https://127.0.0.1:1".to_owned();
        let client = Client::try_from(Config::new(server.parse().expect("a URL"))).expect("a client");
        Cluster { client, place: Place { namespace: "fx".to_owned(), server }, request_timeout: None }
    }

    /// The namespace of the target.
    pub(crate) fn namespace(&self) -> &str {
        &self.place.namespace
    }

    /// Where calls go.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Objects of one kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// Objects of a kind that belongs to no namespace.
    pub(crate) fn unnamespaced<K>(&self) -> Api<K>
    where
        K: Resource<Scope = ClusterResourceScope>,
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }

    /// What the API server says that it is.
    ///
    /// # Errors
    /// The bare refusal.
    pub(crate) async fn version(&self) -> std::result::Result<Info, CallError> {
        self.attempt(&Call::get("version", ""), self.client.apiserver_version()).await
    }

    /// The namespace's pods.
    pub(crate) fn pods(&self) -> Api<Pod> {
        self.api()
    }

    /// Makes one call within the limit for a single request.
    ///
    /// # Errors
    /// What the server refused or what kept it from answering, explained.
    pub(crate) async fn call<T>(
        &self,
        call: &Call,
        request: impl Future<Output = std::result::Result<T, kube::Error>>,
    ) -> Result<T> {
        self.attempt(call, request).await.map_err(|error| error.explain(call, &self.place))
    }

    /// The same for a caller that has another way if the call fails.
    ///
    /// # Errors
    /// The bare refusal.
    pub(crate) async fn attempt<T>(
        &self,
        call: &Call,
        request: impl Future<Output = std::result::Result<T, kube::Error>>,
    ) -> std::result::Result<T, CallError> {
        tracing::debug!(%call, "request");
        let answer = match self.request_timeout {
            None => request.await.map_err(CallError::from),
            Some(limit) => match tokio::time::timeout(limit, request).await {
                Ok(answer) => answer.map_err(CallError::from),
                Err(_) => Err(CallError::TimedOut(limit)),
            },
        };
        if let Err(error) = &answer {
            tracing::debug!(%call, code = error.status().map(|status| status.code), %error, "refused");
        }
        answer
    }
}

/// The client for a configuration. Making it runs the user's credential plugin and waits for that, maybe for a person who
/// logs in: on a thread of its own, so that limits and Ctrl-C are heard meanwhile.
async fn client(config: Config) -> std::result::Result<Client, kube::Error> {
    match tokio::task::spawn_blocking(|| Client::try_from(config)).await {
        Ok(client) => client,
        Err(stopped) => Err(kube::Error::Service(Box::new(stopped))),
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::error::Exit;
    use std::pin::pin;

    #[tokio::test]
    async fn a_namespace_of_the_kubeconfig_cannot_lead_to_another_path() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let kubeconfig = "clusters: [{name: c, cluster: {server: 'http://c.example'}}]\ncurrent-context: x\n\
            contexts: [{name: x, context: {cluster: c, user: '', namespace: '../../nodes'}}]\n";
        std::io::Write::write_all(&mut file, kubeconfig.as_bytes()).unwrap();
        let options = ["kubectl-jattach", "x", "ps", "--kubeconfig", file.path().to_str().unwrap()];
        let options = match crate::options::parse(options.map(Into::into)).unwrap() {
            crate::options::Parsed::Run(options) => options,
            crate::options::Parsed::Say(said) => panic!("{said}"),
        };
        let failure = Cluster::connect(&options.connection).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage, "{failure}");
        assert!(failure.cause.contains("name of a namespace"), "{failure}");
    }

    #[tokio::test]
    async fn a_slow_credential_plugin_leaves_the_thread_to_limits_and_ctrl_c() {
        const LOGIN: &str = r#"sleep 1; echo '{"kind": "ExecCredential", "apiVersion":
            "client.authentication.k8s.io/v1", "spec": {}, "status": {"token": "t"}}'"#;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::new("https://127.0.0.1:1".parse().unwrap());
        let plugin = serde_json::json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", LOGIN],
        }});
        config.auth_info = serde_json::from_value(plugin).unwrap();
        let mut making = pin!(client(config));
        assert!(futures::poll!(&mut making).is_pending(), "nothing else could run until the plugin had ended");
        making.await.expect("the plugin's credentials are taken");
    }
}
