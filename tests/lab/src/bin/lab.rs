//! `lab --images DIR --state DIR`: runs a lab until stdin ends or a signal comes.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use jattach_lab::{
    cluster::Options,
    image::ImageStore,
    lab::Lab,
    runtime::{Config, Runtime, SeccompDefault, program_beside_this},
};
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};

/// A stand-in Kubernetes cluster over runc, for tests. Prints `KUBECONFIG=<path>` when it is ready.
#[derive(Debug, Parser)]
struct Arguments {
    /// Images as OCI archives (*.tar): the cluster's only registry
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Where everything of this lab lies while it runs; not on an overlay
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Leaves out status.containerStatuses[].user, as clusters before 1.33 do
    #[arg(long)]
    no_status_user: bool,
    /// Says of ImagePullBackOff only that the image is pulled again later, as kubelets before 1.32 do
    #[arg(long)]
    bare_back_off: bool,
    /// Answers calls outside of the RuntimeDefault seccomp profile with ENOSYS instead of EPERM
    #[arg(long)]
    seccomp_enosys: bool,
    /// Answers openat2 and the calls on pidfds with EPERM, as a RuntimeDefault profile does that is older than they are
    #[arg(long, conflicts_with = "seccomp_enosys")]
    seccomp_old: bool,
    /// Makes every new ephemeral container's root file system read-only, as an admission webhook may
    #[arg(long)]
    seal_ephemeral: bool,
}

impl Arguments {
    fn seccomp(&self) -> SeccompDefault {
        match (self.seccomp_enosys, self.seccomp_old) {
            (true, _) => SeccompDefault::Enosys,
            (_, true) => SeccompDefault::EpermOld,
            _ => SeccompDefault::Eperm,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(&arguments));
    // The thread that reads stdin may sit in its read for good.
    runtime.shutdown_background();
    result
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    std::fs::create_dir_all(&arguments.state)
        .with_context(|| format!("cannot create {}", arguments.state.display()))?;
    let state = arguments.state.canonicalize().context("cannot resolve the state directory")?;
    let config = Config {
        state: state.join("runtime"),
        images: ImageStore::open(&arguments.images, &state.join("images"))?,
        seccomp_default: arguments.seccomp(),
        pause_program: program_beside_this().context("cannot find lab-pause")?,
    };
    let runtime = Runtime::start(config).await?;
    let options = Options {
        report_users: !arguments.no_status_user,
        explain_back_off: !arguments.bare_back_off,
        seal_ephemeral: arguments.seal_ephemeral,
    };
    let lab = Lab::start(&state, runtime.clone(), options).await?;
    println!("KUBECONFIG={}", lab.kubeconfig().display());
    tokio::select! {
        () = end_of_stdin() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    lab.shutdown().await;
    runtime.shutdown().await?;
    std::fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))
}

async fn end_of_stdin() {
    let (mut stdin, mut buffer) = (tokio::io::stdin(), [0; 256]);
    while stdin.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}
