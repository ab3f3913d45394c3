//! One virtual machine: boots a kernel, shows its console line by line, and ends with it. It does not know what the lines mean.
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use mtlsnoop_tests::{command::Launch, interrupt, process::Process};

use super::console::Outcome;
use crate::workspace;

const QEMU: &str = "qemu-system-x86_64";

/// No line for so long means that it hangs: the slowest test takes a fraction of it, on a machine without KVM.
const SILENCE: Duration = Duration::from_mins(3);

/// Between two looks for a Ctrl-C.
const GLANCE: Duration = Duration::from_millis(100);

/// Emulated, because many machines that run tests are virtual themselves. One processor: with two, emulated kernels
/// of 6.12 were seen to fail when programs were attached and detached under load.
/// An old processor, because wide vectors take longer to emulate.
const OPTIONS: &str =
    "-machine q35,accel=tcg -cpu Nehalem -smp 1 -m 1024 -nodefaults -display none -serial stdio -no-reboot";

/// An oops ends it at once; an emulated processor needs no protection from speculation, which would make it slower still.
const KERNEL_OPTIONS: &str = "console=ttyS0 quiet panic=-1 oops=panic mitigations=off";

/// How much of the console is shown again when it hangs.
const TAIL_LINES: usize = 20;

/// What boots, and where its files go.
pub(super) struct Machine<'a> {
    pub(super) name: String,
    pub(super) kernel: &'a Path,
    pub(super) archive: &'a Path,
    pub(super) folder: &'a Path,
}

impl Machine<'_> {
    /// Boots with these words on the kernel's command line, and waits for the power to go off.
    pub(super) fn run(&self, words: &[String]) -> Result<Outcome> {
        let begun = Instant::now();
        let mut process = self.start(words)?;
        let lines = read_lines(&mut process)?;
        let log = self.folder.join("console.log");
        let mut log = File::create(&log).with_context(|| format!("could not write {}", log.display()))?;
        let mut console = Vec::new();
        while let Some(line) = next(&lines).with_context(|| self.last_words(&console, &process))? {
            let line_at = format!("{:>6.1} {line}", begun.elapsed().as_secs_f64());
            eprintln!("{:<5}|{line_at}", self.name);
            writeln!(log, "{line_at}")?;
            console.push(line);
        }
        let status = process.wait(SILENCE)?;
        if !status.status.success() {
            bail!("{QEMU} failed ({}): {}", status.status, status.stderr.trim());
        }
        Ok(Outcome::read(&console, begun.elapsed()))
    }

    fn start(&self, words: &[String]) -> Result<Process> {
        let qemu = workspace::in_path(QEMU)
            .with_context(|| format!("there is no {QEMU}; try `cargo xtask setup`"))?;
        fs::create_dir_all(self.folder)?;
        let command_line = format!("{KERNEL_OPTIONS} {}", words.join(" "));
        Launch::new(&qemu, self.folder)
            .args(OPTIONS.split(' '))
            .arg_pair("-kernel", self.kernel)
            .arg_pair("-initrd", self.archive)
            .arg_pair("-append", command_line)
            .piped()
            .start()
    }

    fn last_words(&self, console: &[String], process: &Process) -> String {
        let tail = console[console.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("the end of what Linux {} said:\n{tail}\n{}", self.name, process.stderr().trim())
    }
}

/// The next line, or nothing when the machine is off.
fn next(lines: &Receiver<String>) -> Result<Option<String>> {
    let asked = Instant::now();
    loop {
        interrupt::check()?;
        match lines.recv_timeout(GLANCE) {
            Ok(line) => return Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if asked.elapsed() < SILENCE => {}
            Err(RecvTimeoutError::Timeout) => {
                bail!("it said nothing for {} s and was ended; it seems to hang", SILENCE.as_secs())
            }
        }
    }
}

fn read_lines(process: &mut Process) -> Result<Receiver<String>> {
    let console = process.take_stdout().context("a machine without a console")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
