//! Somebody's desk: a shell, kubectl, a kubeconfig of a cluster with agents on two nodes. kubectl is a real one; only what needs a kubelet
//! (`logs`, `exec`) is played back. It must not know what a test expects.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use mtlsnoop_tests::{
    api::Api,
    program::{TRACER, system},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::posting::may;

/// Shells that the plugin is to work in: a word of the command line each.
pub(super) const SHELLS: [&[&str]; 2] = [&["dash"], &["busybox", "sh"]];

/// What an agent wrote.
pub(super) const FINDING: &str = concat!(
    r#"{"kind":"finding","schema":1,"time":"2026-11-23T02:00:00.000000000Z","code":"mtls-to-plaintext","confidence":"certain","#,
    r#""cause":{"code":"headless-unconditional-mtls","text":"It is headless."},"client":{"address":"10.1.1.25","port":50714,"#,
    r#""pod":"redis-client-1","namespace":"default"},"server":{"address":"10.1.1.24","port":6379},"evidence":[],"#,
    r#""fix":{"text":"Turn mTLS off."},"count":1,"first_seen":"2026-11-23T02:00:00.000000000Z","incomplete":false}"#,
    "\n"
);

/// What an agent recorded: as much of a recording as `send` looks at, and more than goes through a pipe at once.
pub(super) fn recording() -> Vec<u8> {
    let mut bytes = vec![b'a'; 100_000];
    bytes[..8].copy_from_slice(b"MTLSNOOP");
    bytes
}

/// Stands before the real kubectl in PATH.
const KUBECTL: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$LAB_FOLDER/calls"
for word in "$@"; do
    case $word in
        logs)
            if [ "$LAB_FAULT" = forbidden ]; then
                echo 'Error from server (Forbidden): pods "agent-1" is forbidden' >&2
                exit 1
            fi
            case " $* " in *" --follow "*) ;; *) exec cat "$LAB_FOLDER/logs" ;; esac
            for agent in "$@"; do :; done
            trap 'echo over >>"$LAB_FOLDER/over"; exit' TERM
            [ -e "$LAB_FOLDER/logs-$agent" ] || agent=
            cat "$LAB_FOLDER/logs${agent:+-$agent}"
            while [ -n "$agent" ] || [ ! -e "$LAB_FOLDER/broken" ]; do sleep 1; done
            rm "$LAB_FOLDER/broken"
            exit 1
            ;;
        exec)
            while [ "$1" != -- ]; do shift; done
            shift 2
            if [ -n "$LAB_WAITS" ]; then
                # A Ctrl-C here ends kubectl, and in the pod there is only the end of the input.
                cat | setsid --wait "$LAB_FOLDER/agent" "$@"
                exit
            fi
            exec "$LAB_FOLDER/agent" "$@"
            ;;
    esac
done
exec "$LAB_KUBECTL" "$@"
"#;

/// Nobody has to wait.
const SLEEP: &str = "#!/bin/sh\nexec /bin/sleep 0.1\n";

/// What runs in the agents' pods: the real program, but for what would need a kernel, and with faults on order.
const AGENT: &str = r#"#!/bin/sh
case $1 in
    show) exec "$LAB_MTLSNOOP" "$@" ;;
    send)
        shift
        [ "$1" = /recordings/agent.mtlsnoop ] || exit 1
        case $LAB_FAULT in
            absent) exec "$LAB_MTLSNOOP" send "$LAB_FOLDER/nothing" ;;
            silent) exec "$LAB_MTLSNOOP" send "$LAB_FOLDER/recording" 2>/dev/null ;;
            changed) "$LAB_MTLSNOOP" send "$LAB_FOLDER/recording" | tr a b ;;
            short) "$LAB_MTLSNOOP" send "$LAB_FOLDER/recording" | tail -c 50000 ;;
            *) exec "$LAB_MTLSNOOP" send "$LAB_FOLDER/recording" ;;
        esac
        ;;
    trace)
        echo "$@"
        [ -n "$LAB_WAITS" ] || exit 3
        : >"$LAB_FOLDER/begun"
        cat >/dev/null
        : >"$LAB_FOLDER/ended"
        ;;
    *) echo "$@" ;;
esac
"#;

/// How a run ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Where the plugin is used.
pub(super) struct Desk {
    shell: &'static [&'static str],
    folder: TempDir,
    api: Api,
    variables: Vec<(&'static str, String)>,
}

/// The plugin.
pub(super) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("deploy").join("kubectl/kubectl-mtlsnoop")
}

