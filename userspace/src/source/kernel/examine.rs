//! What this node can do, found out by trying: every variant of every hook is loaded and attached for a moment.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::{
    hierarchy::{self, Layout},
    kernel::{
        Options,
        attach::Attacher,
        capability::{Capability, Held},
        error::{chain, is_forbidden},
        hooks::{self, Capture, Plan},
        load::Machine,
    },
};

/// What was found out.
#[derive(Clone, Debug)]
pub struct Examination {
    /// As `uname -r` gives it.
    pub release: String,
    /// The kernel's type information.
    pub btf: TypeInformation,
    /// The control groups.
    pub cgroup: ControlGroups,
    /// Each capability that something needs.
    pub capabilities: Vec<(Capability, bool)>,
    /// Each hook.
    pub hooks: Vec<Examined>,
    /// Each mode of capture, the cheapest first.
    pub captures: Vec<Mode>,
}

/// The kernel's type information.
#[derive(Clone, Debug)]
pub struct TypeInformation {
    /// Where it was looked for.
    pub path: PathBuf,
    /// Its size.
    pub bytes: Option<u64>,
    /// Why it is of no use.
    pub problem: Option<String>,
}

/// The control groups.
#[derive(Clone, Debug)]
pub struct ControlGroups {
    /// How they are mounted; none where nobody tells.
    pub layout: Option<Layout>,
    /// The root of version 2, in words.
    pub root: Option<String>,
    /// Why there is none.
    pub problem: Option<String>,
}

/// A hook, tried in all its variants.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Name for people.
    pub name: &'static str,
    /// What it tells.
    pub gives: &'static str,
    /// What is not known without it.
    pub lost_without: &'static str,
    /// Some mode makes no sense without it.
    pub is_required: bool,
    /// Its variants, the best first.
    pub variants: Vec<Tried>,
}

/// A variant of a hook, tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its first program.
    pub program: &'static str,
    /// What it tells less than the variant before it.
    pub lost: Option<&'static str>,
    /// Why it cannot be used; none if it can.
    pub refused: Option<String>,
    /// The kernel forbids it without a look at it.
    pub was_forbidden: bool,
}

/// A mode of capture.
#[derive(Clone, Debug)]
pub struct Mode {
    /// Which one.
    pub capture: Capture,
    /// Everything that it requires can be attached.
    pub is_possible: bool,
    /// What it needs of capabilities.
    pub needs: Vec<Capability>,
}

impl Examined {
    /// The variant that a trace uses.
    pub fn used(&self) -> Option<&Tried> {
        self.variants.iter().find(|tried| tried.refused.is_none())
    }

    /// What is not known because the variant that is used is not the best.
    pub fn lost(&self) -> Vec<&'static str> {
        let used = self.variants.iter().position(|tried| tried.refused.is_none());
        let upto = used.map_or(0, |used| used + 1);
        self.variants[..upto].iter().filter_map(|tried| tried.lost).collect()
    }
}

impl Examination {
    /// What `trace` does unless it is told otherwise is possible.
    pub fn can_trace(&self) -> bool {
        self.captures.iter().any(|mode| mode.capture == Capture::default() && mode.is_possible)
    }
}

/// Tries everything.
pub fn examine(options: &Options) -> Examination {
    let machine = Machine::look(&options.btf);
    let held = Held::by_this_thread();
    let hooks = try_hooks(&machine, options);
    let captures = Capture::ALL.into_iter().map(|capture| mode(capture, &hooks, &held)).collect();
    Examination {
        release: nix::sys::utsname::uname()
            .map_or_else(|_| String::new(), |name| name.release().to_string_lossy().into_owned()),
        btf: TypeInformation {
            path: options.btf.clone(),
            bytes: size(&options.btf),
            problem: machine.types.as_ref().err().cloned(),
        },
        cgroup: ControlGroups {
            layout: hierarchy::layout().ok(),
            root: machine.root.as_ref().ok().map(ToString::to_string),
            problem: machine.root.as_ref().err().cloned(),
        },
        capabilities: Capability::ALL.map(|capability| (capability, held.allows(capability))).into(),
        hooks,
        captures,
    }
}

fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

fn try_hooks(machine: &Machine, options: &Options) -> Vec<Examined> {
    let plans = hooks::all();
    match machine.object(options) {
        Ok(mut programs) => {
            let mut attacher = machine.attacher(&mut programs, options, &[]);
            plans
                .into_iter()
                .map(|plan| examined(plan, |index| attempt(&mut attacher, plan, index)))
                .collect()
        }
        Err(error) => {
            let was_forbidden = is_forbidden(&error);
            let reason = chain(&error);
            plans.into_iter().map(|plan| examined(plan, |_| Err((reason.clone(), was_forbidden)))).collect()
        }
    }
}

fn attempt(attacher: &mut Attacher<'_>, plan: &Plan, index: usize) -> Result<(), (String, bool)> {
    let variant = &plan.variants[index];
    attacher
        .load(variant)
        .and_then(|()| attacher.attach_variant(variant))
        .map_err(|refusal| (refusal.to_string(), refusal.is_forbidden()))
}

/// `attempt` tries a variant by its place in the plan, and gives the reason when it cannot be used, and whether that is of
/// permission.
fn examined(plan: &Plan, mut attempt: impl FnMut(usize) -> Result<(), (String, bool)>) -> Examined {
    let Plan { name, gives, variants, is_required, lost_without } = *plan;
    let tried = variants.iter().enumerate().map(|(index, variant)| {
        let (refused, was_forbidden) = match attempt(index) {
            Ok(()) => (None, false),
            Err((reason, was_forbidden)) => (Some(reason), was_forbidden),
        };
        Tried { program: variant.name(), lost: variant.lost, refused, was_forbidden }
    });
    Examined { name, gives, lost_without, is_required, variants: tried.collect() }
}

/// It is possible with all its capabilities only: without one, a trace says so rather than to tell less.
fn mode(capture: Capture, hooks: &[Examined], held: &Held) -> Mode {
    let is_used = |plan: &Plan| hooks.iter().any(|hook| hook.name == plan.name && hook.used().is_some());
    let needs = capture.needs();
    let is_possible = held.missing(&needs).is_empty()
        && capture.plans().iter().chain(capture.armed_plans()).all(|plan| !plan.is_required || is_used(plan));
    Mode { capture, is_possible, needs }
}
