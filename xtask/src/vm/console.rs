//! What the console of a virtual machine tells: which tests passed, and how each program ended. It runs nothing.
use std::{fmt, time::Duration};

use anyhow::{Result, bail, ensure};

/// How it went.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    /// Test programs that ended, with their exit codes.
    ended: Vec<(String, i32)>,
    passed: u64,
    failed: Vec<String>,
    /// What the first process complained of.
    complaint: Option<String>,
    took: Duration,
}

impl Outcome {
    /// Reads the lines of `tests/vm/init.rs` and of the standard test harness.
    pub(super) fn read(console: &[String], took: Duration) -> Self {
        let mut outcome = Self { ended: Vec::new(), passed: 0, failed: Vec::new(), complaint: None, took };
        for line in console {
            outcome.read_line(line);
        }
        outcome
    }

    fn read_line(&mut self, line: &str) {
        if let Some(ended) = line.strip_prefix("vm-ended ") {
            self.ended.extend(
                ended.split_once(' ').and_then(|(name, code)| Some((name.to_owned(), code.parse().ok()?))),
            );
        } else if let Some(complaint) = line.strip_prefix("vm-failed ") {
            self.complaint = Some(complaint.to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let words: Vec<&str> = result.split_whitespace().collect();
            let passed = words.windows(2).find(|pair| pair[1].starts_with("passed"));
            self.passed += passed.and_then(|pair| pair[0].parse::<u64>().ok()).unwrap_or_default();
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        }
    }

    /// Fails unless all these programs ran to their end and well.
    pub(super) fn check(&self, programs: &[&str]) -> Result<()> {
        if let Some(complaint) = &self.complaint {
            bail!("the machine could not run the tests: {complaint}");
        }
        for program in programs {
            let ended = self
                .ended
                .iter()
                .find(|(name, _)| name.split_once('-').is_some_and(|(_, name)| name == *program));
            match ended {
                Some((_, 0)) => {}
                Some((_, code)) => bail!("{program} failed (exit code {code}): {}", self.failed.join(", ")),
                None => bail!("{program} did not end; the console's last lines say why"),
            }
        }
        ensure!(self.passed > 0, "no test ran; is there one of that name?");
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {:.1} s", self.passed, self.failed.len(), self.took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Outcome;

    fn outcome(console: &str) -> Outcome {
        let lines: Vec<String> = console.lines().map(str::to_owned).collect();
        Outcome::read(&lines, Duration::from_secs(1))
    }

    #[test]
    fn all_is_well_only_when_every_program_ended_well_and_something_passed() {
        let well = "test a::b ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\nvm-ended 0-kernel 0\n";
        let cases = [
            ("well", format!("{well}vm-ended 1-verdicts 0\n"), None),
            ("one is missing", well.to_owned(), Some("verdicts did not end")),
            (
                "one failed",
                format!("{well}test c ... FAILED\nvm-ended 1-verdicts 101\n"),
                Some("(exit code 101): c"),
            ),
            ("nothing ran", "vm-ended 0-kernel 0\nvm-ended 1-verdicts 0\n".to_owned(), Some("no test ran")),
            ("no tests", "vm-failed no modules\n".to_owned(), Some("no modules")),
            ("a panic", "Kernel panic - not syncing\n".to_owned(), Some("kernel did not end")),
        ];
        for (name, console, complaint) in cases {
            let error = outcome(&console).check(&["kernel", "verdicts"]).err().map(|error| error.to_string());
            match complaint {
                None => assert_eq!(error, None, "{name}"),
                Some(part) => {
                    assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{name}: {error:?}");
                }
            }
        }
    }

    #[test]
    fn passed_tests_of_all_programs_are_counted() {
        let console = "test result: ok. 41 passed; 0 failed\ntest result: FAILED. 5 passed; 1 failed\ntest x ... FAILED\n";
        assert_eq!(outcome(console).to_string(), "46 passed, 1 failed, 1.0 s");
    }
}
