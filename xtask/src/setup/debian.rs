//! Installing Debian packages, without starting or enabling the services in them. It knows no package by name.
use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};

use super::program::Lacking;
use crate::{
    process,
    step::step,
    workspace::{self, Workspace},
};

/// Debian asks this file before it starts a service (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Runs a command while the policy forbids services to start, and takes only its own policy away again, also when
/// the command fails or Ctrl-C ends it: a shell, because it outlives this program in that case.
const WITHOUT_SERVICES: &str = r#"
policy=$1; shift
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
fi
"$@"
"#;

/// Installs what is missing, or says how to. Does nothing when nothing is missing.
pub(crate) fn install(workspace: &Workspace, lacking: &[Lacking]) -> Result<()> {
    if lacking.is_empty() {
        return Ok(());
    }
    let packages = packages(lacking);
    if workspace::in_path("apt-get").is_none() {
        bail!("{}", advice_without_apt(lacking));
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{}", advice_without_root(lacking));
    }
    let log = workspace.setup_state();
    if !has_package_lists() || !unknown(&packages).is_empty() {
        update(&log)?;
    }
    let unknown = unknown(&packages);
    if !unknown.is_empty() {
        let unknown: Vec<Lacking> = lacking
            .iter()
            .filter(|lacking| lacking.packages.iter().any(|package| unknown.contains(package)))
            .copied()
            .collect();
        bail!("{}", advice_for_unknown(&unknown));
    }
    step(&format!("installing {}", packages.join(" ")), || {
        apt_install(&packages, &log).or_else(|_| {
            // The lists may be older than the mirror: versions that they name are gone from it.
            process::run_logged(apt().arg("update"), &log.join("apt-update.log"))?;
            apt_install(&packages, &log)
        })
    })?;
    disable(lacking)
}

pub(super) fn update(log: &Path) -> Result<()> {
    step("updating the package lists", || {
        process::run_logged(apt().arg("update"), &log.join("apt-update.log"))
    })
}

fn apt_install(packages: &[&str], log: &Path) -> Result<()> {
    let mut apt = apt();
    apt.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    process::run_logged(&mut without_services(Path::new(POLICY), &apt), &log.join("apt-install.log"))
}

pub(super) fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn without_services(policy: &Path, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", WITHOUT_SERVICES, "without-services"])
        .arg(policy)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Packages enable their services for the next boot; whoever runs the tests did not ask for a database server.
fn disable(lacking: &[Lacking]) -> Result<()> {
    let services: Vec<&str> = lacking.iter().flat_map(|lacking| lacking.services).copied().collect();
    if services.is_empty() || workspace::in_path("systemctl").is_none() {
        return Ok(());
    }
    process::read(Command::new("systemctl").args(["disable", "--quiet"]).args(services)).map(drop)
}

/// An image without package lists is usual in containers.
fn has_package_lists() -> bool {
    fs::read_dir("/var/lib/apt/lists").is_ok_and(|lists| {
        lists.flatten().any(|list| list.file_name().to_string_lossy().contains("_Packages"))
    })
}

/// Those packages that the lists do not have.
pub(super) fn unknown<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let is_unknown = |package: &&&str| {
        process::read(Command::new("apt-cache").args(["policy", package]))
            .is_ok_and(|said| !said.contains("Candidate:") || said.contains("Candidate: (none)"))
    };
    packages.iter().filter(is_unknown).copied().collect()
}

fn packages(lacking: &[Lacking]) -> Vec<&'static str> {
    lacking.iter().flat_map(|lacking| lacking.packages).copied().collect()
}

fn advice_without_root(lacking: &[Lacking]) -> String {
    format!(
        "missing, and installing it needs root:\n{}\nRun this as root, then try again:\n  apt-get update && apt-get \
         install --no-install-recommends {}",
        listed(lacking),
        packages(lacking).join(" ")
    )
}

fn advice_without_apt(lacking: &[Lacking]) -> String {
    format!(
        "missing, and there is no apt-get here to install it:\n{}\nInstall it with your distribution's package manager \
         and see that it is in PATH, then try again",
        listed(lacking)
    )
}

fn advice_for_unknown(lacking: &[Lacking]) -> String {
    format!(
        "missing, and unknown to this distribution's packages:\n{}\nInstall it, then try again",
        listed(lacking)
    )
}

fn listed(lacking: &[Lacking]) -> String {
    let lines: Vec<String> = lacking
        .iter()
        .map(|lacking| format!("  - {} (Debian: {})", lacking.what, lacking.packages.join(" ")))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Command};

    use super::{advice_without_apt, advice_without_root, without_services};
    use crate::setup::program::needs;

    fn sh(script: &str, argument: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(argument).env("COLOUR", "green");
        command
    }

    #[test]
    fn services_are_forbidden_during_the_command_and_only_then() {
        let cases = [
            ("it succeeds", r#"sh "$1"; [ $? = 101 ]"#, Some(0)),
            ("it fails", r#"[ -x "$1" ] && exit 7"#, Some(7)),
            ("it is ended", r#"[ -x "$1" ] && kill -TERM $PPID"#, Some(130)),
            ("it sees its environment", r#"[ "$COLOUR" = green ]"#, Some(0)),
        ];
        for (name, script, code) in cases {
            let folder = tempfile::tempdir().unwrap();
            let policy = folder.path().join("policy-rc.d");
            let status = without_services(&policy, &sh(script, &policy)).status().unwrap();
            assert_eq!(status.code(), code, "{name}: signal {:?}", status.signal());
            assert!(!policy.exists(), "{name}: the policy is still there");
        }
    }

    #[test]
    fn a_policy_that_was_there_before_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy-rc.d");
        std::fs::write(&policy, "mine").unwrap();
        assert!(without_services(&policy, &sh("true", &policy)).status().unwrap().success());
        assert_eq!(std::fs::read_to_string(&policy).unwrap(), "mine");
    }

    #[test]
    fn the_advice_names_each_thing_and_the_exact_command() {
        let lacking = [needs(&["iproute2"], "ip, from iproute2"), needs(&["nginx-light"], "nginx")];
        let text = advice_without_root(&lacking);
        assert!(text.contains("  - nginx (Debian: nginx-light)"), "{text}");
        assert!(
            text.ends_with("apt-get update && apt-get install --no-install-recommends iproute2 nginx-light"),
            "{text}"
        );
        assert!(advice_without_apt(&lacking).contains("  - ip, from iproute2"));
    }
}
