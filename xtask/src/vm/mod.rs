//! `cargo xtask vm`: the tests of the kernel side on other kernels, in virtual machines. It knows which programs run and
//! not what they test.
use std::{path::PathBuf, process::Command, thread};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use mtlsnoop_tests::interrupt;
use serde::Deserialize;

use self::{
    console::Outcome,
    image::{Image, Program},
    machine::Machine,
};
use crate::{
    build, process,
    setup::{self, Kernel, Purpose, Series},
    workspace::Workspace,
};

mod console;
mod image;
mod machine;

/// The test programs, in the order in which they run.
const TESTS: [&str; 2] = ["kernel", "verdicts"];

/// What they start.
const HELPERS: [&str; 3] = ["lab-peer", "lab-listener", "lab-sender"];

/// The first process.
const INIT: &str = "lab-init";

/// What runs, and on what.
#[derive(Args)]
pub(crate) struct Options {
    /// Boot these kernels only
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., value_name = "SERIES")]
    kernel: Vec<Series>,
    /// Run only the tests that have this in their names
    #[arg(long, value_name = "NAME", value_parser = test_name)]
    only: Option<String>,
    /// Mount these control group hierarchies
    #[arg(long, value_enum, default_value_t = Cgroups::V2)]
    cgroup: Cgroups,
}

/// The control group hierarchies of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Cgroups {
    /// Version 2 alone
    V2,
    /// Version 1, and version 2 beside it without controllers
    Hybrid,
    /// Version 1 alone
    V1,
}

/// It becomes a word of the kernel's command line.
fn test_name(name: &str) -> Result<String, String> {
    if name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':') {
        return Ok(name.to_owned());
    }
    Err("a test's name has letters, digits, `_` and `::`".into())
}

/// Sets up, builds, and runs the tests on each kernel.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Test)?;
    build::both(workspace, &tools.toolchain)?;
    // Ctrl-C reaches this process alone, which then ends its machines.
    interrupt::catch()?;
    run_built(workspace, options)
}

/// What the stage of `cargo xtask test` runs.
pub(crate) fn run_all(workspace: &Workspace) -> Result<()> {
    interrupt::catch()?;
    run_built(workspace, &Options { kernel: Vec::new(), only: None, cgroup: Cgroups::V2 })
}

fn run_built(workspace: &Workspace, options: &Options) -> Result<()> {
    let image = image(workspace)?;
    let series = Series::value_variants();
    let chosen = series.iter().filter(|one| options.kernel.is_empty() || options.kernel.contains(one));
    let kernels: Vec<Kernel> =
        chosen.map(|series| setup::kernel_ready(workspace, *series)).collect::<Result<_>>()?;
    // A machine keeps one processor busy, so they run beside each other.
    let results: Vec<(Series, Result<Outcome>)> = thread::scope(|scope| {
        let running: Vec<_> = kernels
            .iter()
            .map(|kernel| {
                let image = &image;
                (kernel.series, scope.spawn(move || boot(workspace, image, kernel, options)))
            })
            .collect();
        running.into_iter().map(|(series, thread)| (series, joined(thread))).collect()
    });
    interrupt::check()?;
    report(&results)
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn boot(workspace: &Workspace, image: &Image, kernel: &Kernel, options: &Options) -> Result<Outcome> {
    let folder = workspace.virtual_machines().join(kernel.series.to_string());
    let archive = image.pack(kernel, &folder)?;
    let cgroups = options.cgroup.to_possible_value();
    let mut words = vec![format!("VM_CGROUP={}", cgroups.as_ref().map_or("", |value| value.get_name()))];
    words.extend(options.only.iter().map(|name| format!("VM_FILTER={name}")));
    let machine = Machine {
        name: kernel.series.to_string(),
        kernel: &kernel.image,
        archive: &archive,
        folder: &folder,
    };
    machine.run(&words)
}

fn report(results: &[(Series, Result<Outcome>)]) -> Result<()> {
    let mut failed = Vec::new();
    for (series, result) in results {
        let complaint = match result {
            Ok(outcome) => {
                eprintln!("{series:<5} {outcome}");
                outcome.check(&TESTS)
            }
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        if let Err(error) = complaint {
            failed.push(format!("on {series}: {error:#}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// A line of what cargo prints as JSON; the fields that matter here.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the test programs, and puts together what the machines get beside their kernels.
fn image(workspace: &Workspace) -> Result<Image> {
    let mut cargo = workspace.cargo();
    // With the whole workspace, as in `cargo xtask test`.
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics", "--workspace"]);
    for test in TESTS {
        cargo.args(["--test", test]);
    }
    let built = executables(&built(&mut cargo)?);
    let find = |name: &str| -> Result<PathBuf> {
        let found = built.iter().rfind(|(built, _)| built == name);
        found.map(|(_, path)| path.clone()).with_context(|| format!("cargo has built no {name}"))
    };
    let mut programs = vec![
        Program::new(&find(INIT)?, "init"),
        Program::new(&workspace.binary(), "usr/bin/mtlsnoop"),
        Program::new(&crate::workspace::in_path("ip").context("there is no ip")?, "usr/sbin/ip"),
    ];
    for (nth, test) in TESTS.iter().enumerate() {
        programs.push(Program::new(&find(test)?, &format!("tests/run/{nth}-{test}")));
    }
    for helper in HELPERS {
        programs.push(Program::new(&find(helper)?, &format!("tests/{helper}")));
    }
    Ok(Image { programs })
}

/// Its messages for people go to the terminal.
fn built(cargo: &mut Command) -> Result<String> {
    let output = cargo.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("`{}` failed ({})", process::shown(cargo), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Programs by the names of their targets.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.filter_map(|artifact| Some((artifact.target.name, artifact.executable?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{executables, test_name};

    #[test]
    fn programs_are_found_among_what_cargo_says() {
        let said = r#"{"reason":"compiler-artifact","target":{"name":"mtlsnoop"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/t/kernel-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executables(said), [("kernel".to_owned(), "/t/kernel-1".into())]);
    }

    #[test]
    fn names_of_tests_are_one_word_for_the_kernel() {
        assert!(test_name("connect::both_ends").is_ok());
        for name in ["a b", "a=b", "a\"b"] {
            assert!(test_name(name).is_err(), "{name}");
        }
    }
}
