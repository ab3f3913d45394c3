//! The binary: parses the command line, runs what it says, and turns the outcome into an exit code.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use mtlsnoop::{
    agent::agent,
    analyze::analyze,
    cli::{
        Cli, Command, SchemaOf,
        agent::{AskedWrongly, asked},
    },
    config::Contradiction,
    doctor::{self, doctor},
    notice,
    outcome::{Outcome, OutputError},
    run::trace,
    send::send,
    show::show,
    sink::json,
};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            notice::error(format_args!("{error:#}"));
            Outcome::Incomplete.into()
        }
    }
}

fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Trace(arguments) => trace(&arguments.config().unwrap_or_else(|error| wrong_usage(error))),
        Command::Agent(arguments) => run_agent(arguments.is_check()),
        Command::Analyze(arguments) => {
            analyze(&arguments.config().unwrap_or_else(|error| wrong_usage(error)))
        }
        Command::Doctor(arguments) => doctor(&arguments.config()),
        Command::Show(arguments) => show(&arguments.config()),
        Command::Send(arguments) => send(&arguments.file),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Lines => json::schema(),
                SchemaOf::Doctor => doctor::schema(),
            };
            print(&format!("{}\n", serde_json::to_string_pretty(&schema)?).into_bytes())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mtlsnoop", &mut script);
            print(&script)
        }
    }
}

/// Asked for by the arguments, the environment and the configuration file together.
fn run_agent(is_check: bool) -> Result<Outcome> {
    let arguments: Vec<_> = env::args_os().collect();
    match asked(&arguments) {
        Ok(_) if is_check => print(b"the configuration is valid\n"),
        Ok(config) => agent(&config, &|| asked(&arguments).map_err(|error| error.to_string())),
        Err(AskedWrongly::Usage(error)) => error.exit(),
        Err(AskedWrongly::Contradiction(error)) => wrong_usage(error),
        Err(AskedWrongly::File(error)) => {
            notice::error(error);
            Ok(Outcome::WrongUsage)
        }
    }
}

fn wrong_usage(error: Contradiction) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, error).exit()
}

fn print(text: &[u8]) -> Result<Outcome> {
    let mut output = io::stdout();
    match output.write_all(text).and_then(|()| output.flush()).map_err(OutputError::from) {
        Err(error) if !error.is_reader_gone() => Err(error.into()),
        _ => Ok(Outcome::Done),
    }
}
