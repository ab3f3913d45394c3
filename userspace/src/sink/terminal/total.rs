//! The accounting in a few aligned lines; must not know what was counted.

use std::fmt::{self, Write};

use crate::{
    event::loss::Loss,
    sink::{
        Accounting,
        terminal::{palette::Palette, text::day_and_time},
    },
};

/// Writes the accounting.
pub(super) fn accounting(out: &mut dyn Write, accounting: &Accounting, palette: Palette) -> fmt::Result {
    let Accounting { time, seen, reported, filtered, open, began_before, findings, resolved, lost } =
        accounting;
    let strong = palette.strong;
    writeln!(out, "{strong}SUMMARY{strong:#}  {}", day_and_time(*time))?;
    let style = palette.label;
    let mut line = |label: &str, count: u64, note: &str| {
        let gap = if note.is_empty() { "" } else { "  " };
        writeln!(out, "  {style}{label:<22}{style:#}{count:>10}{gap}{note}")
    };
    line("findings", *findings, "")?;
    line("  resolved", *resolved, "")?;
    line("connection ends seen", *seen, "")?;
    line("  reported", *reported, "")?;
    line("  filtered", *filtered, "the tracer's own, or not asked for")?;
    line("  still open", *open, "")?;
    let (of_flows, of_parts): (Vec<_>, Vec<_>) =
        lost.iter().copied().partition(|(loss, _)| loss.is_of_flow());
    line("  lost", of_flows.iter().map(|(_, count)| count).sum(), &named(&of_flows))?;
    line("older ones ended", *began_before, "they began before tracing did")?;
    if of_parts.is_empty() {
        return Ok(());
    }
    line("lost of the others", of_parts.iter().map(|(_, count)| count).sum(), &named(&of_parts))
}

fn named(lost: &[(Loss, u64)]) -> String {
    let each: Vec<_> = lost.iter().map(|(loss, count)| format!("{} {count}", loss.name())).collect();
    each.join(", ")
}
