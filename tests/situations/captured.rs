//! What `mtlsnoop analyze` finds in captures; it must not know what should be found.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::program;
use serde_json::Value;

use crate::finding::Finding;

/// Puts the captures of one situation through it, with the same cluster file as the tracer had.
pub(crate) fn analyze(captures: &[PathBuf], cluster_file: &Path) -> Result<Vec<Finding>> {
    let output = Command::new(program::TRACER.find()?)
        .args(["analyze", "-o", "json", "--cluster"])
        .arg(cluster_file)
        .args(captures)
        .output()
        .context("could not start mtlsnoop")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mtlsnoop analyze failed ({}): {complaint}", output.status);
    let lines = String::from_utf8(output.stdout)?;
    let mut found = Vec::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        found.extend(Finding::read(&line)?);
    }
    Ok(found)
}
