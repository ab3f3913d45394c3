//! Lines of cells, each column as wide as it must be; it must not know what the cells say.

use std::fmt;

/// A heading and lines of the same number of cells. The first two columns are names, the others numbers.
pub(crate) struct Table<const N: usize> {
    pub(crate) heading: [&'static str; N],
    pub(crate) lines: Vec<[String; N]>,
}

const NAMES: usize = 2;

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = self.heading.map(str::to_owned);
        let lines = || std::iter::once(&heading).chain(&self.lines);
        let widths: [usize; N] = std::array::from_fn(|column| {
            lines().map(|line| line[column].chars().count()).max().unwrap_or_default()
        });
        for line in lines() {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let cell =
                    if column < NAMES { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
                text.push_str(&cell);
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
