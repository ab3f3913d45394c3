//! The dependency rules of the design, as a table. How paths are found in a file is not known here.
use super::{Source, Violation, used::used};

/// Where user space's modules lie.
const FOLDER: &str = "userspace/src";

/// One rule: what some modules of user space must never name.
struct Rule {
    scope: Scope,
    never: &'static [&'static [&'static str]],
    because: &'static str,
}

/// Modules with everything under them. A name that ends in `*` stands for all that begin so.
enum Scope {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

const RUNTIME: &[&str] = &["tokio", "futures", "std::thread"];
const FORMATS: &[&str] = &["serde", "serde_json", "schemars", "postcard"];
const CLOCKS: &[&str] =
    &["std::time::Instant", "std::time::SystemTime", "jiff::Timestamp::now", "jiff::Zoned::now"];
const OUTSIDE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "nix",
    "procfs",
];
const LOGGING: &[&str] = &["log", "tracing", "print", "println", "eprint", "eprintln", "dbg"];
const EDGES: &[&str] = &["crate::source", "crate::sink", "crate::cli"];

const RULES: [Rule; 9] = [
    Rule {
        scope: Scope::Only(&[
            "flow",
            "attempt",
            "listener",
            "identity",
            "envoy",
            "policy",
            "suspicion",
            "verdict",
            "engine",
        ]),
        never: &[RUNTIME, FORMATS, CLOCKS, OUTSIDE, LOGGING, EDGES],
        because: "the core is pure: no I/O, no clock, no formats; time comes inside events",
    },
    Rule {
        scope: Scope::Only(&["source"]),
        never: &[&["crate::verdict", "crate::sink"]],
        because: "sources know events, and never verdicts or sinks",
    },
    Rule {
        scope: Scope::Only(&["sink"]),
        never: &[&["crate::source"]],
        because: "sinks know the engine's updates, and never sources",
    },
    Rule {
        scope: Scope::AllBut(&["source::kernel"]),
        never: &[&["aya", "aya_log", "aya_obj"]],
        because: "aya stays under the kernel source",
    },
    Rule {
        scope: Scope::AllBut(&["source::kube*", "sink::kube_events"]),
        never: &[&["kube", "k8s_openapi"]],
        because: "kube stays under the kube source and the sink that posts Events",
    },
    Rule { scope: Scope::AllBut(&["agent"]), never: &[&["axum"]], because: "the port stays under the agent" },
    Rule {
        scope: Scope::AllBut(&["config"]),
        never: &[&["serde_saphyr"]],
        because: "YAML stays under the configuration",
    },
    Rule {
        scope: Scope::AllBut(&["sink::metrics"]),
        never: &[&["prometheus_client"]],
        because: "prometheus-client stays under the metrics",
    },
    Rule {
        scope: Scope::AllBut(&["cli", "main"]),
        never: &[&["clap", "clap_complete"]],
        because: "clap stays under the command line",
    },
];

pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let modules: Vec<(&Source, Vec<&str>)> =
        sources.iter().filter_map(|source| Some((source, module(source)?))).collect();
    let mut violations = absent(&modules);
    for (source, module) in &modules {
        violations.extend(check_file(source, module));
    }
    violations
}

fn check_file(source: &Source, module: &[&str]) -> Vec<Violation> {
    // The crate's roots are not under a module; `super` in them means nothing anyway.
    let at = if matches!(module, ["lib" | "main"]) { &[] } else { module };
    let used = match used(&source.text, at) {
        Ok(used) => used,
        Err(error) => {
            return vec![source.violation(error.span().start().line, format!("is not Rust: {error}"))];
        }
    };
    let mut violations = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.scope.holds(module)) {
        for used in &used {
            if let Some(name) = rule.never.iter().copied().flatten().find(|name| begins(&used.path, name)) {
                let violation = source.violation(used.line, format!("uses `{name}`: {}", rule.because));
                if !violations.contains(&violation) {
                    violations.push(violation);
                }
            }
        }
    }
    violations
}

/// A rule over a module that is not there forbids nothing; the module was renamed, and the rule must follow.
fn absent(modules: &[(&Source, Vec<&str>)]) -> Vec<Violation> {
    let named = RULES.iter().filter_map(|rule| match rule.scope {
        Scope::Only(names) => Some(names),
        Scope::AllBut(_) => None,
    });
    named
        .flatten()
        .filter(|name| !modules.iter().any(|(_, module)| is_under(module, name)))
        .map(|name| Violation {
            path: FOLDER.into(),
            line: 1,
            message: format!(
                "there is no module `{name}`, but a dependency rule names it (check/dependency.rs)"
            ),
        })
        .collect()
}

impl Scope {
    fn holds(&self, module: &[&str]) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|name| is_under(module, name)),
            Self::AllBut(names) => !names.iter().any(|name| is_under(module, name)),
        }
    }
}

