//! The table in the docs: written on demand, and otherwise checked to be of the same situations; it must not know what
//! a situation is.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::table::{self, Row};

const HEAD: &str = "<!-- made by `cargo xtask situations --bless` -->\n# Situations\n\n";

/// Writes it.
pub(crate) fn write(rows: &[Row]) -> Result<()> {
    let path = path();
    fs::write(&path, format!("{HEAD}{}", table::markdown(rows)))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Fails when it lacks a situation or has one that is not there any more. Confidence and times are not compared.
pub(crate) fn check(rows: &[Row]) -> Result<()> {
    let path = path();
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let advice = "try `cargo xtask situations --bless`";
    for row in rows {
        ensure!(
            text.lines().any(|line| table::is_of(row, line)),
            "the table in the docs lacks '{}' as it is now; {advice}",
            row.name
        );
    }
    let lines =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| situation |")).count();
    ensure!(
        lines == rows.len(),
        "the table in the docs has {lines} situations, not {}; {advice}",
        rows.len()
    );
    Ok(())
}

fn path() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).join("situations").join("table.md")
}
