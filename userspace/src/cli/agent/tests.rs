//! What an agent is asked for, by options, environment and file.

use std::{ffi::OsString, fs, time::Duration};

use clap::{Arg, CommandFactory as _};

use super::{AskedWrongly, asked, size};
use crate::{
    cli::Cli,
    config::{self, Capture, ClusterSource, Hooks},
    filter::Selection,
    notice::{Form, Level},
    recorder::Rotation,
    sink::metrics::Limits,
    update::Confidence,
};

fn said(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn agent(line: &str) -> config::Agent {
    asked(&said(line)).unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

/// What these options and a file with this content ask for.
fn with_file(options: &str, content: &str) -> Result<config::Agent, AskedWrongly> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, content).unwrap();
    asked(&said(&format!("mtlsnoop agent {options} --config {}", path.display())))
}

fn defaults() -> config::Agent {
    config::Agent {
        listen: "[::]:9469".parse().unwrap(),
        node: None,
        cluster: ClusterSource::Auto,
        kubeconfig: None,
        selection: Selection::default(),
        capture: Capture::Adaptive,
        disarm_after: Duration::from_secs(330),
        asks_proxies: false,
        announces: true,
        announced_confidence: Confidence::Likely,
        record: None,
        metrics: Limits { series: 2000, expiry: Duration::from_mins(15) },
        log_level: Level::Info,
        log_format: Form::Text,
        file: None,
        ring_bytes: None,
        hooks: Hooks::default(),
    }
}

fn everything() -> config::Agent {
    config::Agent {
        listen: "127.0.0.1:1".parse().unwrap(),
        node: Some("n".into()),
        cluster: ClusterSource::File("c.json".into()),
        kubeconfig: Some("k".into()),
        selection: Selection {
            connections: true,
            namespaces: vec!["a".to_owned(), "b".to_owned()],
            pods: vec!["p".to_owned()],
        },
        capture: Capture::Always,
        disarm_after: Duration::from_secs(1),
        asks_proxies: true,
        announces: false,
        announced_confidence: Confidence::Certain,
        record: Some(("f".into(), Rotation { file_bytes: 1 << 20, files: 2 })),
        metrics: Limits { series: 5, expiry: Duration::from_mins(1) },
        log_level: Level::Debug,
        log_format: Form::Json,
        ..defaults()
    }
}

const EVERYTHING: &str = "\
listen: 127.0.0.1:1
node: n
cluster: c.json
kubeconfig: k
capture: always
disarm-after: 1s
all: true
namespace: [a, b]
pod: p
config-dump: auto
announce: false
announce-confidence: certain
write: f
write-size: 1MiB
write-files: 2
metrics-series: 5
metrics-expiry: 1m
log-level: debug
log-format: json
";

#[test]
fn a_bare_agent_has_the_defaults() {
    assert_eq!(agent("mtlsnoop agent"), defaults());
}

#[test]
fn every_option_arrives() {
    let line = "mtlsnoop agent --listen 127.0.0.1:1 --node n --cluster c.json --kubeconfig k --all -n a -n b -p p --capture always \
                --disarm-after 1s --config-dump auto --announce=false --announce-confidence certain -w f --write-size 1MiB --write-files 2 --metrics-series 5 \
                --metrics-expiry 1m --log-level debug --log-format json --ring-bytes 4096 --btf t --without-hook reset_sent";
    let hooks = Hooks { btf: Some("t".into()), without: vec!["reset_sent".to_owned()] };
    assert_eq!(agent(line), config::Agent { ring_bytes: Some(4096), hooks, ..everything() });
}

#[test]
fn every_key_of_a_file_arrives_and_an_option_goes_before_it() {
    let of_file = with_file("", EVERYTHING).unwrap();
    let file = of_file.file.clone();
    assert_eq!(of_file, config::Agent { file, ..everything() });
    let both = with_file("--log-level warn --all=false -n c --announce", EVERYTHING).unwrap();
    assert_eq!(both.log_level, Level::Warn);
    assert_eq!((both.selection.connections, both.selection.namespaces), (false, vec!["c".to_owned()]));
    assert!(both.announces);
    let empty = with_file("", "").unwrap();
    assert_eq!(config::Agent { file: None, ..empty }, defaults());
}

