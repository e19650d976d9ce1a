//! Why a pod or container could not be had. Where the kubelet or containerd has a text of its own for a case, the
//! message is that text: it ends up in a pod's status.

use std::path::PathBuf;

use crate::image;

/// [`Error::reason`] gives the reason that a container's waiting state shows for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Image(#[from] image::Error),

    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    ImageRunsAsRoot { pod: String, container: String },
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    RunAsUserIsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \"{pod}\", container: {container})"
    )]
    UserNotNumeric { user: String, pod: String, container: String },
    #[error("{what} is not supported by this cluster")]
    Unsupported { what: String },
    #[error("invalid value {value:?} of {field}")]
    InvalidField { field: String, value: String },

    #[error("invalid target container: container {id:?} is not running - in state {state}")]
    TargetNotRunning { id: String, state: &'static str },
    #[error("failed to generate container {id:?} spec: no command specified")]
    NoCommand { id: String },
    #[error("failed to generate container {id:?} spec: no users found for {user:?}")]
    UnknownUser { id: String, user: String },
    #[error("failed to generate container {id:?} spec: unknown capability {name:?}")]
    UnknownCapability { id: String, name: String },
    #[error("failed to generate container {id:?} spec: volume {volume:?} is not one of the pod's")]
    UnknownVolume { id: String, volume: String },

    #[error("failed to create containerd task: failed to create shim task: OCI runtime create failed: {message}")]
    Start { message: String },
    #[error("OCI runtime exec failed: {message}")]
    Exec { message: String },
    #[error("container {id:?} is not running - in state {state}")]
    NotRunning { id: String, state: &'static str },

    #[error("failed to read the seccomp profile {path}: {detail} (Debian's golang-github-containers-common has it)")]
    Seccomp { path: PathBuf, detail: String },
    #[error("state directory {path} is in use by another lab")]
    StateInUse { path: PathBuf },
    #[error("failed to run {program}: is it installed?")]
    Program {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("runc {operation} failed: {message}")]
    Runc { operation: &'static str, message: String },
    #[error("failed to build the OCI runtime configuration")]
    Config(#[from] oci_spec::OciSpecError),
    #[error("failed to {operation} {path}")]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The `reason` of the waiting state that the kubelet shows for this failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Image(_) => "ErrImagePull",
            Self::ImageRunsAsRoot { .. }
            | Self::RunAsUserIsRoot { .. }
            | Self::UserNotNumeric { .. }
            | Self::Unsupported { .. }
            | Self::InvalidField { .. } => "CreateContainerConfigError",
            Self::Start { .. } => "RunContainerError",
            _ => "CreateContainerError",
        }
    }
}

/// Names the operation and the path in an I/O error.
pub(super) trait IoContext<T> {
    fn context(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> IoContext<T> for std::result::Result<T, E> {
    fn context(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|error| Error::Io { operation, path: path.into(), source: error.into() })
    }
}
