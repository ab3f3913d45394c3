//! `cargo xtask situations`: every situation lived through by real programs, what is found live and in captures, and a
//! table of it. It knows the order of things, not how any is done.

mod arguments;
mod at;
mod captured;
mod docs;
mod expected;
mod finding;
mod live;
mod place;
mod score;
mod set;
mod situation;
mod table;

use std::{
    collections::HashMap, io::Write as _, net::IpAddr, path::PathBuf, process::ExitCode, time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use mtlsnoop_tests::{
    certificate::Authority,
    cluster::Cluster,
    interrupt::{self, Interrupted},
    kubectl,
    pod::Pod,
    tracer::{self, Line, Tracer},
};

use crate::{
    arguments::Arguments,
    expected::Expected,
    finding::Finding,
    live::{Lived, World},
    place::Place,
    score::Demand,
    situation::Situation,
    table::{Looked, Row},
};

/// What a shell says of a program that SIGINT ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match interrupt::catch().and_then(|()| run(&Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("situations: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let situations = chosen(arguments)?;
    let nodes = situations.chunks(place::ON_A_NODE).map(|_| Cluster::start()).collect::<Result<Vec<_>>>()?;
    let result = live_and_compare(&nodes, &situations, arguments);
    if result.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
        for node in &nodes {
            eprintln!("configurations, logs and captures are kept in {}", node.keep_files().display());
        }
    }
    result
}

fn live_and_compare(nodes: &[Cluster], situations: &[Situation], arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    let (rows, failed) = rows(nodes, situations, arguments)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", table::markdown(&rows))?;
    writeln!(stdout, "All of it in {:.0} s.", begun.elapsed().as_secs_f64())?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&table::json(&rows))?)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    let failed: Vec<String> = failed.iter().map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "not as the situation says:\n{}", failed.join("\n"));
    let wrong: Vec<&str> = rows.iter().filter(|row| !is_right(row)).map(|row| row.name).collect();
    ensure!(wrong.is_empty(), "not found as it should be: {}", wrong.join(", "));
    match arguments {
        Arguments { bless: true, .. } => docs::write(&rows),
        Arguments { only, live: false, .. } if only.is_empty() => docs::check(&rows),
        _ => Ok(()),
    }
}

fn chosen(arguments: &Arguments) -> Result<Vec<Situation>> {
    let mut all = set::all();
    if let Some(unknown) = arguments.only.iter().find(|name| all.iter().all(|one| one.name != *name)) {
        let names: Vec<&str> = all.iter().map(|situation| situation.name).collect();
        anyhow::bail!("there is no situation '{unknown}'; there are: {}", names.join(", "));
    }
    all.retain(|situation| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == situation.name)
    });
    Ok(all)
}

fn is_right(row: &Row) -> bool {
    row.live.score.is_perfect() && row.captured.as_ref().is_none_or(|looked| looked.score.is_perfect())
}

/// What was found in each situation, and what went wrong in those that were not as they say.
fn rows(
    nodes: &[Cluster],
    situations: &[Situation],
    arguments: &Arguments,
) -> Result<(Vec<Row>, Vec<anyhow::Error>)> {
    let cluster = nodes.first().context("there is no situation")?;
    let mesh = Authority::create(cluster.folder(), "mesh")?;
    let places = situations
        .chunks(place::ON_A_NODE)
        .zip(nodes)
        .map(|(situations, node)| place::make(situations, node))
        .collect::<Result<Vec<_>>>()?;
    let places: Vec<Place<'_>> = places.into_iter().flatten().collect();
    let cluster_file = write_cluster_file(cluster, situations, &places)?;
    let all: Vec<_> = situations.iter().zip(&places).collect();
    let world = World { mesh: &mesh, captures: !arguments.live };
    let (lived, lines) = world.live(&all, || Tracer::start_json(cluster, &cluster_file, &[]))?;
    interrupt::check()?;
    let mut live = found_live(nodes, &all, &lived, &lines)?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for ((situation, _), Lived { captures, result, .. }) in all.iter().zip(lived) {
        if let Err(error) = result {
            failed.push(error);
            continue;
        }
        let found = live.remove(situation.name).unwrap_or_default();
        let captured = (!arguments.live).then(|| captured::analyze(&captures, &cluster_file)).transpose();
        let captured = captured.with_context(|| format!("the captures of {}", situation.name))?;
        let in_captures = if situation.not_captured.is_some() { Expected::Quiet } else { situation.expected };
        rows.push(Row {
            name: situation.name,
            told: situation.told,
            expected: situation.expected,
            not_captured: situation.not_captured,
            live: looked(situation.expected, found, Demand::Exact),
            captured: captured.map(|found| looked(in_captures, found, Demand::AtMost)),
        });
    }
    Ok((rows, failed))
}

fn looked(expected: Expected, found: Vec<Finding>, demand: Demand) -> Looked {
    let found = finding::distinct(found);
    let score = score::score(expected, &found, demand);
    Looked { found, score }
}

fn write_cluster_file(cluster: &Cluster, situations: &[Situation], places: &[Place<'_>]) -> Result<PathBuf> {
    let path = cluster.folder().join("cluster.json");
    let pods: Vec<&Pod> = places.iter().flat_map(Place::pods).collect();
    let servers: Vec<Vec<&Pod>> = places.iter().map(Place::servers).collect();
    let services: Vec<_> = situations
        .iter()
        .zip(&servers)
        .filter_map(|(situation, servers)| Place::service(situation, servers))
        .collect();
    let declared: Vec<_> =
        situations.iter().zip(places).flat_map(|(situation, place)| place.declared(situation)).collect();
    kubectl::write(&path, &kubectl::list(&pods, &services, &declared))?;
    Ok(path)
}

/// The tracer's findings by the situation whose pods they name. One about nobody is a mistake too.
fn found_live(
    nodes: &[Cluster],
    all: &[(&Situation, &Place<'_>)],
    lived: &[Lived],
    lines: &[Line],
) -> Result<HashMap<&'static str, Vec<Finding>>> {
    let mut owners: HashMap<IpAddr, usize> = HashMap::new();
    for (index, (_, place)) in all.iter().enumerate() {
        owners.extend(place.addresses().into_iter().map(|address| (address, index)));
    }
    let mut found: HashMap<&'static str, Vec<Finding>> = HashMap::new();
    for line in lines {
        let object = serde_json::from_str(&line.text).with_context(|| format!("no JSON: {}", line.text))?;
        let is_ours = nodes.iter().any(|node| tracer::is_about(&object, node.range()));
        let Some(mut finding) = Finding::read(&object)?.filter(|_| is_ours) else { continue };
        let owner = finding.addresses.iter().find_map(|address| owners.get(address));
        let index = *owner.with_context(|| format!("a finding about nobody: {}", line.text))?;
        let after = lived[index].began.map(|began| line.at.saturating_duration_since(began));
        finding.after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        found.entry(all[index].0.name).or_default().push(finding);
    }
    Ok(found)
}
