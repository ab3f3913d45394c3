//! `cargo xtask fuzz`: builds the fuzz targets for libFuzzer and runs them one after the other. What they read is not known here.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    build, process,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// What libFuzzer needs of the compiler: counters at every edge, a table of where they are, and a look at comparisons (as
/// cargo-fuzz sets them); overflows and debug assertions are findings too. All of it is stable. There is no address
/// sanitizer: what is fuzzed is safe Rust, and twice as fast without.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-arg=-Wl,-z,nostart-stop-gc \
     -Cdebug-assertions=on -Coverflow-checks=on --cfg fuzzing";

/// Names the target to the program.
const VARIABLE: &str = "MTLSNOOP_FUZZ_TARGET";

/// An input that takes longer than this is a finding.
const SLOWEST_SECONDS: u32 = 10;

/// More memory than this is a finding.
const MOST_MEMORY_MB: u32 = 1024;

/// The corpus in the repository is to be small: so much for each target.
const KEPT_BYTES: u64 = 8192;

/// No input that is kept is longer.
const KEPT_INPUT_BYTES: u64 = 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// These targets only; folders of tests/fuzz/corpus
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each is fuzzed
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Afterwards, keep the inputs that reach most in tests/fuzz/corpus, a few kB for each target
    #[arg(long)]
    keep: bool,
}

/// Where things of one target lie.
struct Place {
    name: String,
    /// In the repository.
    kept: PathBuf,
    /// All that was found so far, on this machine.
    found: PathBuf,
    seeds: PathBuf,
    failures: PathBuf,
    log: PathBuf,
}

/// How a target went.
struct Outcome {
    name: String,
    executed: String,
    covered: String,
    took: Duration,
    result: Result<()>,
}

/// Fuzzes; fails when an input made a target fail.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Test)?;
    build::ebpf(workspace, &tools.toolchain)?;
    let folder = workspace.target.join("fuzz");
    let program = program(workspace, &folder)?;
    let seeds = folder.join("seeds");
    process::run(
        workspace
            .cargo()
            .args(["run", "--package", "mtlsnoop-fuzz", "--bin", "fuzz-seeds", "--"])
            .arg(&seeds),
    )?;
    let places = places(workspace, &folder, &seeds, &options.targets)?;
    let mut outcomes = Vec::new();
    for place in &places {
        let outcome = fuzz(&program, place, options.seconds)?;
        eprintln!("{}", outcome.line());
        if options.keep && outcome.result.is_ok() {
            keep(&program, place)?;
        }
        outcomes.push(outcome);
    }
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            outcome.result.as_ref().err().map(|error| format!("{}: {error:#}", outcome.name))
        })
        .collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// In a target folder of its own: other flags, for the host as a named target so that build scripts are without them.
fn program(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let host = host()?;
    process::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "mtlsnoop-fuzz", "--bin", "fuzz"])
            .args(["--features", "libfuzzer", "--target", &host, "--target-dir"])
            .arg(folder)
            .env("RUSTFLAGS", RUSTFLAGS)
            .env("MTLSNOOP_EBPF_OBJECT", workspace.ebpf_object()),
    )
    .context("libFuzzer is C++; `cargo xtask setup` installs a compiler for it")?;
    Ok(folder.join(host).join("release/fuzz"))
}

