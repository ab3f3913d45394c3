//! Starts a program in a control group, a network namespace and as a user; it must not know what the program is.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User, setgid, setgroups, setuid};

use crate::netns::Netns;
use crate::process::{Output, Process};

/// A program and where and as whom to start it.
#[derive(Debug)]
pub struct Launch {
    name: String,
    command: Command,
    folder: PathBuf,
    cgroup: Option<PathBuf>,
    netns: Option<Netns>,
    user: Option<(Uid, Gid)>,
    piped: bool,
}

impl Launch {
    /// Starts `program` with its output in files in `folder`.
    pub fn new(program: &Path, folder: &Path) -> Self {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        // A Ctrl-C of the terminal is for the lab, which then ends its processes in order.
        command.stdin(Stdio::null()).process_group(0);
        Self { name, command, folder: folder.to_owned(), cgroup: None, netns: None, user: None, piped: false }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds an option and its value.
    #[must_use]
    pub fn arg_pair(mut self, option: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(option).arg(value);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it in a control group.
    #[must_use]
    pub fn in_cgroup(self, cgroup: &Path) -> Self {
        Self { cgroup: Some(cgroup.to_owned()), ..self }
    }

    /// Starts it in a network namespace.
    #[must_use]
    pub fn in_netns(self, netns: &Netns) -> Self {
        Self { netns: Some(netns.clone()), ..self }
    }

    /// Starts it as a user and group by their numbers; nobody need have made an account for them.
    #[must_use]
    pub fn as_id(self, id: u32) -> Self {
        Self { user: Some((Uid::from_raw(id), Gid::from_raw(id))), ..self }
    }

    /// Starts it as the user that its Debian package has made, who gets the folder too.
    pub fn as_user(self, name: &str) -> Result<Self> {
        let user = User::from_name(name)?
            .with_context(|| format!("there is no user {name}; is the server's package installed?"))?;
        give(&self.folder, user.uid, user.gid)?;
        Ok(Self { user: Some((user.uid, user.gid)), ..self })
    }

    /// Leaves standard output to be read from [`Process::take_stdout`] instead of a file.
    #[must_use]
    pub fn piped(self) -> Self {
        Self { piped: true, ..self }
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Process> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Several runs of one program in a container each have files of their own.
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let stdout = self.folder.join(format!("{}-{nth}.stdout", self.name));
        let stderr = self.folder.join(format!("{}-{nth}.stderr", self.name));
        let output = if self.piped { Stdio::piped() } else { create(&stdout)?.into() };
        self.command.stdout(output).stderr(create(&stderr)?);
        self.prepare_child()?;
        let child = self.command.spawn().with_context(|| {
            format!("could not start {}; is it installed?", self.command.get_program().display())
        })?;
        Ok(Process::new(self.name, child, stdout, stderr))
    }

    /// Starts it and waits until it has ended.
    pub fn output(self, within: Duration) -> Result<Output> {
        self.start()?.wait(within)
    }

    fn prepare_child(&mut self) -> Result<()> {
        let cgroup = self.cgroup.take().map(|folder| open_procs(&folder)).transpose()?;
        let (netns, user) = (self.netns.take(), self.user);
        let enter = move || -> io::Result<()> {
            if let Some(procs) = &cgroup {
                // cgroups(7): "0" is the writing process itself.
                (&*procs).write_all(b"0")?;
            }
            if let Some(netns) = &netns {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
            }
            if let Some((uid, gid)) = user {
                setgroups(&[])?;
                setgid(gid)?;
                setuid(uid)?;
            }
            // Also after a SIGKILL of the lab nothing goes on running. It must be last: setuid(2) clears it.
            Ok(set_pdeathsig(Signal::SIGKILL)?)
        };
        // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are sound. It makes
        // system calls on descriptors opened before the fork (write, setns, setgroups, setgid, setuid, prctl);
        // it neither allocates nor takes a lock, also when it fails: an errno becomes an `io::Error` by value.
        unsafe { self.command.pre_exec(enter) };
        Ok(())
    }
}

fn open_procs(cgroup: &Path) -> Result<File> {
    let path = cgroup.join("cgroup.procs");
    OpenOptions::new().write(true).open(&path).with_context(|| format!("could not open {}", path.display()))
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("could not make {}", path.display()))
}

fn give(folder: &Path, uid: Uid, gid: Gid) -> Result<()> {
    std::os::unix::fs::chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))
        .with_context(|| format!("could not give {} to its server", folder.display()))?;
    for entry in fs::read_dir(folder)? {
        std::os::unix::fs::chown(entry?.path(), Some(uid.as_raw()), Some(gid.as_raw()))?;
    }
    Ok(())
}
