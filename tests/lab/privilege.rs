//! Somebody who is not root and has certain capabilities and no other; it must not know what they are for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::program;

/// `nobody` on Debian; any user but root would do.
const NOBODY: &str = "65534";

/// Capabilities of a process, as effective, permitted, inheritable, ambient and bounding set.
#[derive(Debug, Clone)]
pub struct Privileges {
    names: Vec<String>,
}

impl Privileges {
    /// These capabilities, by their names without `CAP_`.
    pub fn of(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| name.to_lowercase()).collect() }
    }

    /// The program that runs another one so, and its arguments before that one's name.
    pub fn setpriv(&self) -> Result<(PathBuf, Vec<String>)> {
        let sets: String = std::iter::once("-all".to_owned())
            .chain(self.names.iter().map(|name| format!(",+{name}")))
            .collect();
        // A change of user clears the wish to end with one's parent (prctl(2), PR_SET_PDEATHSIG).
        let mut arguments: Vec<String> =
            ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--pdeathsig", "KILL"]
                .map(str::to_owned)
                .into();
        for option in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            arguments.extend([option.to_owned(), sets.clone()]);
        }
        Ok((program::system("setpriv")?, arguments))
    }
}

/// The tracer, run so. `folder` takes a copy of it if it lies where only root can go.
pub fn command(folder: &Path, privileges: &Privileges) -> Result<Command> {
    let (setpriv, arguments) = privileges.setpriv()?;
    let mut command = Command::new(setpriv);
    command.args(arguments).arg(tracer(folder)?).stdin(Stdio::null());
    Ok(command)
}

/// The tracer where everybody can run it.
pub fn tracer(folder: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    program::for_everyone(&program::TRACER.find()?, folder)
}
