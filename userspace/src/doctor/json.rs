//! What was found out as one JSON object, and its schema; the names here are a contract.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::{
    doctor::advice::advice,
    sink::json,
    source::{
        hierarchy::Layout,
        kernel::{
            capability::Capability,
            examine::{Examination, Examined, Mode, Tried},
        },
    },
};

/// Version of this contract.
const VERSION: u32 = 1;

/// What a node can do, found out by trying. Keys that are not known are absent; keys that this schema does not have may come.
#[derive(Debug, Serialize, JsonSchema)]
struct Report {
    /// Always `doctor`.
    kind: Kind,
    /// Version of this contract.
    schema: u32,
    /// What `mtlsnoop trace` does unless it is told otherwise is possible.
    can_trace: bool,
    /// One plain sentence on what to do.
    advice: String,
    /// Release of the kernel, as `uname -r` gives it.
    kernel: String,
    btf: Btf,
    cgroup: Cgroup,
    /// Every capability that something needs.
    capabilities: Vec<Needed>,
    /// Modes of capture, the cheapest first.
    captures: Vec<Capture>,
    /// Every hook.
    hooks: Vec<Hook>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Doctor,
}

/// The kernel's type information.
#[derive(Debug, Serialize, JsonSchema)]
struct Btf {
    path: String,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The control groups.
#[derive(Debug, Serialize, JsonSchema)]
struct Cgroup {
    /// `v2`, `hybrid`, `v1` or `unmounted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'static str>,
    /// Where the root of version 2 is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// What is not known with this layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A capability, without `CAP_`.
#[derive(Debug, Serialize, JsonSchema)]
struct Needed {
    name: &'static str,
    /// This process has it.
    held: bool,
    purpose: &'static str,
    /// Tracing is not possible without it.
    required: bool,
    /// What is not known without one that is not required.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_without: Option<&'static str>,
}

/// A mode of capture.
#[derive(Debug, Serialize, JsonSchema)]
struct Capture {
    name: &'static str,
    possible: bool,
    /// Capabilities that it needs, without `CAP_`.
    needs: Vec<&'static str>,
}

/// A hook.
#[derive(Debug, Serialize, JsonSchema)]
struct Hook {
    name: &'static str,
    gives: &'static str,
    lost_without: &'static str,
    required: bool,
    /// The variant that a trace uses, by its first program.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<&'static str>,
    /// All, the best first.
    variants: Vec<Variant>,
}

/// A way to observe something.
#[derive(Debug, Serialize, JsonSchema)]
struct Variant {
    /// Its first program.
    program: &'static str,
    works: bool,
    /// What it tells less than the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'static str>,
    /// Why it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// One line.
pub(super) fn json(examination: &Examination) -> serde_json::Result<String> {
    serde_json::to_string(&Report::from(examination))
}

/// JSON Schema (draft 2020-12) of what `doctor -o json` writes.
pub fn schema() -> Schema {
    json::schema_of::<Report>("mtlsnoop doctor, version 1")
}

impl From<&Examination> for Report {
    fn from(examination: &Examination) -> Self {
        let Examination { release, btf, cgroup, capabilities, hooks, captures } = examination;
        Self {
            kind: Kind::Doctor,
            schema: VERSION,
            can_trace: examination.can_trace(),
            advice: advice(examination),
            kernel: release.clone(),
            btf: Btf {
                path: btf.path.display().to_string(),
                usable: btf.problem.is_none(),
                bytes: btf.bytes,
                problem: btf.problem.clone(),
            },
            cgroup: Cgroup {
                layout: cgroup.layout.map(Layout::name),
                root: cgroup.root.clone(),
                lost: cgroup.layout.and_then(Layout::lost),
                problem: cgroup.problem.clone(),
            },
            capabilities: capabilities.iter().copied().map(Needed::from).collect(),
            captures: captures.iter().map(Capture::from).collect(),
            hooks: hooks.iter().map(Hook::from).collect(),
        }
    }
}

impl From<(Capability, bool)> for Needed {
    fn from((capability, held): (Capability, bool)) -> Self {
        Self {
            name: capability.name(),
            held,
            purpose: capability.purpose(),
            required: capability.lost_without().is_none(),
            lost_without: capability.lost_without(),
        }
    }
}

impl From<&Mode> for Capture {
    fn from(mode: &Mode) -> Self {
        let needs = mode.needs.iter().map(|capability| capability.name()).collect();
        Self { name: mode.capture.name(), possible: mode.is_possible, needs }
    }
}

impl From<&Examined> for Hook {
    fn from(hook: &Examined) -> Self {
        let Examined { name, gives, lost_without, is_required, ref variants } = *hook;
        Self {
            name,
            gives,
            lost_without,
            required: is_required,
            used: hook.used().map(|tried| tried.program),
            variants: variants.iter().map(Variant::from).collect(),
        }
    }
}

impl From<&Tried> for Variant {
    fn from(tried: &Tried) -> Self {
        let Tried { program, lost, ref refused, was_forbidden: _ } = *tried;
        Self { program, works: refused.is_none(), lost, refused: refused.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::schema;
    use crate::sink::json::schema::tests::check_published;

    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        check_published("mtlsnoop-doctor-1.schema.json", &schema());
    }
}
