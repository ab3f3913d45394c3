//! Colours by meaning; must not know what is written in them.

use anstyle::{AnsiColor, Style};

/// Styles that are all empty when there is to be no colour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Palette {
    /// Something is wrong.
    pub(super) bad: Style,
    /// Something may be wrong.
    pub(super) doubtful: Style,
    /// Something is mended.
    pub(super) good: Style,
    /// Names of fields and columns.
    pub(super) label: Style,
    /// What matters most in a block.
    pub(super) strong: Style,
}

impl Palette {
    /// The colours.
    pub(super) fn colored() -> Self {
        Self {
            bad: AnsiColor::Red.on_default().bold(),
            doubtful: AnsiColor::Yellow.on_default().bold(),
            good: AnsiColor::Green.on_default(),
            label: AnsiColor::Cyan.on_default(),
            strong: Style::new().bold(),
        }
    }
}
