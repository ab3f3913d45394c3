//! The lab's API server as a process of its own, which can be killed and started again; it must not know who its clients
//! are.
//!
//! `lab-api FOLDER ADDRESS:PORT [OBJECTS…]` keeps its certificate, tokens and kubeconfigs in FOLDER, listens, and serves
//! the objects in the files, each a list as `kubectl get -o json` prints it. A `ClusterRole` or `Role` among them is what
//! the agent may do. On SIGTERM it prints its requests as JSON lines, and fails when there was one that no client should
//! make.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mtlsnoop_tests::api::Api;
use mtlsnoop_tests::{interrupt, wait};
use serde_json::{Value, json};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(std::io::stderr(), "lab-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, address, files @ ..] = arguments.as_slice() else {
        bail!("usage: lab-api FOLDER ADDRESS:PORT [OBJECTS…]")
    };
    interrupt::catch()?;
    let address: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
    let mut api = Api::start_at(Path::new(folder), address, None)?;
    // Nobody is to see half of the objects.
    api.stop();
    for file in files {
        load(&api, Path::new(file))?;
    }
    api.start()?;
    let kubeconfig = api.kubeconfig()?;
    api.admin_kubeconfig()?;
    writeln!(std::io::stderr(), "serving https://{}, see {}", api.address(), kubeconfig.display())?;
    // Until a signal comes, which is an error to whoever waits.
    let _ = wait::until_true("a signal", Duration::MAX, || Ok(false));
    let mut stdout = std::io::stdout().lock();
    for request in api.requests() {
        let line = json!({
            "verb": request.verb,
            "resource": request.resource,
            "uri": request.uri,
            "code": request.code,
            "bytes": request.bytes
        });
        writeln!(stdout, "{line}")?;
    }
    api.check()
}

fn load(api: &Api, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    let list: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let items = list["items"].as_array().with_context(|| format!("{} is no list", file.display()))?;
    let is_role = |item: &&Value| matches!(item["kind"].as_str(), Some("ClusterRole" | "Role"));
    let (roles, objects): (Vec<&Value>, Vec<&Value>) = items.iter().partition(is_role);
    if !roles.is_empty() {
        api.restrict(&roles.into_iter().cloned().collect::<Vec<_>>())?;
    }
    api.put_all(objects.into_iter().cloned())
}
