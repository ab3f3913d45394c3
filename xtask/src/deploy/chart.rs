//! Rendering the chart: by Helm's own engine, in a Python program, because that is how it is packaged. It knows no values.
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{setup::Validators, workspace::Workspace};

const PROGRAM: &str = include_str!("chart.py");

/// What became of a set of values.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Rendered {
    /// The schema does not allow them, and why.
    Refused { refused: String },
    /// The objects, and what Helm and Kubernetes say of them.
    Objects { manifest: String, complaints: Vec<String> },
}

/// Renders the chart once for each set of values.
pub(super) fn render(
    workspace: &Workspace,
    validators: &Validators,
    values: &[Value],
) -> Result<Vec<Rendered>> {
    let chart = workspace.root.join("deploy/helm/mtlsnoop");
    let asked = json!({"chart": chart, "values": values});
    let said = told(validators.python().args(["-c", PROGRAM]), &asked.to_string())?;
    let answers: Vec<Rendered> = serde_json::from_slice(&said).context("the renderer's answer is none")?;
    if answers.len() != values.len() {
        bail!("the renderer answered {} of {} sets of values", answers.len(), values.len());
    }
    Ok(answers)
}

/// What a program says that is told something.
fn told(command: &mut Command, text: &str) -> Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("could not start python3")?;
    // It reads all before it writes anything.
    child.stdin.take().context("no way to tell it")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("rendering the chart failed ({}); what Python said is above", output.status);
    }
    Ok(output.stdout)
}
