//! A containerd of its own, in a folder of its own, that goes with its handle; knows nothing of what runs in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    command::Launch,
    netns::Netns,
    process::{Output, Process},
    program, wait,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::described::Described;

/// What Docker and containerd give to containers unasked (`defaultUnixCaps`, oci/spec.go of containerd).
const UNASKED: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Everything in it that a test could see again is below its folder, but a control group for each container.
pub(crate) struct Runtime {
    folder: TempDir,
    _daemon: Process,
}

impl Runtime {
    /// Starts it. Kubernetes' own interface is left out: it wants a network.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let below = |name: &str| folder.path().join(name);
        let configuration = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            below("root"),
            below("state"),
            below("socket"),
        );
        fs::write(below("configuration.toml"), configuration)?;
        let mut daemon = Launch::new(&program::system("containerd")?, folder.path())
            .arg_pair("--config", below("configuration.toml"))
            .start()?;
        wait::until_true("containerd to take connections", wait::LONG, || {
            daemon.check_alive()?;
            Ok(below("socket").exists())
        })?;
        make_root(&below("rootfs"))?;
        fs::create_dir(below("recordings"))?;
        Ok(Self { folder, _daemon: daemon })
    }

    /// Runs the tracer in a container until it ends by itself.
    pub(crate) fn run(&self, container: &Described, arguments: &[&str]) -> Result<Output> {
        let name = next_name();
        let launch = self.launch(container, &name)?;
        let root = self.folder.path().join("rootfs");
        launch
            .args([root.as_os_str(), name.as_ref(), "/usr/bin/mtlsnoop".as_ref()])
            .args(arguments)
            .output(Duration::from_mins(1))
    }

    /// Starts the tracer in a container with the manifest's volumes, in a network namespace.
    pub(crate) fn start_tracer(
        &self,
        container: &Described,
        arguments: &[String],
        netns: &Netns,
    ) -> Result<Tracer<'_>> {
        let below = |name: &str| self.folder.path().join(name);
        fs::create_dir_all(below("etc"))?;
        fs::write(below("etc/config.yaml"), &container.config)?;
        let mount = |from: &str, to: &str, mode: &str| {
            format!("--mount=type=bind,src={},dst={to},options=rbind:{mode}", below(from).display())
        };
        let name = next_name();
        let process = self
            .launch(container, &name)?
            .args([
                format!("--with-ns=network:{}", netns.path()),
                "--env=MTLSNOOP_NODE=node-1".into(),
                mount("etc", "/etc/mtlsnoop", "ro"),
                mount("recordings", "/recordings", "rw"),
            ])
            .args([self.folder.path().join("rootfs").as_os_str(), name.as_ref()])
            .args(["/usr/bin/mtlsnoop"])
            .args(arguments)
            .start()?;
        Ok(Tracer { runtime: self, name, process: Some(process) })
    }

    /// What containers see as /recordings.
    pub(crate) fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    /// `ctr run`, up to where and what.
    fn launch(&self, container: &Described, name: &str) -> Result<Launch> {
        let below = |name: &str| self.folder.path().join(name);
        let mut launch = Launch::new(&program::system("ctr")?, self.folder.path())
            .arg_pair("--address", below("socket"))
            .args(["run", "--rm", "--rootfs", "--read-only", "--seccomp"])
            .arg_pair("--runc-binary", program::system("runc")?)
            .arg_pair("--runc-root", below("runc"))
            .arg_pair("--cgroup", format!("/{name}"))
            .arg_pair("--memory-limit", container.memory_limit_bytes.to_string());
        for capability in UNASKED {
            launch = launch.arg_pair("--cap-drop", format!("CAP_{capability}"));
        }
        for capability in &container.capabilities {
            launch = launch.arg_pair("--cap-add", format!("CAP_{capability}"));
        }
        for (from, to) in &container.mounts {
            launch = launch.arg_pair("--mount", format!("type=bind,src={from},dst={to},options=rbind:ro"));
        }
        Ok(launch.args(container.cgroup_namespace.iter().map(|path| format!("--with-ns=cgroup:{path}"))))
    }

    fn control(&self) -> Result<Launch> {
        Ok(Launch::new(&program::system("ctr")?, self.folder.path())
            .arg_pair("--address", self.folder.path().join("socket")))
    }
}

/// A tracer that runs.
pub(crate) struct Tracer<'a> {
    runtime: &'a Runtime,
    name: String,
    process: Option<Process>,
}

impl Tracer<'_> {
    /// Fails with what it has said if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.process.as_mut().context("it was stopped")?.check_alive()
    }

    /// Waits until it has said this of its run.
    pub(crate) fn wait_until_said(&mut self, what: &str) -> Result<()> {
        let process = self.process.as_mut().context("it was stopped")?;
        process.wait_for_stderr(what, |line| line.contains(what)).map(drop)
    }

    /// The first of its JSON lines that is like this, if it is there yet.
    pub(crate) fn line(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
        self.check_alive()?;
        let said = self.process.as_ref().map(Process::stdout).unwrap_or_default();
        // The last line may not be whole yet.
        Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).find(wanted))
    }

    /// A number that the kernel keeps of its memory: by the name that version 1 of control groups has for it, and version 2.
    pub(crate) fn memory_bytes(&self, v1: &str, v2: &str) -> Result<u64> {
        let root = Path::new("/sys/fs/cgroup");
        let places = [root.join("memory").join(&self.name).join(v1), root.join(&self.name).join(v2)];
        let text = places.iter().find_map(|place| fs::read_to_string(place).ok());
        Ok(text.with_context(|| format!("neither {v1} nor {v2} is there"))?.trim().parse()?)
    }

    /// Ends it as Kubernetes does, and gives what it left.
    pub(crate) fn stop(mut self) -> Result<Output> {
        let process = self.process.take().context("it was stopped")?;
        process.signal(Signal::SIGTERM)?;
        process.wait(wait::LONG)
    }
}

impl Drop for Tracer<'_> {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        // What runs in the container is no child of `ctr`, which ends with it and then removes it.
        let killed = self.runtime.control().and_then(|control| {
            control.args(["task", "kill", "--signal", "SIGKILL", &self.name]).output(wait::LONG)
        });
        if killed.is_ok() {
            let _ = process.wait(wait::LONG);
        }
    }
}

fn next_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("mtlsnoop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The tracer, with the libraries that it names, and the folders that something is mounted on.
fn make_root(root: &Path) -> Result<()> {
    let tracer = program::TRACER.find()?;
    copy(&tracer, &root.join("usr/bin/mtlsnoop"))?;
    for library in libraries(&tracer, root)? {
        copy(&library, &root.join(library.strip_prefix("/")?))?;
    }
    for folder in ["dev", "etc/mtlsnoop", "host/sys/fs/cgroup", "proc", "recordings", "run", "sys"] {
        fs::create_dir_all(root.join(folder))?;
    }
    Ok(())
}

/// ldd(1): `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader; nothing of a static program.
fn libraries(tracer: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let said = Launch::new(&program::system("ldd")?, folder).args([tracer]).output(wait::LONG)?.stdout;
    let words = said.lines().filter(|line| line.ends_with(')')).flat_map(str::split_whitespace);
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    fs::copy(from, to).with_context(|| format!("could not copy {}", from.display()))?;
    Ok(())
}
