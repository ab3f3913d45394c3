//! `cargo xtask deploy`: what `deploy/` holds, rendered, compared and validated. It knows which checks there are, and no rule.
use anyhow::{Result, bail};
use clap::Args;

use self::chart::Rendered;
use crate::{
    setup::{self, Validators},
    workspace::Workspace,
};

mod case;
mod chart;
mod document;
mod linter;
mod manifest;
mod metric;
mod option;
mod pod;
mod right;
mod rule;
mod version;

/// What to do with `deploy/manifests`.
#[derive(Args)]
pub(crate) struct Options {
    /// Write deploy/manifests from the chart; without it, they are compared
    #[arg(long)]
    render: bool,
}

/// Sets up and checks everything.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let validators = setup::validators_ready(workspace)?;
    if options.render {
        manifest::write(workspace, &validators)?;
    }
    everything(workspace, &validators)?;
    eprintln!("deploy/ is in order");
    Ok(())
}

/// All checks; a failure does not keep the others from running.
pub(crate) fn everything(workspace: &Workspace, validators: &Validators) -> Result<()> {
    let mut complaints = rendered(workspace, validators)?;
    complaints.extend(manifest::compare(workspace, validators)?);
    complaints.extend(version::check(workspace)?);
    complaints.extend(right::check_kinds(workspace)?);
    complaints.extend(option::check(workspace)?);
    complaints.extend(metric::check(workspace)?);
    complaints.extend(rule::check(workspace, validators)?);
    complaints.extend(linter::check(workspace, validators));
    if !complaints.is_empty() {
        bail!("{} things are wrong in deploy/:\n  - {}", complaints.len(), complaints.join("\n  - "));
    }
    Ok(())
}

/// The chart with all kinds of values: refused, or rendered to objects that Kubernetes knows and that are as they should be.
fn rendered(workspace: &Workspace, validators: &Validators) -> Result<Vec<String>> {
    let cases = case::all();
    let values: Vec<_> = cases.iter().map(|case| case.values.clone()).collect();
    let mut complaints = Vec::new();
    for (case, rendered) in cases.iter().zip(chart::render(workspace, validators, &values)?) {
        let found = match (rendered, case.is_refused) {
            (Rendered::Refused { .. }, true) => Vec::new(),
            (Rendered::Refused { refused: reason }, false) => vec![format!("is refused: {reason}")],
            (Rendered::Objects { .. }, true) => vec!["is taken, and should be refused".into()],
            (Rendered::Objects { manifest, complaints }, false) => {
                let objects = document::read(&manifest)?;
                let own = [
                    document::check(&objects),
                    pod::check(workspace, &objects)?,
                    right::check(&objects, case.has_all_rights),
                ];
                complaints.into_iter().chain(own.into_iter().flatten()).collect()
            }
        };
        complaints.extend(found.into_iter().map(|complaint| format!("chart, {}: {complaint}", case.name)));
    }
    Ok(complaints)
}
