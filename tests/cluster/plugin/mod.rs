//! `kubectl mtlsnoop` as people have it, in each shell that it is to work in: with a real kubectl, but for what needs a kubelet.

mod desk;
mod manifest;

use std::{fs, process::Command};

use desk::{Desk, FINDING, SHELLS, recording};
use mtlsnoop_tests::wait;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Calls the test with each shell.
fn in_each_shell(test: impl Fn(&Desk)) {
    for shell in SHELLS {
        test(&Desk::new(shell));
    }
}

#[test]
fn findings_are_those_of_all_agents_for_people() {
    in_each_shell(|desk| {
        let run = desk.run(&["findings"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.starts_with("FINDING  mtls-to-plaintext  certain"), "{run:?}");
        assert_eq!(
            run.stdout.matches("FINDING").count(),
            1,
            "standard error of an agent is no finding: {run:?}"
        );
        let logs = desk.call("logs");
        for part in
            ["--namespace mtlsnoop", "--selector app.kubernetes.io/name=mtlsnoop", "--max-log-requests=2"]
        {
            assert!(logs.contains(part), "{logs}");
        }
        assert!(desk.call("exec").contains("--stdin agent-1 -- mtlsnoop show"), "{}", desk.call("exec"));
    });
}

#[test]
fn findings_are_chosen_and_followed() {
    in_each_shell(|desk| {
        let run = desk.run(&["findings", "-o", "json", "-n", "default", "--since", "1h"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), FINDING), "{run:?}");
        assert!(desk.call("logs").contains("--since=1h"), "{}", desk.call("logs"));
        let run = desk.run(&["findings", "-n", "other", "-n", "another"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    });
}

#[test]
fn agents_that_come_later_are_followed_too() {
    in_each_shell(|desk| {
        let running = desk.start(&["findings", "-f", "-o", "json"]);
        let wait_for_call = |part: &str| {
            wait::until_true(part, wait::LONG, || Ok(desk.has_called(part))).unwrap();
        };
        wait_for_call("--max-log-requests=2 --follow");
        let [came, restarted] =
            ["redis-client-3", "redis-client-4"].map(|name| FINDING.replace("redis-client-1", name));
        desk.begins("3", 0, &came);
        wait_for_call("--follow agent-3");
        desk.begins("1", 1, &restarted);
        wait_for_call("--follow agent-1");
        // A node goes: kubectl follows the others no longer.
        desk.breaks_off();
        wait_for_call("--max-log-requests=3 --follow --since=30s");
        killpg(Pid::from_raw(running.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        let output = running.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        for finding in [FINDING, &came, &restarted] {
            assert!(told.contains(finding), "{finding} is not in {told}");
        }
        wait::until_true("nothing to be followed", wait::LONG, || Ok(desk.left() == 3)).unwrap();
        assert!(!desk.has_called("--follow agent-2"));
    });
}

#[test]
fn who_reads_no_further_is_no_failure() {
    in_each_shell(|desk| {
        for follow in ["", "-f"] {
            let script = format!("{} findings {follow} -o json | head -n 0", desk.command_line());
            let mut command = desk.command_of("sh");
            let output = command.args(["-c", &script]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    });
}

#[test]
fn a_trace_is_that_of_the_node_with_its_flags_and_its_exit_code() {
    in_each_shell(|desk| {
        let run = desk.run(&["trace", "node-2", "--all", "-o", "json"]);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert_eq!(run.stdout, "trace --end-with-input --all -o json\n", "{run:?}");
        assert!(
            desk.call("exec").contains("--container mtlsnoop agent-2 --stdin -- mtlsnoop trace"),
            "{run:?}"
        );
    });
}

#[test]
fn a_trace_of_a_pod_is_that_of_its_node_and_of_that_pod() {
    in_each_shell(|desk| {
        for arguments in [
            &["trace", "-p", "redis-0", "-n", "default", "--all"] as &[&str],
            &["trace", "-n", "default", "--pod", "redis-0", "--all"],
            &["trace", "-p", "default/redis-0", "--all"],
            &["trace", "-p", "redis-0", "--all"],
        ] {
            let run = desk.run(arguments);
            assert_eq!(run.stdout, "trace --end-with-input --pod default/redis-0 --all\n", "{run:?}");
            assert!(desk.call("exec").contains(" agent-2 "), "{run:?}");
        }
    });
}

/// Without a terminal, nobody in the pod hears of a Ctrl-C here: what runs there must end with its input.
#[test]
fn ctrl_c_ends_a_trace_in_the_pod_too_and_leaves_nothing() {
    in_each_shell(|desk| {
        let running = desk.start(&["trace", "node-1"]);
        let pid = Pid::from_raw(running.id().try_into().unwrap());
        wait::until_true("the agent's trace", wait::LONG, || Ok(desk.has_begun())).unwrap();
        killpg(pid, Signal::SIGINT).unwrap();
        let output = running.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        wait::until_true("the end in the pod", wait::LONG, || Ok(desk.has_ended())).unwrap();
        assert_eq!(desk.left_over(), [""; 0]);
    });
}

#[test]
fn a_recording_comes_whole() {
    in_each_shell(|desk| {
        let run = desk.run(&["recording", "node-1", "here.mtlsnoop"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(fs::read(desk.folder().join("here.mtlsnoop")).unwrap(), recording());
        let run = desk.run(&["recording", "node-1"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stderr.contains("mtlsnoop analyze node-1.mtlsnoop"), "{run:?}");
        assert_eq!(desk.left_over(), ["here.mtlsnoop", "node-1.mtlsnoop"]);
        let run = desk.run(&["recording", "node-1", "-"]);
        assert_eq!((run.code, run.stdout.as_bytes()), (Some(0), recording().as_slice()), "{run:?}");
    });
}

#[test]
fn a_recording_that_is_not_what_was_sent_is_not_kept() {
    in_each_shell(|desk| {
        for (fault, says) in [
            ("changed", "SHA-256 differs"),
            ("short", "bytes came"),
            ("silent", "did not say what it sent"),
            ("absent", "did not send"),
        ] {
            let run = desk.with("LAB_FAULT", fault).run(&["recording", "node-1"]);
            assert_eq!(run.code, Some(1), "{fault}: {run:?}");
            assert!(run.stderr.contains(says), "{fault}: {run:?}");
            assert_eq!(desk.left_over(), [""; 0], "{fault}");
        }
        fs::write(desk.folder().join("node-1.mtlsnoop.part"), "another one's").unwrap();
        let run = desk.run(&["recording", "node-1"]);
        assert!(run.stderr.contains("is another one fetching it?"), "{run:?}");
        assert_eq!(desk.left_over(), ["node-1.mtlsnoop.part"], "it is not ours");
    });
}

#[test]
fn doctor_is_asked_on_its_node() {
    in_each_shell(|desk| {
        let run = desk.run(&["doctor", "node-2", "-o", "json"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "doctor -o json\n"), "{run:?}");
        assert!(desk.call("exec").contains(" agent-2 "), "{run:?}");
    });
}

#[test]
fn status_lists_the_agents() {
    in_each_shell(|desk| {
        let run = desk.run(&["status"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let rows: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["POD", "NODE", "PHASE", "READY", "RESTARTS", "IMAGE"]);
        assert_eq!(rows[1], ["agent-1", "node-1", "Running", "true", "0", "mtlsnoop:0.1.0"]);
        assert_eq!(rows[2][..3], ["agent-2", "node-2", "Running"]);
        assert_eq!(rows[3][..3], ["agent-3", "node-3", "Pending"]);
    });
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_try() {
    in_each_shell(|desk| {
        for (arguments, says) in [
            (&["trace", "node-9"] as &[&str], "no agent runs on node node-9 in namespace mtlsnoop"),
            (&["doctor", "node-3"], "no agent runs on node node-3"),
            (&["--agents", "elsewhere", "findings"], "no agent runs in namespace elsewhere"),
            (&["trace", "-p", "gone"], "cannot find pod gone"),
        ] {
            let run = desk.run(arguments);
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{arguments:?}: {run:?}");
            assert!(run.stderr.contains(says), "{arguments:?}: {run:?}");
        }
        for arguments in [&["findings"] as &[&str], &["findings", "-f"]] {
            let run = desk.with("LAB_FAULT", "forbidden").run(arguments);
            assert_eq!(run.code, Some(1), "{run:?}");
            assert!(run.stderr.contains("pods/log in namespace mtlsnoop must be allowed"), "{run:?}");
        }
        let run = desk.with("PATH", "/nonexistent").run(&["status"]);
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (Some(1), "kubectl mtlsnoop: there is no kubectl in PATH\n")
        );
    });
}

#[test]
fn who_may_not_list_pods_is_told_so() {
    in_each_shell(|desk| {
        desk.forbid_everything();
        for arguments in [&["findings"] as &[&str], &["trace", "node-1"], &["status"]] {
            let run = desk.run(arguments);
            assert_eq!(run.code, Some(1), "{run:?}");
            assert!(run.stderr.contains("Forbidden") && run.stderr.contains("must be allowed"), "{run:?}");
        }
    });
}

#[test]
fn wrong_usage_is_said_before_anything_is_asked() {
    in_each_shell(|desk| {
        for arguments in [
            &[] as &[&str],
            &["frobnicate"],
            &["--frobnicate"],
            &["--agents"],
            &["findings", "--frobnicate"],
            &["findings", "-o", "yaml"],
            &["findings", "-n"],
            &["findings", "-n", "a b"],
            &["findings", "-n", "a;b"],
            &["trace"],
            &["trace", "--all"],
            &["trace", "-n", "default"],
            &["trace", "-p"],
            &["recording"],
            &["recording", "a", "b", "c"],
            &["recording", "a", "--path"],
            &["doctor"],
            &["status", "a"],
        ] {
            let run = desk.run(arguments);
            assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{arguments:?}: {run:?}");
            assert!(!run.stderr.is_empty(), "{arguments:?}");
            assert_eq!(desk.calls(), [""; 0], "{arguments:?}");
        }
    });
}

#[test]
fn help_and_version_need_no_cluster() {
    in_each_shell(|desk| {
        for arguments in [&["--help"] as &[&str], &["-h"], &["help"], &["trace", "--help"]] {
            let run = desk.run(arguments);
            assert_eq!(run.code, Some(0), "{run:?}");
            for command in ["findings", "trace", "recording", "doctor", "status", "version"] {
                assert!(run.stdout.contains(&format!("\n  {command} ")), "{command}: {run:?}");
            }
        }
        let run = desk.run(&["version"]);
        assert_eq!(run.stdout, format!("kubectl-mtlsnoop {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(desk.calls(), [""; 0]);
    });
}

#[test]
fn the_cluster_is_the_one_that_is_named() {
    in_each_shell(|desk| {
        desk.run(&["--context", "a", "--kubeconfig=b", "--agents=c", "status"]);
        let call = desk.call("get pods");
        assert!(call.starts_with("--context=a --kubeconfig=b get pods --namespace c "), "{call}");
        let run = desk.with("MTLSNOOP_NAMESPACE", "d").run(&["doctor", "node-1"]);
        assert!(run.stderr.contains("in namespace d."), "{run:?}");
    });
}

#[test]
fn the_script_is_clean() {
    let output = Command::new("shellcheck").arg(desk::script()).output();
    let output = output.expect("there is no shellcheck; `cargo xtask setup test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
