//! A process that is ended when its handle is dropped; it must not know why it was started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// `TCP_LISTEN` in `include/net/tcp_states.h`, as /proc/net/tcp writes it.
const LISTEN: &str = "0A";

/// A running (or ended) process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What an ended process has left.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Process {
    pub(crate) fn new(name: String, child: Child, stdout: PathBuf, stderr: PathBuf) -> Self {
        Self { name, child, stdout, stderr }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The reading end of its standard output, if it was started with a pipe and nobody has taken it yet.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// What it has written to its standard output so far; empty with a pipe.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// How it ended, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("could not look after {}", self.name))
    }

    /// Fails with what the process has said if it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.ended()? else { return Ok(()) };
        bail!("{} ended early ({status})\n{}{}", self.name, self.stdout(), self.stderr());
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self, within: Duration) -> Result<Output> {
        let what = format!("the end of {}", self.name);
        let status = wait::until(what, within, || self.ended())?;
        Ok(Output { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid().try_into()?);
        kill(pid, signal).with_context(|| format!("could not send {signal} to {}", self.name))
    }

    /// Waits until some process in this one's network namespace listens on `port`.
    pub fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let what = format!("{} to listen on port {port}; it says:\n{}", self.name, self.stderr());
        wait::until_true(what, wait::LONG, || {
            self.check_alive()?;
            Ok(listens(self.pid(), port))
        })
    }

    /// Waits for a line of its standard error, and gives the line.
    pub fn wait_for_stderr(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        wait::until(what, wait::LONG, || {
            let said = self.stderr();
            if let Some(line) = said.lines().find(|line| wanted(line)) {
                return Ok(Some(line.to_owned()));
            }
            self.check_alive()?;
            Ok(None)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not all output need be text, and a file that is not there yet is empty.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn listens(pid: u32, port: u16) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        has_listener(&table, port)
    })
}

/// proc(5), `/proc/net/tcp`: `sl local_address rem_address st …`, with the port in hexadecimal digits.
fn has_listener(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        local.ends_with(&port) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_listeners_and_no_other_sockets() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                     0: 00000000:18EB 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:18EC 0100007F:9C40 01 00000000:00000000\n";
        assert!(has_listener(table, 6379));
        assert!(!has_listener(table, 6380));
        assert!(!has_listener(table, 40000));
    }
}
