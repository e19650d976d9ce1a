//! The cluster that end-to-end tests run in, and how they are told of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::ClusterArguments;
use crate::dev_build::Built;
use crate::images::jvm::JvmImages;
use crate::kind::Kind;
use crate::lab::Lab;
use crate::tools::{kubectl, slurp};
use crate::workspace::Workspace;

/// Where the tests run, and with which images.
pub(crate) struct Cluster {
    kubeconfig: PathBuf,
    context: Option<String>,
    injector_image: String,
    jvm_image: String,
    jvm_shell_image: Option<String>,
    jvm_user_image: Option<String>,
    pub(crate) hostile_image: Option<String>,
    pull_policy: String,
    is_lab: bool,
    pub(crate) may_skip: bool,
}

impl Cluster {
    /// The one that the command line names, if it names one.
    pub(crate) fn named(workspace: &Workspace, arguments: &ClusterArguments) -> Result<Option<Cluster>> {
        match &arguments.kubeconfig {
            Some(kubeconfig) => Cluster::of(workspace, kubeconfig, arguments).map(Some),
            None => Ok(None),
        }
    }

    fn of(workspace: &Workspace, kubeconfig: &Path, arguments: &ClusterArguments) -> Result<Cluster> {
        let kubeconfig =
            kubeconfig.canonicalize().with_context(|| format!("no kubeconfig at {}", kubeconfig.display()))?;
        let jvm_image = arguments.jvm_image.clone().with_context(|| {
            let folder = workspace.images();
            format!(
                "no --jvm-image: `cargo xtask image --jvm` writes the JVM images to {}; load them into your nodes or \
                 your registry, and name them with --jvm-image and --jvm-shell-image",
                folder.display()
            )
        })?;
        Ok(Cluster {
            kubeconfig,
            context: arguments.context.clone(),
            injector_image: arguments.injector_image.clone().unwrap_or_else(|| workspace.injector_image()),
            jvm_image,
            jvm_shell_image: arguments.jvm_shell_image.clone(),
            jvm_user_image: arguments.jvm_user_image.clone(),
            hostile_image: arguments.hostile_image.clone(),
            pull_policy: arguments.pull_policy.clone(),
            is_lab: false,
            may_skip: true,
        })
    }

    /// A lab, whose images are in target/images.
    pub(crate) fn of_lab(workspace: &Workspace, lab: &Lab, images: &JvmImages) -> Cluster {
        Cluster { is_lab: true, ..Cluster::with_images(workspace, lab.kubeconfig(), images) }
    }

    /// A cluster of kind, whose node has the images.
    pub(crate) fn of_kind(workspace: &Workspace, kind: &Kind, images: &JvmImages) -> Cluster {
        Cluster::with_images(workspace, kind.kubeconfig(), images)
    }

    /// One that has been brought what is in target/images.
    fn with_images(workspace: &Workspace, kubeconfig: &Path, images: &JvmImages) -> Cluster {
        Cluster {
            kubeconfig: kubeconfig.to_path_buf(),
            context: None,
            injector_image: workspace.injector_image(),
            jvm_image: images.plain.reference.clone(),
            jvm_shell_image: Some(images.shell.reference.clone()),
            jvm_user_image: Some(images.user.reference.clone()),
            hostile_image: None,
            pull_policy: "IfNotPresent".to_owned(),
            is_lab: false,
            may_skip: true,
        }
    }

    /// What the tests read from their environment.
    pub(crate) fn variables(
        &self,
        workspace: &Workspace,
        built: &Built,
        yes: bool,
    ) -> Result<Vec<(&'static str, OsString)>> {
        let mut variables = vec![
            ("JATTACH_E2E_KUBECONFIG", OsString::from(&self.kubeconfig)),
            ("JATTACH_E2E_INJECTOR_IMAGE", OsString::from(&self.injector_image)),
            ("JATTACH_E2E_JVM_IMAGE", OsString::from(&self.jvm_image)),
            ("JATTACH_E2E_PULL_POLICY", OsString::from(&self.pull_policy)),
            ("JATTACH_PLUGIN", OsString::from(built.program("kubectl-jattach")?)),
            ("JATTACH_KUBECTL", OsString::from(kubectl::ensure(workspace, yes)?)),
        ];
        let optional = [
            ("JATTACH_E2E_CONTEXT", &self.context),
            ("JATTACH_E2E_JVM_SHELL_IMAGE", &self.jvm_shell_image),
            ("JATTACH_E2E_JVM_USER_IMAGE", &self.jvm_user_image),
            ("JATTACH_E2E_HOSTILE_IMAGE", &self.hostile_image),
        ];
        variables
            .extend(optional.into_iter().filter_map(|(name, value)| Some((name, OsString::from(value.as_ref()?)))));
        if self.is_lab {
            variables.push(("JATTACH_E2E_LAB", "1".into()));
        }
        if !self.may_skip {
            variables.push(("JATTACH_E2E_NO_SKIPS", "1".into()));
        }
        variables.extend(slurp::installed(workspace).map(|program| ("HPROF_SLURP", program.into_os_string())));
        Ok(variables)
    }
}
