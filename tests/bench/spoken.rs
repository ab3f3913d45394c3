//! A process of this program that is spoken to in lines, one answer to each, and that ends with its handle; it must not know
//! what is said.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use mtlsnoop_tests::netns::Netns;

/// A running one.
pub(crate) struct Spoken {
    name: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Spoken {
    /// Starts this program with these arguments in a network namespace; the first of them is what it is called by.
    pub(crate) fn start(netns: &Netns, name: &'static str, arguments: &[String]) -> Result<Self> {
        let program = std::env::current_exe().context("could not find this program")?;
        let mut command = Command::new(program);
        command.arg(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = netns.enter(|| command.spawn().with_context(|| format!("could not start {name}")))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no standard input and output");
        };
        Ok(Self { name, child, questions, answers: BufReader::new(answers) })
    }

    /// Waits for its next line.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let bytes =
            self.answers.read_line(&mut line).with_context(|| format!("{} ended early", self.name))?;
        ensure!(bytes > 0, "{} ended early", self.name);
        Ok(line.trim_end().to_owned())
    }

    /// Says something, and gives the answer.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.questions, "{question}").with_context(|| format!("{} ended early", self.name))?;
        self.line()
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
