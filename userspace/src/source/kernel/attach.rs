//! Loading and attaching of single hooks in the first variant that the kernel takes; must not know which hooks there are.

use std::fs::File;

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, CgroupSkb, FExit, KProbe, Program, ProgramError, SockOps, TracePoint},
};

use crate::source::kernel::{
    attached::Attached,
    capability::{Capability, Held},
    error::{NotPermitted, StartError, chain, is_forbidden, is_of_permission},
    hooks::{Hook, Part, Place, Plan, Variant},
    tracefs::{self, LayoutError},
};

/// Everything it takes to attach a hook.
pub(super) struct Attacher<'a> {
    pub(super) programs: &'a mut Ebpf,
    /// The kernel's types, or why they are not known.
    pub(super) btf: Result<&'a Btf, &'a str>,
    /// The root of the cgroup v2 hierarchy, or why there is none.
    pub(super) root: Result<&'a File, &'a str>,
    /// Programs that are not to be used.
    pub(super) without: &'a [String],
    /// What the mode needs of capabilities.
    pub(super) needs: &'a [Capability],
    /// What is attached so far; it is detached with this.
    pub(super) attached: Attached,
}

/// What was found out about a hook on this kernel.
pub(super) struct Choice {
    pub(super) plan: &'static Plan,
    /// The first variant that the kernel took, by its place in the plan.
    taken: Option<usize>,
    /// Why it did not take the others.
    refused: Vec<String>,
    /// It refused one for want of permission.
    was_denied: bool,
}

/// Why a program is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The user said so.
    #[error("switched off")]
    SwitchedOff,
    /// It needs the kernel's types.
    #[error("it needs the kernel's type information, which is not usable here")]
    NoTypes,
    /// It needs to know where the fields of a tracepoint are.
    #[error(transparent)]
    NoLayout(#[from] LayoutError),
    /// It needs a control group to be attached to.
    #[error("it needs a cgroup v2 hierarchy, and there is none here")]
    NoCgroup,
    /// The kernel does not take it.
    #[error("{}", chain(.0))]
    Kernel(#[from] ProgramError),
}

impl Refusal {
    /// It may be taken from somebody with more capabilities.
    pub(super) fn is_of_permission(&self) -> bool {
        matches!(self, Self::Kernel(error) if is_of_permission(error))
    }

    /// It is not even looked at.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Kernel(error) if is_forbidden(error))
    }
}

