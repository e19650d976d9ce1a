//! The configuration as kubectl finds it: `--kubeconfig`, else the files of `$KUBECONFIG`, else `~/.kube/config`, else the
//! pod's own service account; with the context, cluster, user and impersonation that the flags name.

use std::io::IsTerminal;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext};
use secrecy::ExposeSecret;

use super::{credentials, proxy};
use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::kubectl;
use crate::options::Connection;

/// What makes a container one with a service account, for kubectl.
const ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The configuration for a connection.
pub(super) async fn load(connection: &Connection) -> Result<Config> {
    let files = files(connection.kubeconfig.as_deref(), |name| std::env::var_os(name));
    let kubeconfig = match (&connection.kubeconfig, read(&files)?) {
        (Some(named), None) => {
            return Err(broken(format!("the kubeconfig {} does not exist", named.display()))
                .remedy("name another with --kubeconfig"));
        }
        (None, None) => return in_cluster(connection, &files),
        // As for kubectl, a file that chooses no cluster does not stand before the pod's own account.
        (_, Some(kubeconfig)) if is_in_pod() && !chooses(&kubeconfig, connection) => {
            return in_cluster(connection, &files);
        }
        (_, Some(kubeconfig)) => kubeconfig,
    };
    let known = Known::of(&kubeconfig, &files);
    if let Some(user) = &connection.user
        && !kubeconfig.auth_infos.iter().any(|named| named.name == *user)
    {
        return Err(known.no_user(user));
    }
    let kubeconfig = with_context_of_flags(kubeconfig, connection);
    let proxy_url = cluster_proxy(&kubeconfig, connection);
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| known.explain(&error))?;
    if config.accept_invalid_certs && config.root_cert.is_some() {
        return Err(broken("the kubeconfig's cluster asks for a certificate authority and for none".to_owned())
            .evidence("certificate-authority and insecure-skip-tls-verify are both set; kubectl refuses that, too")
            .remedy("remove insecure-skip-tls-verify"));
    }
    finish(config, connection, proxy_url.as_deref())
}

/// Whether a file or a flag says which cluster.
fn chooses(kubeconfig: &Kubeconfig, connection: &Connection) -> bool {
    kubeconfig.current_context.is_some() || connection.context.is_some() || connection.cluster.is_some()
}

/// What the files hold together, by the same rules as a command takes it. `None` if there is none.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn merged(named: Option<&Path>) -> Result<Option<Kubeconfig>> {
    read(&files(named, |name| std::env::var_os(name)))
}

/// The files to merge, in their order. A file that is named by a flag is the only one.
fn files(named: Option<&Path>, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let listed = variable("KUBECONFIG").filter(|list| !list.is_empty());
    match listed {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect(),
    }
}

/// All files that exist, merged: the first to name a thing wins. `None` if none exists.
fn read(files: &[PathBuf]) -> Result<Option<Kubeconfig>> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files.iter().filter(|file| file.exists()) {
        let cannot = |error: &KubeconfigError| {
            broken(format!("the kubeconfig {} cannot be read", file.display())).evidence(error.to_string()).remedy(
                format!(
                    "correct it, or name another with --kubeconfig; {} shows what kubectl makes of it",
                    kubectl::line("config view")
                ),
            )
        };
        let mut next = Kubeconfig::read_from(file).map_err(|error| cannot(&error))?;
        normalise(&mut next);
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(|error| cannot(&error))?,
        });
    }
    Ok(merged)
}

/// What kube takes as it stands and kubectl does not: an empty string, as `kubectl config unset` and templates leave it, is
/// nothing, and a server without a scheme speaks plain HTTP.
fn normalise(kubeconfig: &mut Kubeconfig) {
    let empty = |text: &mut Option<String>| *text = text.take().filter(|text| !text.is_empty());
    // Relative to the kubeconfig's folder, an empty path has become that folder.
    let empty_path = |path: &mut Option<String>| *path = path.take().filter(|path| !path.ends_with(MAIN_SEPARATOR));
    empty(&mut kubeconfig.current_context);
    for context in kubeconfig.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
        empty(&mut context.namespace);
    }
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        empty(&mut cluster.server);
        if let Some(server) = cluster.server.as_mut().filter(|server| !server.contains("://")) {
            server.insert_str(0, "http://");
        }
        empty(&mut cluster.certificate_authority_data);
        empty_path(&mut cluster.certificate_authority);
        empty(&mut cluster.proxy_url);
        empty(&mut cluster.tls_server_name);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        empty(&mut user.client_certificate_data);
        empty_path(&mut user.client_certificate);
        empty_path(&mut user.client_key);
        empty_path(&mut user.token_file);
        user.client_key_data = user.client_key_data.take().filter(|key| !key.expose_secret().is_empty());
    }
}

