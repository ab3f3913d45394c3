//! `doctor`: says what this node can do, and what is lost; must not know how it was found out.

mod advice;
mod json;
mod text;

use std::io::{self, Write as _};

use anyhow::Result;

pub use json::schema;

use crate::{
    config::{Doctor, Format},
    outcome::{Outcome, OutputError},
    source::kernel::{Options, examine::examine},
};

/// Examines this node and says what was found. Done means that tracing is possible.
pub fn doctor(config: &Doctor) -> Result<Outcome> {
    let examination = examine(&Options::for_hooks(&config.hooks));
    let said = match config.format {
        Format::Text => text::text(&examination),
        Format::Json => format!("{}\n", json::json(&examination)?),
    };
    let mut output = io::stdout();
    let written = output.write_all(said.as_bytes()).and_then(|()| output.flush());
    match written.map_err(OutputError::from) {
        Err(error) if !error.is_reader_gone() => Err(error.into()),
        _ => Ok(Outcome::of(examination.can_trace(), false)),
    }
}
