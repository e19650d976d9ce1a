//! A pod: its namespaces, held by a pause container, its cgroup, its /dev/shm and its volumes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::SocketAddrV4;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};
use rustix::mount::MountFlags;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::cgroup::Cgroup;
use super::config::{self, Bind, Inputs, namespace};
use super::container::{Bundle, Container, Parts, State, remove_directory};
use super::error::{Error, IoContext, Result};
use super::kernel_mounts::{overlay, tmpfs, unmount_below};
use super::pause;
use super::shared::Shared;
use super::spec::{ContainerSpec, EmptyDir, PodSandboxSpec, ProjectedVolume, SeccompProfile, User};
use super::{capabilities, user};
use crate::image;

/// The kubelet's limit for a pod's /dev/shm, and the mode that lets every user in.
const SHM_OPTIONS: &str = "mode=1777,size=65536k";
const HOSTNAME_LIMIT: usize = 63;

/// A pod. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: PodSandboxSpec,
    shared: Arc<Shared>,
    directory: PathBuf,
    cgroup: Cgroup,
    containers: Mutex<BTreeMap<String, Container>>,
    pause: Mutex<Option<Container>>,
}

impl Sandbox {
    /// What has been made of a pod that fails on the way is removed again.
    pub(super) async fn create(shared: Arc<Shared>, spec: &PodSandboxSpec) -> Result<Self> {
        let inner = Inner {
            directory: shared.pods.join(&spec.uid),
            cgroup: shared.cgroup.child(&format!("pod{}", spec.uid)),
            spec: spec.clone(),
            shared,
            containers: Mutex::default(),
            pause: Mutex::default(),
        };
        let sandbox = Self(Arc::new(inner));
        match sandbox.set_up().await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                if let Err(second) = sandbox.remove().await {
                    eprintln!("lab: pod {}: {second}", spec.name);
                }
                Err(error)
            }
        }
    }

    async fn set_up(&self) -> Result<()> {
        let Inner { spec, directory, cgroup, .. } = &*self.0;
        fs::create_dir_all(directory).context("create", directory)?;
        cgroup.create(&spec.resources)?;
        let secure = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        tmpfs(&self.shm(), secure, SHM_OPTIONS)?;
        for volume in &spec.volumes {
            self.create_volume(volume)?;
        }
        for volume in &spec.projected {
            self.write_volume(volume)?;
        }
        let hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.0.1\t{}\n", self.hostname());
        for (file, content) in [("hosts", hosts), ("hostname", format!("{}\n", self.hostname()))] {
            let path = directory.join(file);
            fs::write(&path, content).context("write", path)?;
        }
        self.start_pause().await
    }

    async fn start_pause(&self) -> Result<()> {
        let Inner { spec, shared, .. } = &*self.0;
        let mut namespaces = Vec::new();
        for kind in [
            LinuxNamespaceType::Network,
            LinuxNamespaceType::Ipc,
            LinuxNamespaceType::Uts,
            LinuxNamespaceType::Pid,
            LinuxNamespaceType::Mount,
        ] {
            namespaces.push(namespace(kind, None)?);
        }
        let image = image::Image {
            reference: String::new(),
            id: String::new(),
            rootfs: shared.pause_root.clone(),
            config: image::Config::default(),
        };
        let pause = pause::container(spec);
        let binds = [pause::binds(&shared.pause_program), vec![Bind::new(self.shm(), "/dev/shm", false)]].concat();
        let container = self.make(&pause, &image, namespaces, binds, true)?;
        *self.0.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(container.clone());
        container.start().await
    }

    /// A container of this pod, which is still to be started.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<Container> {
        let image = self.0.shared.image(&spec.image).await?;
        let namespaces = self.namespaces(spec)?;
        let binds = self.binds(spec)?;
        let container = self.make(spec, &image, namespaces, binds, false)?;
        let mut containers = self.0.containers.lock().unwrap_or_else(PoisonError::into_inner);
        containers.insert(container.id().to_owned(), container.clone());
        Ok(container)
    }

    /// Writes down everything that runc needs to know.
    fn make(
        &self,
        spec: &ContainerSpec,
        image: &image::Image,
        namespaces: Vec<LinuxNamespace>,
        mut binds: Vec<Bind>,
        sets_hostname: bool,
    ) -> Result<Container> {
        let id = new_id();
        let user = self.user(&id, spec, image)?;
        let argv = config::argv(spec, &image.config);
        if argv.is_empty() {
            return Err(Error::NoCommand { id });
        }
        let capabilities =
            capabilities::of(&spec.security).map_err(|name| Error::UnknownCapability { id: id.clone(), name })?;
        let confined = spec.security.seccomp == SeccompProfile::RuntimeDefault && !spec.security.privileged;
        let seccomp = confined.then(|| self.0.shared.seccomp(&capabilities)).transpose()?;
        let bundle = Bundle(self.0.directory.join("containers").join(&id));
        overlay(&image.rootfs, &bundle.upper(), &bundle.work(), &bundle.rootfs())?;
        create_termination_log(&bundle.termination_log())?;
        binds.push(Bind::new(bundle.termination_log(), &spec.termination.path, false));
        let cgroup = self.0.cgroup.child(&id);
        let hostname = self.hostname();
        let inputs = Inputs {
            spec,
            image: &image.config,
            argv,
            user: &user,
            capabilities,
            seccomp,
            rootfs: &bundle.rootfs(),
            cgroup: &cgroup,
            namespaces,
            binds,
            hostname: &hostname,
            sets_hostname,
            sysctls: if sets_hostname { pause::sysctls() } else { HashMap::new() },
        };
        config::build(&inputs)?.save(bundle.0.join("config.json"))?;
        Container::new(Parts {
            id,
            spec: spec.clone(),
            stop_signal: image.config.stop_signal.clone(),
            user,
            bundle,
            cgroup,
            runc: self.0.shared.runc.clone(),
            writers: self.0.shared.writers.clone(),
        })
    }

    /// The kubelet's check of runAsNonRoot comes first, as it needs no container.
    fn user(&self, id: &str, spec: &ContainerSpec, image: &image::Image) -> Result<User> {
        let wanted = user::wanted(&spec.security, &image.config.user);
        if spec.security.run_as_non_root {
            let pod = format!("{}_{}({})", self.0.spec.name, self.0.spec.namespace, self.0.spec.uid);
            let container = spec.name.clone();
            match &wanted {
                user::Wanted::Uid(0) if spec.security.run_as_user.is_some() => {
                    return Err(Error::RunAsUserIsRoot { pod, container });
                }
                user::Wanted::Uid(0) => return Err(Error::ImageRunsAsRoot { pod, container }),
                user::Wanted::Name(name) => {
                    return Err(Error::UserNotNumeric { user: name.clone(), pod, container });
                }
                user::Wanted::Uid(_) => {}
            }
        }
        user::resolve(&wanted, &spec.security, &image.rootfs)
            .ok_or_else(|| Error::UnknownUser { id: id.to_owned(), user: image.config.user.clone() })
    }

    fn namespaces(&self, spec: &ContainerSpec) -> Result<Vec<LinuxNamespace>> {
        let pause = self.pause_pid()?;
        let of = |pid: i32, name: &str| PathBuf::from(format!("/proc/{pid}/ns/{name}"));
        let processes = match &spec.target {
            Some(target) => Some(of(self.running_pid(target)?, "pid")),
            None => self.0.spec.share_process_namespace.then(|| of(pause, "pid")),
        };
        Ok(vec![
            namespace(LinuxNamespaceType::Network, Some(of(pause, "net")))?,
            namespace(LinuxNamespaceType::Ipc, Some(of(pause, "ipc")))?,
            namespace(LinuxNamespaceType::Uts, Some(of(pause, "uts")))?,
            namespace(LinuxNamespaceType::Pid, processes)?,
            namespace(LinuxNamespaceType::Mount, None)?,
        ])
    }

    fn pause_pid(&self) -> Result<i32> {
        let pause = self.0.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let running = pause.as_ref().filter(|pause| matches!(pause.state(), State::Running { .. }));
        let gone = || Error::NotRunning { id: self.0.spec.uid.clone(), state: "SANDBOX_NOTREADY" };
        running.and_then(Container::pid).ok_or_else(gone)
    }

    /// Listens in the pod's own network.
    pub fn listen(&self, address: SocketAddrV4) -> Result<std::net::TcpListener> {
        let network = PathBuf::from(format!("/proc/{}/ns/net", self.pause_pid()?));
        // A thread of its own, which ends in there: a socket belongs to the network that it was made in.
        let listening = std::thread::spawn(move || -> std::io::Result<_> {
            move_into_link_name_space(fs::File::open(network)?.as_fd(), Some(LinkNameSpaceType::Network))?;
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listening = listening.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread panicked")));
        listening.context("listen in the network of", &self.0.directory)
    }

    fn running_pid(&self, id: &str) -> Result<i32> {
        let not_running = |state| Error::TargetNotRunning { id: id.to_owned(), state };
        let containers = self.0.containers.lock().unwrap_or_else(PoisonError::into_inner);
        let target = containers.get(id).ok_or_else(|| not_running("CONTAINER_UNKNOWN"))?;
        match target.state() {
            State::Running { .. } => target.pid().ok_or_else(|| not_running("CONTAINER_UNKNOWN")),
            state => Err(not_running(state.name())),
        }
    }

    fn binds(&self, spec: &ContainerSpec) -> Result<Vec<Bind>> {
        let mut binds = vec![Bind::new(self.shm(), "/dev/shm", false)];
        let read_only = spec.security.read_only_root;
        for file in ["hosts", "hostname"] {
            binds.push(Bind::new(self.0.directory.join(file), Path::new("/etc").join(file), read_only));
        }
        for mount in &spec.mounts {
            if !self.has_volume(&mount.volume) {
                return Err(Error::UnknownVolume { id: spec.name.clone(), volume: mount.volume.clone() });
            }
            binds.push(Bind::new(self.volume(&mount.volume), &mount.path, mount.read_only));
        }
        Ok(binds)
    }

    /// Everybody may write to an emptyDir; with an fsGroup new files belong to that group.
    fn create_volume(&self, volume: &EmptyDir) -> Result<()> {
        let path = self.volume(&volume.name);
        if volume.memory {
            let limits = [volume.size_limit, self.0.spec.resources.memory_limit];
            let options = limits.into_iter().flatten().min().map(|bytes| format!("size={bytes}"));
            tmpfs(&path, MountFlags::empty(), &options.unwrap_or_default())?;
        } else {
            fs::create_dir_all(&path).context("create", &path)?;
        }
        let mode = if self.0.spec.fs_group.is_some() { 0o2777 } else { 0o777 };
        chown(&path, Some(0), Some(self.0.spec.fs_group.unwrap_or(0))).context("change the owner of", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).context("change the mode of", path)
    }

    fn write_volume(&self, volume: &ProjectedVolume) -> Result<()> {
        for file in &volume.files {
            let path = self.volume(&volume.name).join(&file.path);
            let directory = path.parent().unwrap_or(&path);
            fs::create_dir_all(directory).context("create", directory)?;
            fs::write(&path, &file.content).context("write", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).context("change the mode of", path)?;
        }
        Ok(())
    }

    fn has_volume(&self, name: &str) -> bool {
        let PodSandboxSpec { volumes, projected, .. } = &self.0.spec;
        volumes.iter().any(|volume| volume.name == name) || projected.iter().any(|volume| volume.name == name)
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.0.directory.join("volumes").join(name)
    }

    fn shm(&self) -> PathBuf {
        self.0.directory.join("shm")
    }

    fn hostname(&self) -> String {
        self.0.spec.name.chars().take(HOSTNAME_LIMIT).collect()
    }

    /// All that were created and not removed, ended ones included.
    fn containers(&self) -> Vec<Container> {
        self.0.containers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The emptyDir volume's directory on this machine: a test meters what the pod wrote there.
    pub fn volume_dir(&self, name: &str) -> PathBuf {
        self.volume(name)
    }

    /// Kills what still runs and removes everything of the pod.
    pub async fn remove(&self) -> Result<()> {
        for container in self.containers() {
            container.remove().await?;
        }
        let pause = self.0.pause.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pause) = pause {
            pause.remove().await?;
        }
        self.0.cgroup.kill().await?;
        self.0.cgroup.remove().await?;
        unmount_below(&self.0.directory)?;
        self.0.containers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        remove_directory(&self.0.directory)
    }
}

/// 64 hexadecimal digits, as containerd's ids are.
fn new_id() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// Every user may write there.
fn create_termination_log(path: &Path) -> Result<()> {
    fs::write(path, "").context("create", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).context("change the mode of", path)
}