/// `--cluster` alone is enough for kubectl, where there is no context to take it from.
fn with_context_of_flags(mut kubeconfig: Kubeconfig, connection: &Connection) -> Kubeconfig {
    if connection.context.is_none()
        && kubeconfig.current_context.is_none()
        && let Some(cluster) = &connection.cluster
    {
        let name = "of the flags";
        let context =
            kube::config::Context { cluster: cluster.clone(), user: connection.user.clone(), ..Default::default() };
        kubeconfig.contexts.push(NamedContext { name: name.to_owned(), context: Some(context), ..Default::default() });
        kubeconfig.current_context = Some(name.to_owned());
    }
    kubeconfig
}

/// The `proxy-url` of the cluster that will be taken.
fn cluster_proxy(kubeconfig: &Kubeconfig, connection: &Connection) -> Option<String> {
    let context = connection.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let of_context =
        || Some(&kubeconfig.contexts.iter().find(|named| named.name == *context)?.context.as_ref()?.cluster);
    let name = connection.cluster.as_ref().or_else(of_context)?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *name)?.cluster.as_ref()?;
    cluster.proxy_url.clone()
}

/// Whether this looks like a pod with a service account, to kubectl too.
fn is_in_pod() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("KUBERNETES_SERVICE_HOST") && is_set("KUBERNETES_SERVICE_PORT") && Path::new(ACCOUNT_TOKEN).is_file()
}

/// The service account of the pod that this process runs in.
fn in_cluster(connection: &Connection, files: &[PathBuf]) -> Result<Config> {
    let named = [("context", &connection.context), ("cluster", &connection.cluster), ("user", &connection.user)];
    if let Some((kind, name)) = named.iter().find_map(|(kind, name)| Some((kind, name.as_ref()?))) {
        return Err(broken(format!("there is no {kind} \"{name}\""))
            .evidence(format!("{} holds none", names_of(files)))
            .remedy("name a kubeconfig with --kubeconfig or KUBECONFIG"));
    }
    let mut config = Config::incluster().map_err(|error| {
        broken("there is no kubeconfig, and this is no pod with a service account".to_owned())
            .evidence(format!("{} not found; {error}", names_of(files)))
            .remedy("name a kubeconfig with --kubeconfig or KUBECONFIG")
    })?;
    // client-go asks the variable first, and takes no line feed into the name.
    let of_variable = std::env::var("POD_NAMESPACE").ok().filter(|namespace| !namespace.is_empty());
    config.default_namespace = of_variable.unwrap_or_else(|| config.default_namespace.trim().to_owned());
    finish(config, connection, None)
}

fn finish(mut config: Config, connection: &Connection, proxy_url: Option<&str>) -> Result<Config> {
    config.proxy_url = proxy::for_server(&config.cluster_url, proxy_url, |name| std::env::var(name).ok())?;
    credentials::settle(&mut config.auth_info, connection.may_ask && std::io::stdin().is_terminal())?;
    credentials::impersonate(&mut config.auth_info, connection)?;
    Ok(config)
}

/// What the kubeconfig holds, for an error that names it.
struct Known {
    contexts: Vec<String>,
    clusters: Vec<String>,
    users: Vec<String>,
    files: String,
}

impl Known {
    fn of(kubeconfig: &Kubeconfig, files: &[PathBuf]) -> Known {
        Known {
            contexts: kubeconfig.contexts.iter().map(|named| named.name.clone()).collect(),
            clusters: kubeconfig.clusters.iter().map(|named| named.name.clone()).collect(),
            users: kubeconfig.auth_infos.iter().map(|named| named.name.clone()).collect(),
            files: names_of(files),
        }
    }

    fn no_user(&self, user: &str) -> Failure {
        broken(format!("the kubeconfig has no user \"{user}\""))
            .evidence(format!("{} has the users {}", self.files, list(&self.users)))
            .remedy("name one of them with --user")
    }

    fn explain(&self, error: &KubeconfigError) -> Failure {
        let contexts = || format!("{} has the contexts {}", self.files, list(&self.contexts));
        match error {
            KubeconfigError::CurrentContextNotSet => broken("the kubeconfig has no current context".to_owned())
                .evidence(contexts())
                .remedy(format!("name one with --context, or set it: {}", kubectl::line("config use-context NAME"))),
            KubeconfigError::LoadContext(name) => broken(format!("the kubeconfig has no context \"{name}\""))
                .evidence(contexts())
                .remedy("name one of them with --context"),
            KubeconfigError::LoadClusterOfContext(name) => broken(format!("the kubeconfig has no cluster \"{name}\""))
                .evidence(format!("{} has the clusters {}", self.files, list(&self.clusters)))
                .remedy("name one of them with --cluster"),
            KubeconfigError::MissingClusterUrl => broken("the kubeconfig's cluster has no server".to_owned())
                .evidence(self.files.clone())
                .remedy(kubectl::line("config set-cluster NAME --server=https://…")),
            other => broken("the kubeconfig cannot be used".to_owned())
                .evidence(format!("{}: {other}", self.files))
                .remedy(format!("correct it: {} shows the part that counts", kubectl::line("config view --minify"))),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

fn names_of(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn broken(cause: String) -> Failure {
    Failure::new(Id::Kubeconfig, cause)
}

#[cfg(test)]
#[path = "kubeconfig_tests.rs"]
mod tests;
