//! What keeps a call from reaching the API server: names, sockets, certificates, proxies, credential plugins.

use std::error::Error;

use kube::client::AuthError;
use kube::config::ExecConfig;

use crate::catalogue::Id;
use crate::error::Failure;
use crate::kubectl;

const INSTALL: &str = "install it, and see that it is on the PATH";

/// The connection could not even be prepared. `plugin`: the credential plugin of the kubeconfig's user.
pub(crate) fn no_client(error: &kube::Error, server: &str, plugin: Option<&ExecConfig>) -> Failure {
    if let (Some(AuthError::AuthExecStart(error)), Some(plugin)) = (find(error), plugin) {
        let command = plugin.command.as_deref().unwrap_or_default();
        return Failure::new(Id::NoCredentials, "no credentials for the API server")
            .evidence(format!("the credential plugin {command} cannot be started: {error}"))
            .remedy(plugin.install_hint.as_deref().unwrap_or(INSTALL));
    }
    match error {
        kube::Error::RustlsTls(_) | kube::Error::InferKubeconfig(_) => {
            Failure::new(Id::Kubeconfig, "the certificates or the key in the kubeconfig cannot be used")
                .evidence(root_cause(error))
                .remedy("a key has to be PEM without a passphrase (PKCS#8, PKCS#1 or SEC1), beside its certificate")
        }
        other => failure(other, server),
    }
}

/// A call that got no answer.
pub(super) fn failure(error: &kube::Error, server: &str) -> Failure {
    if let Some(auth) = find::<AuthError>(error) {
        return credentials(auth);
    }
    let chain = root_cause(error);
    let lower = chain.to_ascii_lowercase();
    let of = |id: Id, cause: &str| Failure::new(id, cause).evidence(format!("{server}: {chain}"));
    if let Some((_, alert)) = lower.split_once("received fatal alert: ") {
        return ended_by_alert(alert).evidence(format!("{server}: {chain}"));
    }
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return of(Id::ServerCertificate, "the API server's certificate is not trusted").remedy(format!(
            "check certificate-authority and tls-server-name of the kubeconfig's cluster; {} shows whether kubectl trusts it",
            kubectl::line("version")
        ));
    }
    if lower.contains("dns error") || lower.contains("lookup") {
        return of(Id::UnknownHost, "the API server's name is not known")
            .remedy("check the network, the VPN and the cluster's server address");
    }
    if lower.contains("tunnel") || lower.contains("proxy") || lower.contains("socks") {
        return of(Id::Proxy, "the proxy does not lead to the API server")
            .remedy("check proxy-url of the kubeconfig's cluster, HTTPS_PROXY and NO_PROXY");
    }
    if matches!(error, kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) {
        return Failure::new(Id::NoApiServer, "what answers is no Kubernetes API server")
            .evidence(server)
            .remedy("check the cluster's server address, and that no login page stands before it");
    }
    of(Id::Unreachable, "the API server cannot be reached")
        .remedy(format!("{} shows whether kubectl reaches it", kubectl::line("version")))
}

/// The server ends the handshake and says why, with an alert of RFC 8446, section 6.2, in lower case. rustls writes them
/// so; what it finds wrong with the server's certificate reads otherwise.
fn ended_by_alert(alert: &str) -> Failure {
    let of_certificate = ["unknownca", "accessdenied", "decrypterror"];
    if alert.contains("certificate") || of_certificate.iter().any(|known| alert.starts_with(known)) {
        return Failure::new(Id::ClientCertificate, "the server does not accept the client certificate").remedy(
            "renew client-certificate and client-key of the kubeconfig's user (log in again as for kubectl); a load \
             balancer that asks for certificates of its own needs one it knows",
        );
    }
    Failure::new(Id::Handshake, "the server ends the TLS handshake").remedy(
        "check the cluster's server address and tls-server-name, that TLS 1.2 or newer is spoken there, and whether \
             the server wants a client certificate: some end it so without one",
    )
}

