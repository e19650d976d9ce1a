//! The cluster under test, as the environment names it.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use crate::run::Program;

/// Which cluster, which images, which programs.
#[derive(Debug)]
pub struct Cluster {
    /// The kubeconfig of a user who may do everything.
    pub kubeconfig: PathBuf,
    /// Its context, if not the current one.
    pub context: Option<String>,
    pub injector_image: String,
    /// java, the fixtures, and nothing else to execute.
    pub jvm_image: String,
    /// The same and a shell; not every cluster has been given it.
    pub jvm_shell_image: Option<String>,
    /// The first again, with a numeric user in the image's own configuration.
    pub jvm_user_image: Option<String>,
    /// An injector that speaks the protocol badly.
    pub hostile_image: Option<String>,
    pub pull_policy: String,
    /// Whether it is the lab, of whose nodes, registries and names everything is known.
    pub is_lab: bool,
    /// The plugin's binary.
    pub plugin: PathBuf,
    /// A kubectl as it is released.
    pub kubectl: PathBuf,
}

/// The cluster that the environment names.
///
/// # Panics
/// If it names none: these tests are run by `cargo xtask e2e`.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::of_environment)
}

impl Cluster {
    fn of_environment() -> Cluster {
        Cluster {
            kubeconfig: required("JATTACH_E2E_KUBECONFIG").into(),
            context: optional("JATTACH_E2E_CONTEXT"),
            injector_image: text(required("JATTACH_E2E_INJECTOR_IMAGE")),
            jvm_image: text(required("JATTACH_E2E_JVM_IMAGE")),
            jvm_shell_image: optional("JATTACH_E2E_JVM_SHELL_IMAGE"),
            jvm_user_image: optional("JATTACH_E2E_JVM_USER_IMAGE"),
            hostile_image: optional("JATTACH_E2E_HOSTILE_IMAGE"),
            pull_policy: optional("JATTACH_E2E_PULL_POLICY").unwrap_or_else(|| "IfNotPresent".to_owned()),
            is_lab: optional("JATTACH_E2E_LAB").is_some(),
            plugin: required("JATTACH_PLUGIN").into(),
            kubectl: required("JATTACH_KUBECTL").into(),
        }
    }

    /// kubectl as the user who may do everything.
    #[must_use]
    pub fn kubectl(&self) -> Program {
        self.as_admin(Program::new(&self.kubectl))
    }

    /// The plugin, told nothing: no kubeconfig, no image.
    #[must_use]
    pub fn bare_plugin(&self) -> Program {
        // A home without a kubeconfig: what the machine's user has must not count.
        Program::new(&self.plugin).env("HOME", "/nonexistent").env_remove("KUBECONFIG")
    }

    /// The plugin with the injector's image, told no cluster.
    #[must_use]
    pub fn plugin_of_image(&self) -> Program {
        self.bare_plugin().args(["--image", &self.injector_image]).args(["--image-pull-policy", &self.pull_policy])
    }

    /// The plugin with the injector's image, as the user who may do everything.
    #[must_use]
    pub fn plugin(&self) -> Program {
        self.as_admin(self.plugin_of_image())
    }

    /// The plugin told of no image, as the user who may do everything.
    #[must_use]
    pub fn bare_plugin_of_admin(&self) -> Program {
        self.as_admin(self.bare_plugin())
    }

    fn as_admin(&self, program: Program) -> Program {
        let program = program.arg("--kubeconfig").arg(&self.kubeconfig);
        match &self.context {
            Some(context) => program.args(["--context", context]),
            None => program,
        }
    }
}

fn required(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run these tests by `cargo xtask e2e`"))
}

fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn text(value: OsString) -> String {
    value.into_string().unwrap_or_else(|value| panic!("{} is no text", value.display()))
}

/// Says that the running test cannot be made here, past the capture of output by the test's runner.
///
/// # Panics
/// Where JATTACH_E2E_NO_SKIPS says that everything can.
pub fn skip(reason: &str) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("JATTACH_E2E_NO_SKIPS").is_none(), "{name} is not to be skipped: {reason}");
    // A stderr that is closed has no reader to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {reason}");
}

/// The shell image, or else the reason is told and the test ends.
#[macro_export]
macro_rules! shell_image_or_skip {
    () => {
        match &$crate::cluster().jvm_shell_image {
            Some(image) => image.as_str(),
            None => return $crate::skip("no image with a shell was given (--jvm-shell-image)"),
        }
    };
}
