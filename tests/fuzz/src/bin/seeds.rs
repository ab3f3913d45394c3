//! Writes the seeds of every target into a folder, each target's into one of its own.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use mtlsnoop_fuzz::TARGETS;

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("which folder shall they go into?")?;
    for target in &TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let path = folder.join(format!("seed-{number:03}"));
            fs::write(&path, seed).with_context(|| format!("could not write {}", path.display()))?;
        }
    }
    Ok(())
}