/// kube's own texts for these hold the plugin's output, and so a token: only its stderr is shown.
fn credentials(error: &AuthError) -> Failure {
    let failure = Failure::new(Id::NoCredentials, "no credentials for the API server");
    match error {
        AuthError::AuthExecRun { out, .. } => failure
            .evidence(format!(
                "the credential plugin ended with {}\n{}",
                out.status,
                String::from_utf8_lossy(&out.stderr)
            ))
            .remedy("run any kubectl command to log in, then try again"),
        AuthError::AuthExecStart(error) => failure
            .evidence(format!("the credential plugin of the kubeconfig's user cannot be started: {error}"))
            .remedy(INSTALL),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            failure.evidence("the credential plugin's output is no ExecCredential").remedy(
                "run any kubectl command to see whether it works there; users[].user.exec.apiVersion in the kubeconfig \
                 has to be one that the plugin speaks",
            )
        }
        AuthError::AuthExec(message) => failure
            .evidence(message)
            .remedy("run any kubectl command, which renews auth-provider, or use a credential plugin (exec) instead"),
        other => failure.evidence(root_cause(other)).remedy(format!(
            "{} shows whether kubectl gets through; correct the user in the kubeconfig",
            kubectl::line("auth whoami")
        )),
    }
}

/// The first error of that type in the chain.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

/// The texts of the chain, each that says something new, the outermost first.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let text = error.to_string();
        // An outer error often ends with the inner one's text.
        if let Some(outer) = texts.last_mut()
            && let Some(front) = outer.strip_suffix(text.as_str())
        {
            *outer = front.trim_end_matches([' ', ':']).to_owned();
        }
        texts.push(text);
    }
    texts.retain(|text| !text.is_empty() && !matches!(text.as_str(), "ServiceError" | "HyperError" | "auth error"));
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use std::io;

    #[test]
    fn each_link_of_the_chain_is_said_once() {
        let inner = io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
        let error = kube::Error::Service(Box::new(io::Error::other(inner)));
        assert_eq!(root_cause(&error), "Connection refused (os error 111)");
    }

    fn of_text(text: &str) -> Failure {
        failure(&kube::Error::Service(Box::new(io::Error::other(text.to_owned()))), "https://k8s.example")
    }

    #[test]
    fn a_client_certificate_that_the_server_rejects_is_not_taken_for_a_server_that_is_not_trusted() {
        for alert in ["CertificateRequired", "BadCertificate", "UnknownCA", "CertificateExpired", "AccessDenied"] {
            let failure = of_text(&format!("client error (Connect): received fatal alert: {alert}"));
            assert_eq!(failure.exit(), Exit::Refused, "{failure}");
            assert!(failure.cause.contains("client certificate"), "{failure}");
        }
        let failure = of_text("invalid peer certificate: UnknownIssuer");
        assert!(failure.cause.contains("API server's certificate is not trusted"), "{failure}");
    }

    #[test]
    fn an_alert_that_concerns_no_certificate_blames_none() {
        let failure = of_text("received fatal alert: UnrecognisedName");
        assert_eq!((failure.exit(), failure.cause.contains("certificate")), (Exit::Other, false), "{failure}");
    }

    #[test]
    fn every_failure_of_credentials_names_a_remedy() {
        let failures = [AuthError::ExecPluginFailed, AuthError::MissingCommand, AuthError::UnrefreshableTokenResponse];
        for error in failures {
            let failure = credentials(&error);
            assert!(!failure.remedy.is_empty(), "{failure}");
        }
    }

    #[test]
    fn a_credential_plugin_that_is_missing_is_named_with_the_hint_of_the_kubeconfig() {
        let error = kube::Error::Auth(AuthError::AuthExecStart(io::ErrorKind::NotFound.into()));
        let plugin = ExecConfig { command: Some("corp-login".into()), ..ExecConfig::default() };
        let failure = no_client(&error, "https://k8s.example", Some(&plugin));
        assert!(failure.evidence.contains("corp-login") && failure.remedy.contains("PATH"), "{failure}");
        let plugin = ExecConfig { install_hint: Some("ask the helpdesk".into()), ..plugin };
        assert_eq!(no_client(&error, "https://k8s.example", Some(&plugin)).remedy, "ask the helpdesk");
    }

    #[cfg(unix)]
    #[test]
    fn a_credential_plugins_output_is_never_shown() {
        use std::os::unix::process::ExitStatusExt;
        let out = std::process::Output {
            status: std::process::ExitStatus::from_raw(256),
            stdout: b"{\"status\":{\"token\":\"secret\"}}".to_vec(),
            stderr: b"please log in".to_vec(),
        };
        let error =
            kube::Error::Auth(AuthError::AuthExecRun { cmd: "login --token secret".into(), out: Box::new(out) });
        let text = failure(&error, "https://k8s.example").to_string();
        assert!(text.contains("please log in") && !text.contains("secret"), "{text}");
    }
}