#[test]
fn a_file_that_is_wrong_is_an_error_that_names_the_key_and_what_is_allowed() {
    for (content, says) in [
        ("captur: always", &["config.yaml", "`captur`", "no such key", "capture", "log-level"] as &[&str]),
        ("config: other.yaml", &["`config`", "no such key"]),
        ("ring-bytes: 4096", &["`ring-bytes`", "no such key"]),
        ("capture: sometimes", &["`capture`", "sometimes", "adaptive", "always"]),
        ("capture: [adaptive, always]", &["`capture`", "cannot be used multiple times"]),
        ("listen: 9469", &["`listen`", "9469"]),
        ("announce: maybe", &["`announce`", "maybe", "true", "false"]),
        ("announce-confidence: sure", &["`announce-confidence`", "sure", "possible", "likely", "certain"]),
        ("all: 1", &["`all`", "true", "false"]),
        ("metrics-series: 0", &["`metrics-series`", "1..=100000"]),
        ("metrics-series: many", &["`metrics-series`", "many"]),
        ("write-size: 5", &["`write-size`", "KiB, MiB or GiB"]),
        ("disarm-after: 5", &["`disarm-after`", "30s, 5m or 1h30m"]),
        ("log-level:", &["`log-level`", "no value"]),
        ("log-level: trace", &["`log-level`", "error", "warn", "info", "debug"]),
        ("node: {name: n}", &["`node`", "structure"]),
    ] {
        let Err(AskedWrongly::File(error)) = with_file("", content) else { panic!("{content}") };
        let error = error.to_string();
        for part in says {
            assert!(error.contains(part), "{content}: `{part}` is not in {error}");
        }
    }
    let missing = asked(&said("mtlsnoop agent --config /nonexistent/config.yaml"));
    let Err(AskedWrongly::File(error)) = missing else { panic!("{missing:?}") };
    assert!(error.to_string().contains("/nonexistent/config.yaml"), "{error}");
}

#[test]
fn options_that_are_wrong_are_usage_errors() {
    for line in [
        "mtlsnoop agent --listen nowhere",
        "mtlsnoop agent --log-level loud",
        "mtlsnoop agent --write-files 0",
        "mtlsnoop agent --announce=maybe",
        "mtlsnoop agent surplus",
    ] {
        assert!(matches!(asked(&said(line)), Err(AskedWrongly::Usage(_))), "{line}");
    }
    let contradiction = asked(&said("mtlsnoop agent -n a --cluster none"));
    assert!(matches!(contradiction, Err(AskedWrongly::Contradiction(_))), "{contradiction:?}");
}

#[test]
fn what_needs_a_restart_is_named() {
    assert_eq!(defaults().needs_restart_for(&defaults()), [""; 0]);
    let quieter = config::Agent { log_level: Level::Error, ..defaults() };
    assert_eq!(defaults().needs_restart_for(&quieter), [""; 0]);
    let keys: Vec<_> = EVERYTHING.lines().filter_map(|line| line.split(':').next()).collect();
    let mut changed = defaults().needs_restart_for(&everything());
    changed.push("log-level");
    let sorted = |mut keys: Vec<&str>| {
        keys.sort_unstable();
        keys.join(" ")
    };
    assert_eq!(sorted(changed), sorted(keys));
}

#[test]
fn variables_have_the_names_of_options() {
    let command = Cli::command();
    let agent = command.find_subcommand("agent").unwrap();
    let mut keys = Vec::new();
    for arg in agent.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let long = arg.get_long().unwrap();
        if ["check-config", "help"].contains(&long) {
            continue;
        }
        let variable = format!("MTLSNOOP_{}", long.replace('-', "_").to_uppercase());
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(&*variable));
        if long != "config" {
            keys.push(long);
        }
    }
    let of_file: Vec<_> = EVERYTHING.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(keys, of_file, "EVERYTHING has every key, in the order of the help");
}

#[test]
fn readme_has_every_key() {
    let command = Cli::command();
    let agent = command.find_subcommand("agent").unwrap();
    let row = |arg: &Arg| {
        let (key, variable) = (arg.get_long().unwrap(), arg.get_env().unwrap().display());
        let default: Vec<_> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        let what = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        format!("| `{key}` | `{variable}` | {} | {what} |\n", default.join(", "))
    };
    let shown = agent.get_arguments().filter(|arg| arg.get_env().is_some() && !arg.is_hide_set());
    let rows: String = shown.map(row).collect();
    let table = format!("| key | variable | default | what |\n|---|---|---|---|\n{rows}");
    let with_help = |arg: &Arg| arg.get_help().is_some();
    assert!(agent.get_arguments().all(with_help));
    crate::readme::check_table("agent", &table);
}

#[test]
fn sizes_need_units() {
    for (text, expected) in [
        ("64MiB", Some(64 << 20)),
        ("64 MiB", Some(64 << 20)),
        ("1GiB", Some(1 << 30)),
        ("64KiB", Some(1 << 16)),
        ("63KiB", None),
        ("64MB", None),
        ("64", None),
        ("-1MiB", None),
        ("99999999999GiB", None),
        ("", None),
    ] {
        assert_eq!(size(text).ok(), expected, "{text}");
    }
}