impl Desk {
    pub(super) fn new(shell: &'static [&'static str]) -> Self {
        system(shell[0]).unwrap();
        let kubectl = system("kubectl").unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "work", "temporary", "api"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let api = Api::start_in(&folder.path().join("api")).unwrap();
        api.put_all([agent("1", "Running", 0), agent("2", "Running", 0), agent("3", "Pending", 0), redis()])
            .unwrap();
        write_program(&folder.path().join("bin/kubectl"), KUBECTL);
        write_program(&folder.path().join("bin/sleep"), SLEEP);
        write_program(&folder.path().join("agent"), AGENT);
        fs::write(folder.path().join("logs"), format!("mtlsnoop: 30 hooks\n{FINDING}")).unwrap();
        fs::write(folder.path().join("recording"), recording()).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let variables = vec![
            ("PATH", path),
            ("HOME", text(folder.path())),
            ("TMPDIR", text(&folder.path().join("temporary"))),
            ("KUBECONFIG", text(&api.kubeconfig().unwrap())),
            ("LAB_FOLDER", text(folder.path())),
            ("LAB_KUBECTL", text(&kubectl)),
            ("LAB_MTLSNOOP", text(&TRACER.find().unwrap())),
        ];
        Self { shell, folder, api, variables }
    }

    /// Files that the plugin writes without being told where are here.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// With this in the environment.
    pub(super) fn with(&self, name: &'static str, value: &str) -> Called<'_> {
        Called { desk: self, variable: Some((name, value.to_owned())) }
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        Called { desk: self, variable: None }.run(arguments)
    }

    /// Starts it in a process group of its own, as a shell starts what is typed; its trace waits for the end of its input.
    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.plugin(arguments);
        command.env("LAB_WAITS", "1").process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.folder.path().join("begun").exists()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.folder.path().join("ended").exists()
    }

    /// How the plugin is called, for another shell.
    pub(super) fn command_line(&self) -> String {
        format!("{} {}", self.shell.join(" "), script().display())
    }

    /// A program in the environment of this desk.
    pub(super) fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(system(program).unwrap());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    /// What kubectl was called with since the last time that this was asked.
    pub(super) fn calls(&self) -> Vec<String> {
        let path = self.folder.path().join("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default().lines().map(ToOwned::to_owned).collect();
        fs::write(&path, "").unwrap();
        calls
    }

    /// The last of them with this in it.
    #[track_caller]
    pub(super) fn call(&self, part: &str) -> String {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap();
        let found = calls.lines().rev().find(|call| call.contains(part));
        found.unwrap_or_else(|| panic!("kubectl was not called with {part}: {calls}")).to_owned()
    }

    /// kubectl was called with this.
    pub(super) fn has_called(&self, part: &str) -> bool {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().any(|call| call.contains(part))
    }

    /// An agent's container begins, for that time, and writes this.
    pub(super) fn begins(&self, number: &str, restarts: u32, log: &str) {
        fs::write(self.folder.path().join(format!("logs-agent-{number}")), log).unwrap();
        self.api.put(agent(number, "Running", restarts)).unwrap();
    }

    /// What follows all agents ends with a failure.
    pub(super) fn breaks_off(&self) {
        fs::write(self.folder.path().join("broken"), "").unwrap();
    }

    /// How many logs are followed no longer, because that was asked for.
    pub(super) fn left(&self) -> usize {
        fs::read_to_string(self.folder.path().join("over")).unwrap_or_default().lines().count()
    }

    /// Names of the files that are there, in the folder where it runs and among the temporary ones.
    pub(super) fn left_over(&self) -> Vec<String> {
        let folders = [self.folder(), self.folder.path().join("temporary")];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The kubeconfig's user may do nothing that the plugin needs.
    pub(super) fn forbid_everything(&self) {
        self.api.restrict(&may(&["create"])).unwrap();
    }

    fn plugin(&self, arguments: &[&str]) -> Command {
        // Whoever runs the tests in the background ignores Ctrl-C, and a shell cannot take that back (POSIX, trap).
        let mut command = self.command_of("env");
        command.arg("--default-signal=HUP,INT,QUIT").arg(system(self.shell[0]).unwrap());
        command.args(&self.shell[1..]).arg(script()).args(arguments);
        command
    }
}

/// A desk with something else in its environment.
pub(super) struct Called<'a> {
    desk: &'a Desk,
    variable: Option<(&'static str, String)>,
}

impl Called<'_> {
    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        self.desk.plugin(arguments).envs(self.variable.clone()).output().unwrap().into()
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn agent(number: &str, phase: &str, restarts: u32) -> Value {
    let container = json!({
        "name": "mtlsnoop",
        "ready": phase == "Running",
        "restartCount": restarts,
        "containerID": format!("containerd://{number}-{restarts}"),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("agent-{number}"),
            "namespace": "mtlsnoop",
            "labels": { "app.kubernetes.io/name": "mtlsnoop" },
        },
        "spec": {
            "nodeName": format!("node-{number}"),
            "containers": [{ "name": "mtlsnoop", "image": "mtlsnoop:0.1.0" }],
        },
        "status": { "phase": phase, "containerStatuses": [container] },
    })
}

fn redis() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "redis-0", "namespace": "default" },
        "spec": { "nodeName": "node-2", "containers": [{ "name": "redis", "image": "redis:7" }] },
        "status": { "phase": "Running" },
    })
}