/// The module of a file of user space: `userspace/src/source/kernel/mod.rs` is `source::kernel`.
fn module(source: &Source) -> Option<Vec<&str>> {
    let path = source.path.strip_prefix(FOLDER).ok()?.to_str()?.strip_suffix(".rs")?;
    Some(path.strip_suffix("/mod").unwrap_or(path).split('/').collect())
}

fn is_under(module: &[&str], name: &str) -> bool {
    let mut parts = module.iter();
    name.split("::").all(|wanted| {
        parts.next().is_some_and(|part| match wanted.strip_suffix('*') {
            Some(beginning) => part.starts_with(beginning),
            None => *part == wanted,
        })
    })
}

fn begins(path: &[String], name: &str) -> bool {
    let mut parts = path.iter();
    name.split("::").all(|wanted| parts.next().is_some_and(|part| part == wanted))
}

#[cfg(test)]
mod tests {
    use super::{super::source::example, RULES, Scope, check, is_under};
    use crate::check::Source;

    /// Files that make every module exist that a rule names.
    fn modules() -> Vec<Source> {
        let named = RULES.iter().filter_map(|rule| match rule.scope {
            Scope::Only(names) => Some(names),
            Scope::AllBut(_) => None,
        });
        let file = |name: &&str| example(&format!("userspace/src/{}/mod.rs", name.replace("::", "/")), "");
        named.flatten().map(file).collect()
    }

    fn messages(path: &str, text: &str) -> Vec<String> {
        let mut sources = modules();
        sources.push(example(path, text));
        check(&sources).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn every_forbidden_name_is_found_in_every_module_that_must_not_have_it() {
        for rule in &RULES {
            let modules: &[&str] = match rule.scope {
                Scope::Only(names) => names,
                Scope::AllBut(_) => &["sink::terminal", "lib"],
            };
            for module in modules {
                for name in rule.never.iter().copied().flatten() {
                    let path = format!("userspace/src/{}/deep/file.rs", module.replace("::", "/"));
                    let found = messages(&path, &format!("use {name};"));
                    assert!(
                        found.iter().any(|message| message.contains(rule.because)),
                        "{name} in {path}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_the_rules_allow_is_not_reported() {
        for (path, text) in [
            ("userspace/src/flow/a.rs", "use std::{net::IpAddr, time::Duration}; use crate::event::Event;"),
            ("userspace/src/flow/a.rs", "#[cfg(test)] mod tests { use std::fs; use crate::sink::A; }"),
            ("userspace/src/source/kernel/load.rs", "use aya::Ebpf; use crate::event::Event;"),
            ("userspace/src/source/kube/watch.rs", "use kube::Api;"),
            ("userspace/src/sink/kube_events/poster/mod.rs", "use kube::{Api, Client};"),
            ("userspace/src/sink/json/mod.rs", "use serde::Serialize; use crate::verdict::Verdict;"),
            ("userspace/src/cli/trace.rs", "use clap::Args; use tokio::runtime; use crate::{sink, source};"),
            ("userspace/src/main.rs", "use clap::Parser; use mtlsnoop::source;"),
            ("xtask/src/flow.rs", "use std::fs; use aya::Ebpf;"),
            ("ebpf/src/lib.rs", "use aya::Pod;"),
        ] {
            assert_eq!(messages(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn hidden_ways_to_a_forbidden_name_are_found() {
        for (path, text) in [
            ("userspace/src/sink/a.rs", "use super::super::source::B;"),
            ("userspace/src/sink/mod.rs", "fn f() { super::source::start(); }"),
            ("userspace/src/source/a.rs", "use crate::{event, verdict::{self, Verdict}};"),
            ("userspace/src/flow/mod.rs", "use std::time; fn now() -> u64 { time::SystemTime::now().a() }"),
            ("userspace/src/engine.rs", "fn f() { println!(\"a\"); }"),
            ("userspace/src/verdict/a.rs", "#[derive(serde::Serialize)] struct A;"),
            ("userspace/src/lib.rs", "pub use aya::Ebpf;"),
            ("userspace/src/sink/mod.rs", "use kube::Client;"),
            ("userspace/src/sink/kube_events/mod.rs", "use crate::source::kube::Kube;"),
        ] {
            assert!(!messages(path, text).is_empty(), "{path}: {text}");
        }
    }

    #[test]
    fn a_rule_over_a_module_that_is_gone_is_reported() {
        let mut sources = modules();
        sources.remove(0);
        let found = check(&sources);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("no module `flow`"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_not_rust_is_reported() {
        let found = messages("userspace/src/flow/a.rs", "fn f( {");
        assert!(found.iter().any(|message| message.starts_with("is not Rust")), "{found:?}");
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_name() {
        assert!(is_under(&["source", "kube_watch", "a"], "source::kube*"));
        assert!(!is_under(&["source", "kernel"], "source::kube*"));
        assert!(!is_under(&["source"], "source::kube*"));
    }
}
