//! What was found out as text for people.

use std::fmt::{self, Write as _};

use crate::{
    doctor::advice::advice,
    source::{
        hierarchy::Layout,
        kernel::{
            capability::{self, Capability},
            examine::{Examination, Examined, Tried},
        },
    },
};

/// Several lines, the advice last.
pub(super) fn text(examination: &Examination) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, examination);
    text
}

fn write(text: &mut String, examination: &Examination) -> fmt::Result {
    let Examination { release, capabilities, hooks, captures, .. } = examination;
    writeln!(text, "kernel          {release}")?;
    writeln!(text, "BTF             {}", btf(examination))?;
    writeln!(text, "control groups  {}", control_groups(examination))?;
    let (held, missing): (Vec<_>, Vec<_>) = capabilities.iter().partition(|(_, is_held)| *is_held);
    writeln!(text, "capabilities    has {}", names(&held))?;
    for (capability, _) in missing {
        let cost = capability.lost_without().unwrap_or("tracing is not possible");
        writeln!(
            text,
            "                lacks {capability}, for {}; without it, {cost}",
            capability.purpose()
        )?;
    }
    for mode in captures {
        let is_possible = if mode.is_possible { "possible" } else { "not possible" };
        let label = if mode.capture == captures[0].capture { "capture" } else { "" };
        let needs = capability::listed(&mode.needs);
        writeln!(text, "{label:<16}{}: {is_possible} (needs {needs})", mode.capture.name())?;
    }
    writeln!(text, "\nhooks")?;
    for hook in hooks {
        write_hook(text, hook)?;
    }
    writeln!(text, "\n{}", advice(examination))
}

fn names(held: &[&(Capability, bool)]) -> String {
    let held: Vec<_> = held.iter().map(|(capability, _)| *capability).collect();
    if held.is_empty() { "none that matters".to_owned() } else { capability::listed(&held) }
}

fn btf(examination: &Examination) -> String {
    let btf = &examination.btf;
    match (&btf.problem, btf.bytes) {
        (None, bytes) => format!("{} ({} bytes)", btf.path.display(), bytes.unwrap_or_default()),
        (Some(problem), _) => format!("not usable: {problem}"),
    }
}

fn control_groups(examination: &Examination) -> String {
    let groups = &examination.cgroup;
    let layout = groups.layout.map_or("not known", Layout::name);
    let root = match (&groups.root, &groups.problem) {
        (Some(root), _) => format!("version 2 at {root}"),
        (None, problem) => problem.clone().unwrap_or_default(),
    };
    match groups.layout.and_then(Layout::lost) {
        Some(lost) => format!("{layout}, {root}; {lost}"),
        None => format!("{layout}, {root}"),
    }
}

fn write_hook(text: &mut String, hook: &Examined) -> fmt::Result {
    let used = hook.used();
    let sign = if used.is_some() { '+' } else { '-' };
    let need = if hook.is_required { ", required" } else { "" };
    writeln!(text, "{sign} {}{need}: {}", hook.name, hook.gives)?;
    for tried in &hook.variants {
        let is_used = used.is_some_and(|used| used.program == tried.program);
        writeln!(text, "    {}: {}", tried.program, state(tried, is_used))?;
    }
    match used {
        None => writeln!(text, "    so {}", hook.lost_without),
        Some(_) => hook.lost().iter().try_for_each(|lost| writeln!(text, "    so {lost}")),
    }
}

fn state(tried: &Tried, is_used: bool) -> String {
    match &tried.refused {
        None if is_used => "works, used".to_owned(),
        None => "works, in reserve".to_owned(),
        Some(reason) => format!("does not work: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::{
        doctor::json::json,
        source::{
            hierarchy::Layout,
            kernel::{
                Capture,
                capability::Capability,
                examine::{ControlGroups, Examination, Examined, Mode, Tried, TypeInformation},
            },
        },
    };

    fn tried(program: &'static str, lost: Option<&'static str>, refused: Option<&str>) -> Tried {
        Tried { program, lost, refused: refused.map(str::to_owned), was_forbidden: false }
    }

    /// A node with version 1 of control groups, whose kernel takes the second variant of one hook and none of another.
    fn older() -> Examination {
        let hook = |name, variants| Examined {
            name,
            gives: "what happens",
            lost_without: "it is not known",
            is_required: name == "first",
            variants,
        };
        Examination {
            release: "6.1.0".to_owned(),
            btf: TypeInformation { path: "/btf".into(), bytes: Some(5), problem: None },
            cgroup: ControlGroups {
                layout: Some(Layout::V1),
                root: Some("/run/cgroup2".to_owned()),
                problem: None,
            },
            capabilities: Capability::ALL
                .map(|capability| (capability, capability != Capability::SysPtrace))
                .into(),
            hooks: vec![
                hook(
                    "first",
                    vec![
                        tried("best", None, Some("no")),
                        tried("next", Some("the reason is not known"), None),
                    ],
                ),
                hook("second", vec![tried("only", None, Some("No such file"))]),
            ],
            captures: vec![Mode {
                capture: Capture::Always,
                is_possible: true,
                needs: vec![Capability::Bpf],
            }],
        }
    }

    #[test]
    fn what_works_and_what_is_lost_is_said() {
        insta::assert_snapshot!(text(&older()), @"
        kernel          6.1.0
        BTF             /btf (5 bytes)
        control groups  v1, version 2 at /run/cgroup2; containers are not told apart by control group, only by address and network namespace
        capabilities    has BPF, PERFMON, NET_ADMIN and DAC_READ_SEARCH
                        lacks SYS_PTRACE, for finding what listened before tracing began; without it, processes of servers that listened before tracing began are not named
        capture         always: possible (needs BPF)

        hooks
        + first, required: what happens
            best: does not work: no
            next: works, used
            so the reason is not known
        - second: what happens
            only: does not work: No such file
            so it is not known

        Tracing works here (`mtlsnoop trace`), but the reason is not known; it is not known; containers are not told apart by control group, only by address and network namespace; processes of servers that listened before tracing began are not named.
        ");
    }

    #[test]
    fn without_permission_it_says_which() {
        let mut examination = older();
        for (_, is_held) in &mut examination.capabilities {
            *is_held = false;
        }
        examination.captures[0].is_possible = false;
        let said = text(&examination);
        assert_eq!(
            said.lines().next_back(),
            Some(
                "Tracing is not possible: this process lacks the capability BPF; try `sudo mtlsnoop doctor`."
            )
        );
    }

    #[test]
    fn json_says_the_same() {
        let json: serde_json::Value = serde_json::from_str(&json(&older()).unwrap()).unwrap();
        assert_eq!((json["kind"].as_str(), json["can_trace"].as_bool()), (Some("doctor"), Some(true)));
        assert_eq!(json["hooks"][0]["used"], "next");
        assert_eq!(json["hooks"][1].get("used"), None);
        assert!(text(&older()).ends_with(&format!("{}\n", json["advice"].as_str().unwrap())));
    }
}
