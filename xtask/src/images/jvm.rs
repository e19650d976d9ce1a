//! The JVM images of the tests: a JVM, by default this machine's own, with the fixtures, bare, with a shell, with a user of its own, and
//! with what one reaches for without kubectl-jattach.
//!
//! They stand for what people run: a JRE without tools, any uid, often a read-only root. They are never published.

mod fetched;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jattach_image::{Archive, ContainerConfig, Image, Layer, LayerFormat};
use xshell::{Shell, cmd};

use super::disk::{self, FromDisk};
use crate::arch::Arch;
use crate::tools::java::Java;
use crate::tools::jdk::Jdk;
use crate::tools::{self, Package, apt};
use crate::workspace::Workspace;

/// What a JVM needs to answer every attach command: agents, management, and the flight recorder's jcmd commands.
const MODULES: &str =
    "java.base,java.instrument,java.logging,java.management,jdk.jfr,jdk.management,jdk.management.agent";
const JAVA_HOME: &str = "opt/java";
const BUSYBOX: &str = "/bin/busybox";
/// What the image with a shell is made of.
pub(crate) const PACKAGES: [Package; 3] =
    [("busybox", BUSYBOX), ("util-linux", "/usr/bin/setpriv"), ("libcap2-bin", "/usr/sbin/setcap")];
/// What entrypoints change their user and capabilities with, and what gives a file capabilities.
const PRIVILEGES: [&str; 2] = ["setpriv", "setcap"];
/// Of busybox, what tests and people in a test pod reach for; `busybox NAME` gives the rest.
const APPLETS: [&str; 24] = [
    "sh",
    "cat",
    "chmod",
    "cp",
    "dd",
    "df",
    "env",
    "find",
    "grep",
    "head",
    "id",
    "kill",
    "ls",
    "mkdir",
    "mv",
    "ps",
    "rm",
    "rmdir",
    "sha256sum",
    "sleep",
    "stat",
    "tail",
    "touch",
    "uname",
];

/// What a dump is taken and fetched with where there is no injector: a stranger to every lean image, and in this one for
/// comparison. Not busybox's, which may be slower.
const TOOLS: [&str; 4] = ["jattach", "cat", "tar", "rm"];
/// The package of those that a machine may lack.
pub(crate) const TOOL_PACKAGES: [Package; 1] = [("jattach", "jattach")];

/// The images of one JDK.
#[derive(Debug)]
pub(crate) struct JvmImages {
    /// java and nothing else to execute.
    pub(crate) plain: Written,
    /// The same and a shell.
    pub(crate) shell: Written,
    /// The first again, whose own configuration names a user.
    pub(crate) user: Written,
}

/// An image on disk.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) reference: String,
}

/// Writes the images of that JDK to target/images.
pub(crate) fn write(workspace: &Workspace, jdk: &Jdk, yes: bool) -> Result<JvmImages> {
    let sh = workspace.shell()?;
    apt::install(&sh, &tools::missing(&PACKAGES), yes)?;
    let layers = layers(workspace, &sh, jdk)?;
    write_all(workspace, jdk.version, layers, shell_layer(&sh)?)
}

/// The same of a JVM from elsewhere, with fixtures that `compiler` compiles.
pub(crate) fn write_of(workspace: &Workspace, java: &Java, compiler: &Jdk, yes: bool) -> Result<JvmImages> {
    match java {
        Java::Installed(jdk) => write(workspace, jdk, yes),
        Java::Fetched(jdk) => {
            let app = app_layer(workspace, &workspace.shell()?, compiler, jdk.version)?;
            write_all(workspace, jdk.version, vec![fetched::java_layer(jdk)?, app], fetched::shell_layer(jdk)?)
        }
    }
}

fn write_all(workspace: &Workspace, version: u32, mut layers: Vec<Layer>, shell: Layer) -> Result<JvmImages> {
    let config = config();
    // containerd takes the uid alone and looks up the gid in passwd: whoever believes this group is wrong.
    let with_user = ContainerConfig { user: "10001:10002".to_owned(), ..config.clone() };
    let plain = write_one(workspace, version, "jvm", &config, &layers)?;
    let user = write_one(workspace, version, "jvm-user", &with_user, &layers)?;
    layers.push(shell);
    Ok(JvmImages { plain, shell: write_one(workspace, version, "jvm-shell", &config, &layers)?, user })
}

