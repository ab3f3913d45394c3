//! What `mtlsnoop doctor` says of this kernel, and whether it is true; it must not know how the tracer finds it out.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::program::TRACER;
use nix::sys::utsname::uname;
use serde_json::Value;

/// The first kernel that tells why it sends a reset (`enum sk_rst_reason` as an argument of the tracepoint
/// `tcp_send_reset`, include/trace/events/tcp.h).
const WITH_REASONS: (u32, u32) = (6, 10);

/// What it says; it must say that tracing is possible.
fn report() -> Result<Value> {
    let output = Command::new(TRACER.find()?).args(["doctor", "-o", "json"]).output()?;
    ensure!(output.status.success(), "doctor ended with {}: {output:?}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn list<'a>(report: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    report[key].as_array().with_context(|| format!("no {key} in {report:#}"))
}

/// The arguments that switch off all hooks that are not required.
pub(crate) fn without_optional_hooks() -> Result<Vec<String>> {
    let report = report()?;
    let mut arguments = Vec::new();
    for hook in list(&report, "hooks")?.iter().filter(|hook| hook["required"] == false) {
        for variant in list(hook, "variants")? {
            let program = variant["program"].as_str().with_context(|| format!("no program in {variant}"))?;
            arguments.extend(["--without-hook".to_owned(), program.to_owned()]);
        }
    }
    ensure!(!arguments.is_empty(), "every hook is required: {report:#}");
    Ok(arguments)
}

/// Major and minor version of this kernel.
fn version(release: &str) -> Result<(u32, u32)> {
    let mut numbers = release.split(['.', '-']);
    let mut next = || -> Result<u32> { Ok(numbers.next().context("a release without numbers")?.parse()?) };
    Ok((next()?, next()?))
}

/// As the mounts show it.
fn layout() -> Result<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let is_version_2 = |mount: &str| mount.contains(" - cgroup2 ");
    if mounts.lines().any(|mount| is_version_2(mount) && mount.contains(" /sys/fs/cgroup ")) {
        return Ok("v2");
    }
    Ok(if mounts.lines().any(is_version_2) { "hybrid" } else { "v1" })
}

#[test]
fn the_doctor_knows_this_kernel() -> Result<()> {
    let report = report()?;
    let release = uname()?.release().to_string_lossy().into_owned();
    assert_eq!(report["kernel"], release.as_str());
    assert_eq!(report["can_trace"], true, "{report:#}");
    assert_eq!(report["btf"]["usable"], Path::new("/sys/kernel/btf/vmlinux").exists(), "{report:#}");
    assert_eq!(report["cgroup"]["layout"], layout()?, "{report:#}");
    for capture in list(&report, "captures")? {
        assert_eq!(capture["possible"], true, "{report:#}");
    }
    let tells_reasons = version(&release)? >= WITH_REASONS;
    let used = if tells_reasons { "reset_sent" } else { "reset_sent_without_reason" };
    let resets = list(&report, "hooks")?.iter().find(|hook| hook["name"] == "resets sent");
    assert_eq!(resets.context("no hook for resets")?["used"], used, "{report:#}");
    Ok(())
}

#[test]
fn the_doctor_promises_what_a_trace_attaches() -> Result<()> {
    let report = report()?;
    let arguments = ["trace", "--duration", "1ms", "--verbose", "--cluster", "none"];
    let trace = Command::new(TRACER.find()?).args(arguments).output()?;
    let said = String::from_utf8(trace.stderr)?;
    ensure!(trace.status.success(), "the trace ended with {}: {said}", trace.status);
    let mut compared = 0;
    for hook in list(&report, "hooks")? {
        let name = hook["name"].as_str().context("a hook without a name")?;
        // The hooks of other modes are not in this trace.
        let Some(line) = said.lines().find(|line| line.starts_with(&format!("mtlsnoop: {name}: "))) else {
            continue;
        };
        let promised = hook["used"].as_str().unwrap_or("not available");
        assert!(line.contains(promised), "the doctor says {hook:#}, the trace says {line}");
        compared += 1;
    }
    assert!(compared >= 3, "{said}");
    Ok(())
}
