//! Running other programs, with errors that name the command and show what it said.
use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// How much of a log is shown when its command failed.
const TAIL_LINES: usize = 25;

/// Runs a command on the caller's terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command and gives what it wrote to standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = tail(if complaint.trim().is_empty() { &said } else { &complaint });
        bail!("`{}` failed ({})\n{complaint}", shown(command), output.status);
    }
    Ok(said)
}

/// Runs a command with everything it says in a log file, whose end is shown when it fails.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    let file = File::create(log).with_context(|| format!("could not write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        let said =
            fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        bail!("`{}` failed ({status}); the end of {}:\n{}", shown(command), log.display(), tail(&said));
    }
    Ok(())
}

/// Takes away what the cargo around this program set for it and for nobody else.
pub(crate) fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_outer_cargos) {
            command.env_remove(name);
        }
    }
}

/// `cargo run` sets dozens of variables for the program that it runs (`CARGO_PKG_*`, `CARGO_MANIFEST_DIR` …). An inner cargo would take some of them for settings, and rebuild when they change.
/// Settings of the user's own (proxies, registries, colours, number of jobs) stay.
fn is_outer_cargos(name: &str) -> bool {
    const USERS: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
        "CARGO_TARGET_DIR",
    ];
    name == "CARGO" || name.starts_with("CARGO_") && !USERS.iter().any(|prefix| name.starts_with(prefix))
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![shown_word(command.get_program())];
    words.extend(command.get_args().map(shown_word));
    words.join(" ")
}

fn shown_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '\n', '"', '$', '*']) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Command, is_outer_cargos, read, run_logged, shown, tail};

    #[test]
    fn the_outer_cargos_variables_are_told_from_the_users() {
        for name in ["CARGO", "CARGO_PKG_NAME", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO"] {
            assert!(is_outer_cargos(name), "{name}");
        }
        for name in
            ["CARGO_HOME", "CARGO_HTTP_CAINFO", "CARGO_TERM_COLOR", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"]
        {
            assert!(!is_outer_cargos(name), "{name}");
        }
    }

    #[test]
    fn a_failure_names_the_command_and_shows_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such luck >&2; exit 3"]);
        let error = read(&mut command).expect_err("it exits with 3").to_string();
        assert!(error.contains("`sh -c 'echo no such luck >&2; exit 3'`"), "{error}");
        assert!(error.contains("\nno such luck"), "{error}");

        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a/b.log");
        let error = run_logged(&mut command, &log).expect_err("it exits with 3").to_string();
        assert!(error.contains("b.log") && error.ends_with("no such luck"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = read(&mut Command::new("no-such-program")).expect_err("it does not exist");
        assert!(format!("{error:#}").contains("could not start `no-such-program`"), "{error:#}");
    }

    #[test]
    fn long_output_is_cut_to_its_end() {
        let text = (0..100).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        assert!(tail(&text).starts_with("75\n"));
        assert!(tail(&text).ends_with("\n99"));
        assert_eq!(tail("one\n"), "one");
    }

    #[test]
    fn words_with_blanks_are_quoted() {
        let mut command = Command::new("a");
        command.args(["b", "c d"]);
        assert_eq!(shown(&command), "a b 'c d'");
    }
}