/// Writes the image with jattach and its kind, which only `cargo xtask bench` needs.
pub(crate) fn write_with_tools(workspace: &Workspace, jdk: &Jdk, yes: bool) -> Result<Written> {
    let sh = workspace.shell()?;
    apt::install(&sh, &tools::missing(&TOOL_PACKAGES), yes)?;
    let mut layers = layers(workspace, &sh, jdk)?;
    layers.push(tools_layer(&sh)?);
    write_one(workspace, jdk.version, "jvm-tools", &config(), &layers)
}

/// Where the compiled fixtures of that JDK's images lie on this machine.
pub(crate) fn classes(workspace: &Workspace, jdk: &Jdk) -> PathBuf {
    staging(workspace, jdk.version).join("app")
}

fn staging(workspace: &Workspace, version: u32) -> PathBuf {
    workspace.target().join(format!("jvm-{version}"))
}

fn layers(workspace: &Workspace, sh: &Shell, jdk: &Jdk) -> Result<Vec<Layer>> {
    let app = app_layer(workspace, sh, jdk, jdk.version)?;
    let java = java_layer(sh, jdk, &staging(workspace, jdk.version).join("jre"))?;
    Ok(vec![java, app])
}

fn write_one(
    workspace: &Workspace,
    version: u32,
    name: &str,
    config: &ContainerConfig,
    layers: &[Layer],
) -> Result<Written> {
    let reference = format!("localhost/jattach-test/{name}:{version}");
    let path = workspace.images().join(format!("{name}-{version}.tar"));
    let image = Image { architecture: Arch::host().of_image(), config, layers, format: LayerFormat::Tar };
    disk::write(&path, &Archive::single(&reference, &image)?.bytes)?;
    Ok(Written { path, reference })
}

fn config() -> ContainerConfig {
    ContainerConfig {
        env: vec![format!("PATH=/{JAVA_HOME}/bin:/bin"), format!("JAVA_HOME=/{JAVA_HOME}")],
        entrypoint: vec!["java".to_owned()],
        cmd: ["-cp", "/app", "App"].map(str::to_owned).to_vec(),
        ..ContainerConfig::default()
    }
}

/// The JVM, the libraries it is linked with, and the files without which a JVM is not itself.
fn java_layer(sh: &Shell, jdk: &Jdk, jre: &Path) -> Result<Layer> {
    jlink(sh, jdk, jre)?;
    let mut layer = Layer::default();
    let home = Path::new(JAVA_HOME);
    layer.copy_tree(&home.join("lib"), &jre.join("lib"))?;
    layer.copy_tree(&home.join("conf"), &jre.join("conf"))?;
    layer.copy(home.join("release"), &jre.join("release"))?;
    layer.copy(home.join("bin/java"), &jre.join("bin/java"))?;
    for library in shared_libraries(sh, jre)? {
        layer.copy(library.strip_prefix("/")?, &library)?;
    }
    furnish(&mut layer);
    Ok(layer)
}

/// What a JVM looks for beside itself, and a runtime beside the JVM.
fn furnish(layer: &mut Layer) {
    // A JVM whose uid has no name in passwd writes no hsperfdata. Root and one other have names, all others have none.
    layer.file("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\napp:x:10001:10001:app:/app:/bin/sh\n");
    layer.file("etc/group", 0o644, "root:x:0:\napp:x:10001:\n");
    layer.folder("tmp", 0o1777);
    for mount_point in ["dev", "proc", "sys"] {
        layer.folder(mount_point, 0o755);
    }
}

fn jlink(sh: &Shell, jdk: &Jdk, jre: &Path) -> Result<()> {
    if jre.exists() {
        fs::remove_dir_all(jre).with_context(|| format!("failed to remove {}", jre.display()))?;
    }
    let tool = jdk.tool("jlink");
    cmd!(sh, "{tool} --add-modules {MODULES} --no-man-pages --no-header-files --output {jre}")
        .run()
        .with_context(|| format!("failed to make a JRE of {}", jdk.home.display()))
}

