//! Options over environment over file over defaults: what a file says becomes the defaults of the options, so that the same parsers
//! look at it. It must not know which options there are.

use std::{ffi::OsString, path::Path};

use clap::{
    Arg, CommandFactory as _, FromArgMatches as _, Parser as _, builder::Resettable, error::ErrorKind,
};

use crate::{
    cli::{Cli, Command, agent::AgentArgs},
    config::{
        self, Contradiction,
        file::{self, Entries, FileError},
    },
};

/// What was asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum AskedWrongly {
    /// On the command line, or in the environment.
    #[error("{}", reason(.0))]
    Usage(clap::Error),
    /// In the file.
    #[error(transparent)]
    File(FileError),
    /// All of it together.
    #[error(transparent)]
    Contradiction(Contradiction),
}

/// What an agent is asked for by these arguments, the environment, and the file that they name.
pub fn asked(arguments: &[OsString]) -> Result<config::Agent, AskedWrongly> {
    let asked = agent(Cli::try_parse_from(arguments))?;
    let asked = match &asked.config {
        Some(path) => with_file(arguments, path)?,
        None => asked,
    };
    asked.config().map_err(AskedWrongly::Contradiction)
}

fn agent(parsed: Result<Cli, clap::Error>) -> Result<AgentArgs, AskedWrongly> {
    match parsed.map_err(AskedWrongly::Usage)?.command {
        Command::Agent(asked) => Ok(*asked),
        _ => Err(AskedWrongly::Usage(Cli::command().error(ErrorKind::InvalidSubcommand, "this is no agent"))),
    }
}

fn with_file(arguments: &[OsString], path: &Path) -> Result<AgentArgs, AskedWrongly> {
    let entries = file::read(path).map_err(AskedWrongly::File)?;
    check(path, &entries).map_err(AskedWrongly::File)?;
    let command = Cli::command().mut_subcommand("agent", |agent| with_defaults(agent, &entries));
    agent(command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches)))
}

fn with_defaults(agent: clap::Command, Entries(entries): &Entries) -> clap::Command {
    agent.mut_args(|arg| match entries.iter().find(|(key, _)| is_key(&arg) && arg.get_long() == Some(key)) {
        Some((_, values)) => arg.default_values(values.iter().map(|value| leaked(value))),
        None => arg,
    })
}

/// Definitions of options live as long as the program. A file is small, and read again only when it was changed.
fn leaked(value: &str) -> &'static str {
    value.to_owned().leak()
}

/// The option is a key of the file.
fn is_key(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_long() != Some("config")
}

/// Each key is there, and its value is one that its option takes.
fn check(path: &Path, Entries(entries): &Entries) -> Result<(), FileError> {
    let command = Cli::command();
    let Some(agent) = command.find_subcommand("agent") else { return Ok(()) };
    let keys: Vec<&Arg> = agent.get_arguments().filter(|arg| is_key(arg)).collect();
    for (key, values) in entries {
        let error =
            |what: String| FileError::Key { path: path.to_owned(), key: key.clone(), what: what.into() };
        let Some(arg) = keys.iter().find(|arg| arg.get_long() == Some(key)) else {
            let names: Vec<_> = keys.iter().filter_map(|arg| arg.get_long()).collect();
            return Err(error(format!("there is no such key; there are {}", names.join(", "))));
        };
        let alone = clap::Command::new("key").arg(Arg::clone(arg).env(Resettable::Reset));
        let said = values.iter().map(|value| format!("--{key}={value}"));
        if let Err(wrong) = alone.no_binary_name(true).try_get_matches_from(said) {
            return Err(error(reason(&wrong)));
        }
    }
    Ok(())
}

/// What an error says before it speaks of the command line.
fn reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<_> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}
