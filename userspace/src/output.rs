//! Standard output as a sink of the kind that was asked for; must not know what is written.

use std::io::{self, BufWriter, Write};

use anstream::{AutoStream, ColorChoice};

use crate::{
    config::{Color, Format, Output},
    sink::{
        Sink,
        json::JsonLines,
        terminal::{Terminal, palette::Palette},
    },
};

/// Opens standard output.
pub fn open(output: &Output) -> Box<dyn Sink> {
    open_on(output, io::stdout())
}

/// The same by another way to standard output.
pub fn open_on(output: &Output, way: impl Write + 'static) -> Box<dyn Sink> {
    const BUFFER_BYTES: usize = 64 << 10;

    let destination = BufWriter::with_capacity(BUFFER_BYTES, way);
    match output.format {
        Format::Json => Box::new(JsonLines::new(destination)),
        Format::Text => Box::new(Terminal::new(destination, is_colored(output.color))),
    }
}

/// The colours of text on standard output.
pub fn palette(color: Color) -> Palette {
    if is_colored(color) { Palette::colored() } else { Palette::default() }
}

fn is_colored(color: Color) -> bool {
    match color {
        Color::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        Color::Always => true,
        Color::Never => false,
    }
}
