//! A runtime with a few small images, and shorthands to look into its containers.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jattach_lab::image::ImageStore;
use jattach_lab::image::testing::{ImageBuilder, Layer};
use jattach_lab::runtime::{
    Config, Container, Error, ExecSpec, Runtime, Sandbox, SeccompDefault, container_spec, ephemeral_container_spec,
    pod_sandbox_spec,
};
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

pub(crate) type Fallible<T> = Result<T, Error>;

pub(crate) struct Lab {
    pub(crate) runtime: Runtime,
    pub(crate) state: PathBuf,
}

/// Runs a test in a lab of its own, which is removed however the test ends.
pub(crate) async fn in_lab<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Arc<Lab>) -> F) {
    in_lab_with(SeccompDefault::default(), test).await;
}

pub(crate) async fn in_lab_with<F: Future<Output = ()> + Send + 'static>(
    seccomp: SeccompDefault,
    test: impl FnOnce(Arc<Lab>) -> F,
) {
    let state = tempfile::tempdir().expect("a state directory");
    let runtime = start(state.path(), seccomp).await.expect("a runtime (root, runc)");
    let lab = Arc::new(Lab { runtime: runtime.clone(), state: state.path().to_owned() });
    let result = tokio::spawn(test(lab)).await;
    runtime.shutdown().await.expect("a clean end");
    if let Err(failed) = result {
        std::panic::resume_unwind(failed.into_panic());
    }
}

pub(crate) async fn start(state: &Path, seccomp_default: SeccompDefault) -> Fallible<Runtime> {
    let images = ImageStore::open(images(), &state.join("images"))?;
    let pause_program = PathBuf::from(env!("CARGO_BIN_EXE_lab-pause"));
    Runtime::start(Config { state: state.to_owned(), images, seccomp_default, pause_program }).await
}

/// `root`, `user` (USER 10001:10002) and `named` (USER app, with a passwd): busybox, and perl for system calls that
/// busybox has no applet for.
fn images() -> &'static Path {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-images");
        std::fs::create_dir_all(&dir).expect("a directory for images");
        let passwd = Layer::new()
            .directory("etc", 0o755)
            .file("etc/passwd", b"root:x:0:0::/:\napp:x:10001:10005::/:\n")
            .file("etc/group", b"root:x:0:\nextra:x:77:app\n");
        let layers = [Layer::busybox(), Layer::new().program("/usr/bin/perl").gzip()];
        for (name, user, layers) in [
            ("root", "", layers.to_vec()),
            ("user", "10001:10002", layers.to_vec()),
            ("named", "app", [layers.as_slice(), &[passwd]].concat()),
        ] {
            let config = json!({"User": user, "Entrypoint": ["/bin/sleep"], "Cmd": ["1000000"],
                "Env": ["PATH=/bin", "FROM_IMAGE=yes"], "WorkingDir": "/tmp"});
            let image = ImageBuilder::new(&format!("localhost/lab/{name}:1")).config(config).layers(&layers);
            image.write(&dir.join(format!("{name}.tar")));
        }
        dir
    })
}

/// A pod of `root` containers named as given, which sleep.
pub(crate) fn pod_of(names: &[&str]) -> Value {
    let containers: Vec<Value> = names.iter().map(|name| container(name, &json!({}))).collect();
    pod(&json!({"containers": containers}))
}

/// A sleeping container with `more` fields.
pub(crate) fn container(name: &str, more: &Value) -> Value {
    merged(json!({"name": name, "image": "localhost/lab/root:1"}), more)
}

pub(crate) fn pod(spec: &Value) -> Value {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    json!({"metadata": {"name": format!("p{number}"), "namespace": "ns",
        "uid": format!("00000000-0000-0000-0000-{number:012}")}, "spec": spec})
}

fn merged(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        base[key] = value.clone();
    }
    base
}

/// A running pod.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) containers: Vec<Container>,
    pod: Pod,
}

impl Lab {
    pub(crate) async fn run(&self, pod: Value) -> Running {
        self.try_run(pod).await.expect("a running pod")
    }

    pub(crate) async fn try_run(&self, pod: Value) -> Fallible<Running> {
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let sandbox = self.runtime.create_pod(&pod_sandbox_spec(&pod)?).await?;
        let mut containers = Vec::new();
        for container in &pod.spec.as_ref().expect("a spec").containers {
            let container = sandbox.create_container(&container_spec(&pod, container)?).await?;
            container.start().await?;
            containers.push(container);
        }
        Ok(Running { sandbox, containers, pod })
    }

    /// A pod of one container with `more` fields.
    pub(crate) async fn run_one(&self, more: Value) -> Container {
        let pod = pod(&json!({"containers": [container("app", &more)]}));
        self.run(pod).await.containers.remove(0)
    }
}

impl Running {
    pub(crate) async fn debug(&self, target: Option<&Container>, more: &Value) -> Fallible<Container> {
        let ephemeral = merged(container("debug", more), &json!({"targetContainerName": target.map(Container::name)}));
        let ephemeral: EphemeralContainer = serde_json::from_value(ephemeral).expect("an ephemeral container");
        let target = target.map(|target| target.id().to_owned());
        let spec = ephemeral_container_spec(&self.pod, &ephemeral, target)?;
        let container = self.sandbox.create_container(&spec).await?;
        container.start().await?;
        Ok(container)
    }
}

/// What a command in a container wrote, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

pub(crate) async fn output(container: &Container, argv: &[&str]) -> Output {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let mut exec = container.exec(&ExecSpec { argv, stdin: false }).await.expect("a command that starts");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let (first, second) =
        tokio::join!(exec.stdout.read_to_string(&mut stdout), exec.stderr.read_to_string(&mut stderr));
    first.and(second).expect("readable output");
    Output { stdout, stderr, code: exec.process.wait().await }
}

/// The standard output of a shell script that must succeed.
pub(crate) async fn shell(container: &Container, script: &str) -> String {
    let output = output(container, &["sh", "-c", script]).await;
    assert_eq!(output.code, 0, "{script}: {output:?}");
    output.stdout.trim_end().to_owned()
}

/// A field of the /proc/self/status of a command run in the container.
pub(crate) async fn status_field(container: &Container, field: &str) -> String {
    let status = shell(container, "cat /proc/self/status").await;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}
