//! Network namespaces without names: held by file descriptors, gone with the last of them and the last process
//! inside, also after SIGKILL; it must not know what they are used for.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace.
#[derive(Debug, Clone)]
pub struct Netns(Arc<File>);

impl Netns {
    /// Makes a new one. Its loopback is still down.
    pub fn create() -> Result<Self> {
        on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("could not make a network namespace; the lab needs root (CAP_SYS_ADMIN)")?;
            let file = File::open("/proc/thread-self/ns/net").context("could not open the namespace")?;
            Ok(Self(Arc::new(file)))
        })
    }

    /// Runs `work` on a thread inside the namespace. Processes that it starts are inside too.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_own_thread(|| {
            setns(&*self.0, CloneFlags::CLONE_NEWNET).context("could not enter a network namespace")?;
            work()
        })
    }

    /// Runs a command inside the namespace with `input` on its standard input, and gives its standard output.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        self.enter(|| run(program, arguments, input))
    }

    /// A path that other processes can open for as long as this handle lives; ip(8) takes it for a name.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A thread's namespace ends with the thread, so nobody else's changes.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {program}; is its package installed?"))?;
    // Whether all was read shows in the status: a program that gave up early says why itself.
    let _ = child.stdin.take().context("no standard input")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{program} {} failed ({}): {}\nits input was:\n{input}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