/// The libraries outside the JRE that its programs and libraries are linked with, the loader among them.
fn shared_libraries(sh: &Shell, jre: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut programs = vec![jre.join("bin/java"), jre.join("lib/jspawnhelper")];
    for folder in [jre.join("lib"), jre.join("lib/server")] {
        for entry in fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "so") {
                programs.push(path);
            }
        }
    }
    // The JVM's libraries find libjvm.so because it is loaded before them.
    let server = jre.join("lib/server");
    let listing =
        cmd!(sh, "ldd {programs...}").env("LD_LIBRARY_PATH", server).quiet().read().context("ldd failed on the JRE")?;
    ensure!(!listing.contains("not found"), "the JRE lacks libraries of this machine:\n{listing}");
    Ok(listing.lines().filter_map(resolved).filter(|path| !path.starts_with(jre)).collect())
}

/// The file in a line of ldd: `libz.so.1 => /lib/…/libz.so.1 (0x…)`, or the loader's `/lib64/ld-… (0x…)`.
pub(super) fn resolved(line: &str) -> Option<PathBuf> {
    let line = line.strip_prefix('\t')?;
    let path = line.split_once(" => ").map_or(line, |(_, path)| path).rsplit_once(" (")?.0;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The fixtures, compiled for Java 8 so that one source serves every JVM.
fn app_layer(workspace: &Workspace, sh: &Shell, compiler: &Jdk, version: u32) -> Result<Layer> {
    let staging = staging(workspace, version);
    fs::create_dir_all(&staging).with_context(|| format!("failed to make {}", staging.display()))?;
    let (sources, classes) = (&workspace.root().join("tests/fixtures"), &staging.join("app"));
    if classes.exists() {
        fs::remove_dir_all(classes).with_context(|| format!("failed to remove {}", classes.display()))?;
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(sources).with_context(|| format!("failed to list {}", sources.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "java") {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "no Java sources in {}", sources.display());
    let javac = compiler.tool("javac");
    // Newer compilers call Java 8 obsolete; they still compile it.
    cmd!(sh, "{javac} --release 8 -Xlint:-options -d {classes} {files...}")
        .run()
        .context("the fixtures do not compile")?;
    let mut layer = Layer::default();
    layer.copy_tree(Path::new("app"), classes)?;
    Ok(layer)
}

fn shell_layer(sh: &Shell) -> Result<Layer> {
    let mut layer = Layer::default();
    layer.copy("bin/busybox", Path::new(BUSYBOX))?;
    // Of Debian's two packages one is static, the other is on most machines.
    let listing = cmd!(sh, "ldd {BUSYBOX}").quiet().ignore_status().ignore_stderr().read()?;
    for library in listing.lines().filter_map(resolved) {
        layer.copy(library.strip_prefix("/")?, &library)?;
    }
    link_applets(&mut layer);
    copy_programs(sh, &mut layer, &PRIVILEGES)?;
    Ok(layer)
}

fn link_applets(layer: &mut Layer) {
    for applet in APPLETS {
        layer.link(format!("bin/{applet}"), "busybox");
    }
}

/// This machine's own tools, and the libraries that they are linked with.
fn tools_layer(sh: &Shell) -> Result<Layer> {
    let mut layer = Layer::default();
    copy_programs(sh, &mut layer, &TOOLS)?;
    Ok(layer)
}

fn copy_programs(sh: &Shell, layer: &mut Layer, names: &[&str]) -> Result<()> {
    for name in names {
        let path = tools::find(name).with_context(|| format!("this machine has no {name}"))?;
        layer.copy(Path::new("bin").join(name), &path)?;
        let listing = cmd!(sh, "ldd {path}").quiet().ignore_status().ignore_stderr().read()?;
        for library in listing.lines().filter_map(resolved) {
            layer.copy(library.strip_prefix("/")?, &library)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_lines_give_the_libraries_and_the_loader() {
        let path = |line| resolved(line).map(|path| path.display().to_string());
        assert_eq!(path("\tlibz.so.1 => /lib/x/libz.so.1 (0x00007f)").as_deref(), Some("/lib/x/libz.so.1"));
        assert_eq!(path("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)").as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007f)"), None);
        assert_eq!(path("/jre/bin/java:"), None);
    }
}