fn host() -> Result<String> {
    let said = process::read(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for what machine it is")
}

fn places(workspace: &Workspace, folder: &Path, seeds: &Path, wanted: &[String]) -> Result<Vec<Place>> {
    let entries = fs::read_dir(seeds).with_context(|| format!("could not list {}", seeds.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        bail!("there is no fuzz target {unknown}; there are {}", names.join(", "));
    }
    names.retain(|name| wanted.is_empty() || wanted.contains(name));
    let place = |name: String| Place {
        kept: workspace.root.join("tests/fuzz/corpus").join(&name),
        found: folder.join("corpus").join(&name),
        seeds: seeds.join(&name),
        failures: folder.join("failures").join(&name),
        log: folder.join(format!("{name}.log")),
        name,
    };
    let places: Vec<Place> = names.into_iter().map(place).collect();
    for Place { kept, found, failures, .. } in &places {
        for folder in [kept, found, failures] {
            fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        }
    }
    Ok(places)
}

fn libfuzzer(program: &Path, place: &Place) -> Command {
    let mut command = Command::new(program);
    command
        .env(VARIABLE, &place.name)
        .arg(format!("-timeout={SLOWEST_SECONDS}"))
        .arg(format!("-rss_limit_mb={MOST_MEMORY_MB}"))
        // A folder's name ends in a slash for libFuzzer.
        .arg(format!("-artifact_prefix={}/", place.failures.display()));
    command
}

fn fuzz(program: &Path, place: &Place, seconds: u32) -> Result<Outcome> {
    eprintln!("fuzz: {} for {seconds} s", place.name);
    let begun = std::time::Instant::now();
    let mut command = libfuzzer(program, place);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1").args([
        &place.found,
        &place.kept,
        &place.seeds,
    ]);
    let result = process::run_logged(&mut command, &place.log).with_context(|| {
        format!(
            "the input is in {}; put it into {} and mend what it found, after which `cargo xtask test --only fuzz` passes",
            place.failures.display(),
            place.kept.display()
        )
    });
    let took = begun.elapsed();
    let said = fs::read(&place.log).with_context(|| format!("could not read {}", place.log.display()))?;
    let (executed, covered) = figures(&String::from_utf8_lossy(&said));
    Ok(Outcome { name: place.name.clone(), executed, covered, took, result })
}

/// How many inputs were run, and how many edges were reached, as libFuzzer says at its end.
fn figures(said: &str) -> (String, String) {
    let executed = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let covered = said.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split_whitespace().next());
    let given = |text: Option<&str>| text.unwrap_or("?").trim().to_owned();
    (given(executed), given(covered))
}

impl Outcome {
    fn line(&self) -> String {
        let Self { name, executed, covered, took, result } = self;
        let how = if result.is_ok() { "nothing found" } else { "FAILED" };
        format!(
            "fuzz: {name}: {how}; {executed} inputs in {:.0} s, {covered} edges reached",
            took.as_secs_f64()
        )
    }
}

/// Merges all that was found into few inputs that reach as much, and takes of these, the short ones first, what may be kept.
fn keep(program: &Path, place: &Place) -> Result<()> {
    let merged = tempfile::tempdir().context("could not make a temporary folder")?;
    let mut command = libfuzzer(program, place);
    command.arg("-merge=1").arg(format!("-max_len={KEPT_INPUT_BYTES}")).arg(merged.path()).args([
        &place.kept,
        &place.found,
        &place.seeds,
    ]);
    process::run_logged(&mut command, &place.log.with_extension("merge.log"))?;
    let mut inputs: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(merged.path())? {
        let entry = entry?;
        inputs.push((entry.metadata()?.len(), entry.path()));
    }
    inputs.sort();
    let mut kept_bytes = 0;
    let mut count = 0;
    for (bytes, path) in inputs {
        kept_bytes += bytes;
        if bytes > KEPT_INPUT_BYTES || kept_bytes > KEPT_BYTES {
            break;
        }
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, place.kept.join(name))
            .with_context(|| format!("could not keep {}", path.display()))?;
        count += 1;
    }
    eprintln!("fuzz: {}: kept {count} inputs", place.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn the_figures_are_libfuzzers_last() {
        let said = "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb\n#9\tDONE   cov: 345 ft: 400 corp: 8/99b\n\
                    stat::number_of_executed_units: 900\nstat::average_exec_per_sec:     90\n";
        assert_eq!(figures(said), ("900".to_owned(), "345".to_owned()));
        assert_eq!(figures(""), ("?".to_owned(), "?".to_owned()));
    }
}
