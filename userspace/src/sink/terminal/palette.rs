//! Colours by meaning; must not know what is written in them.

use anstyle::{AnsiColor, Style};

/// Styles that are all empty when there is to be no colour.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    /// Something is wrong.
    pub bad: Style,
    /// Something may be wrong.
    pub doubtful: Style,
    /// Something is mended.
    pub good: Style,
    /// Names of fields and columns.
    pub label: Style,
    /// What matters most in a block.
    pub strong: Style,
}

impl Palette {
    /// The colours.
    pub fn colored() -> Self {
        Self {
            bad: AnsiColor::Red.on_default().bold(),
            doubtful: AnsiColor::Yellow.on_default().bold(),
            good: AnsiColor::Green.on_default(),
            label: AnsiColor::Cyan.on_default(),
            strong: Style::new().bold(),
        }
    }
}
