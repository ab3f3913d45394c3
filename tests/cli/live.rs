//! A live trace as a process: how it says that it is ready, how it ends, and what it leaves. Needs root, as tracing does.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Child, ChildStderr, Stdio},
    thread,
};

use mtlsnoop_tests::wait;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::program::{mtlsnoop, run};

/// A trace that has said that it is ready. It is ended when this is dropped.
struct Trace {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Trace {
    /// None without root, where no trace starts.
    fn start(arguments: &[&str], stdout: Stdio) -> Option<Self> {
        Self::start_with(arguments, Stdio::null(), stdout)
    }

    fn start_with(arguments: &[&str], stdin: Stdio, stdout: Stdio) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: a live trace needs root");
            return None;
        }
        let mut command = mtlsnoop(&[&["trace"], arguments].concat());
        let mut child = command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.lines().next_back().is_some_and(|line| line.starts_with("tracing TCP on node ")) {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before it was ready: {said}");
        }
        Some(Self { child, stderr, said })
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Exit code, standard output and standard error.
    fn end(&mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let mut said = std::mem::take(&mut self.said);
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), stdout, said)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection over loopback, with an answer, closed by both ends.
fn exchange() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"PING\r\n").unwrap();
    let mut question = [0; 6];
    server.read_exact(&mut question).unwrap();
    server.write_all(b"+PONG\r\n").unwrap();
    drop(server);
    client.read_to_end(&mut Vec::new()).unwrap();
}

/// As in a pod, where nobody hears of a Ctrl-C of who runs `kubectl exec`.
#[test]
fn it_ends_with_its_input_when_it_is_to() {
    let Some(mut trace) = Trace::start_with(&["--end-with-input"], Stdio::piped(), Stdio::piped()) else {
        return;
    };
    exchange();
    assert!(trace.child.try_wait().unwrap().is_none(), "its input is still there");
    drop(trace.child.stdin.take());
    let (code, stdout, stderr) = trace.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("SUMMARY"), "{stdout}");
}

#[test]
fn both_signals_end_it_with_a_summary() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let Some(mut trace) = Trace::start(&[], Stdio::piped()) else { return };
        trace.signal(signal);
        let (code, stdout, stderr) = trace.end();
        assert_eq!(code, Some(0), "{signal}: {stderr}");
        assert!(stdout.starts_with("SUMMARY"), "{signal}: {stdout}");
    }
}

#[test]
fn it_ends_by_itself_after_its_duration() {
    let Some(mut trace) = Trace::start(&["--duration", "50ms", "-o", "json"], Stdio::piped()) else { return };
    let (code, stdout, stderr) = trace.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert!(stdout.starts_with(r#"{"kind":"summary","schema":1,"#), "{stdout}");
}

#[test]
fn a_second_signal_does_not_wait_for_anybody() {
    // A full pipe that nobody reads: the summary cannot be written, so that the first signal alone ends nothing.
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let Some(mut trace) = Trace::start(&[], writer.into()) else { return };
    let code = wait::until("the trace to end", wait::LONG, || {
        trace.signal(Signal::SIGINT);
        Ok(trace.child.try_wait()?)
    });
    assert_eq!(code.unwrap().code(), Some(128 + 2));
    drop(reader);
}

#[test]
fn the_recording_gives_the_lines_of_the_trace_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.mtlsnoop");
    let path = path.to_str().unwrap();
    let arguments = ["-o", "json", "--all", "-w", path];
    let Some(mut trace) = Trace::start(&arguments, Stdio::piped()) else { return };
    for _ in 0..20 {
        exchange();
    }
    trace.signal(Signal::SIGINT);
    let (code, stdout, stderr) = trace.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.matches(r#""kind":"connection""#).count() >= 40, "{stdout}");
    let analyzed = run(&["analyze", path, "-o", "json", "--all"]);
    assert_eq!(analyzed.stdout, stdout);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_killed_trace_leaves_a_recording_of_what_it_had_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.mtlsnoop");
    let path = path.to_str().unwrap();
    let arguments = ["-o", "json", "--all", "-w", path];
    let Some(mut trace) = Trace::start(&arguments, Stdio::piped()) else { return };
    let mut lines = BufReader::new(trace.child.stdout.take().unwrap()).lines();
    exchange();
    // Its line has been written, so its events have been recorded.
    let line = lines.next().unwrap().unwrap();
    trace.signal(Signal::SIGKILL);
    assert_eq!(trace.end().0, None);
    let analyzed = run(&["analyze", path, "-o", "json", "--all"]);
    assert_eq!(analyzed.code, Some(0), "{analyzed:?}");
    assert_eq!(analyzed.stdout.lines().next(), Some(line.as_str()), "{analyzed:?}");
}

#[test]
fn a_recording_that_fails_does_not_end_the_trace_but_the_exit_code_tells() {
    let arguments = ["-o", "json", "--duration", "50ms", "-w", "/dev/full"];
    let Some(mut trace) = Trace::start(&arguments, Stdio::piped()) else { return };
    let (code, stdout, stderr) = trace.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(
        stderr.matches("recording to /dev/full stopped: No space left on device").count(),
        1,
        "{stderr}"
    );
    assert!(stdout.starts_with(r#"{"kind":"summary""#), "{stdout}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    let Some(mut trace) = Trace::start(&["-o", "json", "--all"], writer.into()) else { return };
    drop(reader);
    let ended = thread::scope(|scope| {
        let ended = scope.spawn(|| trace.end());
        // Each makes a line; the first that cannot be written ends the trace.
        wait::until_true("the trace to end", wait::LONG, || {
            exchange();
            Ok(ended.is_finished())
        })
        .unwrap();
        ended.join().unwrap()
    });
    let (code, _, stderr) = ended;
    assert_eq!(code, Some(0), "{stderr}");
    // What this kernel lacks is said at the start.
    let said =
        stderr.lines().filter(|line| !line.contains(": not available, ") && !line.contains(", with which "));
    assert_eq!(said.count(), 1, "{stderr}");
}

/// A mount namespace of its own hides the kernel's type information, as a kernel without it looks.
#[test]
fn without_the_kernels_type_information_it_goes_on_and_says_what_is_lost() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: hiding /sys/kernel/btf needs root");
        return;
    }
    let tracer = mtlsnoop_tests::program::TRACER.find().unwrap();
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" trace --duration 1ms";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(tracer)
        .output()
        .unwrap();
    let run = crate::program::Run::from(output);
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in ["kernel's type information", "processes, users, containers and errors are not known"] {
        assert!(run.stderr.contains(part), "`{part}` is not in: {}", run.stderr);
    }
}
