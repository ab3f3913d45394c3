//! Runs the binary, and makes recordings for it from the scenarios' events; must not know what a test expects.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use data_encoding::HEXLOWER;
use mtlsnoop::{event::Event, sink::record::RecordWriter};
use mtlsnoop_tests::program::{TRACER, for_everyone};

/// The `ClientHello` of an Istio sidecar.
pub(crate) fn mesh_hello() -> Vec<u8> {
    const RECORDED: &str = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).unwrap()
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Checks code and message of a run that could not do what it was asked for: one that wrote nothing.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for part in says {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

/// The binary with these arguments, and nothing of this terminal.
pub(crate) fn mtlsnoop(arguments: &[&str]) -> Command {
    let mut command = Command::new(TRACER.find().unwrap());
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR").env("COLUMNS", "100");
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Run {
    mtlsnoop(arguments).output().unwrap().into()
}

/// The binary for users other than root, who cannot enter every folder.
pub(crate) fn for_nobody(folder: &Path, arguments: &[&str]) -> Command {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};

    /// `nobody` on Debian; any user but root would do.
    const NOBODY: u32 = 65534;

    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(for_everyone(&TRACER.find().unwrap(), folder).unwrap());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A scenario's folder.
pub(crate) fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// All scenarios' folders.
pub(crate) fn scenarios() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(scenario("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// What a scenario's events say, as lines.
pub(crate) fn expected(scenario: &Path) -> String {
    fs::read_to_string(scenario.join("expected.jsonl")).unwrap()
}

/// A scenario's events as a recording.
pub(crate) fn recording(scenario: &Path) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new());
    for line in fs::read_to_string(scenario.join("events.jsonl")).unwrap().lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        writer.write(&event).unwrap();
    }
    writer.flush().unwrap();
    writer.into_inner()
}

/// A folder with the recording of the article's incident in it.
pub(crate) fn incident() -> (tempfile::TempDir, String) {
    written(&recording(&scenario(INCIDENT)))
}

/// A folder with a file of these bytes in it, and the file's path.
pub(crate) fn written(bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.mtlsnoop");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The scenario that has one finding, with a cluster.
pub(crate) const INCIDENT: &str = "redis-silent-with-cluster";