impl Attacher<'_> {
    /// Loads the variants in their order, until the kernel takes one.
    pub(super) fn choose(&mut self, plan: &'static Plan) -> Choice {
        let mut choice = Choice { plan, taken: None, refused: Vec::new(), was_denied: false };
        self.choose_from(&mut choice, 0);
        choice
    }

    fn choose_from(&mut self, choice: &mut Choice, first: usize) {
        choice.taken = None;
        for (index, variant) in choice.plan.variants.iter().enumerate().skip(first) {
            match self.load(variant) {
                Ok(()) => {
                    choice.taken = Some(index);
                    return;
                }
                Err(refusal) => choice.add(variant, &refusal),
            }
        }
    }

    /// Attaches what was chosen; if the kernel does not let it, the next variant that it does.
    pub(super) fn attach(&mut self, mut choice: Choice) -> Result<Hook, StartError> {
        while let Some(index) = choice.taken {
            // Lesser variants are for kernels that lack something. What this process lacks can be mended, so it is said.
            if choice.plan.is_required && choice.was_denied && self.lacks_capabilities() {
                break;
            }
            let variant = &choice.plan.variants[index];
            match self.attach_variant(variant) {
                Ok(()) => return Ok(choice.attached(variant)),
                Err(refusal) => {
                    choice.add(variant, &refusal);
                    self.choose_from(&mut choice, index + 1);
                }
            }
        }
        self.unattached(choice)
    }

    /// What is attached later, where it is needed. Only a want of permission is an error, because it can be mended: some
    /// programs need more to be attached than to be loaded, and it is better to say so now.
    pub(super) fn attach_later(&self, choice: Choice) -> Result<Hook, StartError> {
        let missing = Held::by_this_thread().missing(self.needs);
        let Choice { plan, taken, refused, was_denied: _ } = choice;
        if !missing.is_empty() {
            let reason = format!("attaching {} would be refused {}", plan.name, refused.join("; "));
            return Err(
                NotPermitted { needed: self.needs.into(), missing, reason: reason.trim().into() }.into()
            );
        }
        let variant = taken.map(|index| &plan.variants[index]);
        let Plan { name, lost_without, .. } = *plan;
        let (program, lost) = (variant.map(Variant::name), variant.and_then(|variant| variant.lost));
        Ok(Hook { name, program, lost, refused, lost_without })
    }

    fn lacks_capabilities(&self) -> bool {
        !Held::by_this_thread().missing(self.needs).is_empty()
    }

    fn unattached(&self, choice: Choice) -> Result<Hook, StartError> {
        let Choice { plan, taken: _, refused, was_denied } = choice;
        let Plan { name, is_required, lost_without, .. } = *plan;
        if is_required {
            let absent = [self.btf.err(), self.root.err()].into_iter().flatten().map(str::to_owned);
            let refused = refused.into_iter().chain(absent).collect::<Vec<_>>().join("; ").into();
            let missing = Held::by_this_thread().missing(self.needs);
            if was_denied && !missing.is_empty() {
                return Err(NotPermitted { needed: self.needs.into(), missing, reason: refused }.into());
            }
            return Err(StartError::Hook { name, lost_without, refused });
        }
        Ok(Hook { name, program: None, lost: None, refused, lost_without })
    }

    /// Loads all programs of a variant.
    pub(super) fn load(&mut self, variant: &Variant) -> Result<(), Refusal> {
        if self.without.iter().any(|name| variant.parts.iter().any(|part| part.program == name)) {
            return Err(Refusal::SwitchedOff);
        }
        variant.parts.iter().try_for_each(|part| self.load_part(part))
    }

    fn load_part(&mut self, part: &Part) -> Result<(), Refusal> {
        let program = self.programs.program_mut(part.program).ok_or(ProgramError::NotLoaded)?;
        match part.place {
            Place::Tracepoint(name) => {
                let btf = self.btf.map_err(|_| Refusal::NoTypes)?;
                TryInto::<&mut BtfTracePoint>::try_into(program)?.load(name, btf)?;
            }
            Place::Exit(function) => {
                let btf = self.btf.map_err(|_| Refusal::NoTypes)?;
                TryInto::<&mut FExit>::try_into(program)?.load(function, btf)?;
            }
            // Where fields are is known from the types.
            Place::Probe(_) if self.btf.is_err() => return Err(Refusal::NoTypes),
            Place::Probe(_) => TryInto::<&mut KProbe>::try_into(program)?.load()?,
            Place::ResetReceived => {
                // The fields are in a global that was set before load, if they could be read.
                tracefs::reset_received()?;
                TryInto::<&mut TracePoint>::try_into(program)?.load()?;
            }
            Place::Calls => TryInto::<&mut SockOps>::try_into(program)?.load()?,
            Place::Egress | Place::Ingress => TryInto::<&mut CgroupSkb>::try_into(program)?.load()?,
        }
        Ok(())
    }

    /// Attaches all programs of a variant that is loaded, or none.
    pub(super) fn attach_variant(&mut self, variant: &Variant) -> Result<(), Refusal> {
        if self.root.is_err() && variant.parts.iter().any(|part| part.place.is_of_cgroup()) {
            return Err(Refusal::NoCgroup);
        }
        let attached = self.attached.add(self.programs, self.root.ok(), variant.parts);
        if attached.is_err() {
            for part in variant.parts {
                self.unload_part(part);
            }
        }
        Ok(attached?)
    }

    /// Only what was loaded can be unloaded; anything else is as it should be.
    fn unload_part(&mut self, part: &Part) {
        let _ = match self.programs.program_mut(part.program) {
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::CgroupSkb(program)) => program.unload(),
            Some(Program::SockOps(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

impl Choice {
    /// The kernel took the first variant, which is the one that the microscope knows.
    pub(super) fn is_best(&self) -> bool {
        self.taken == Some(0)
    }

    fn add(&mut self, variant: &Variant, refusal: &Refusal) {
        self.was_denied |= refusal.is_of_permission();
        self.refused.push(format!("{}: {refusal}", variant.name()));
    }

    fn attached(self, variant: &Variant) -> Hook {
        let Plan { name, lost_without, .. } = *self.plan;
        let program = Some(variant.name());
        Hook { name, program, lost: variant.lost, refused: self.refused, lost_without }
    }
}
