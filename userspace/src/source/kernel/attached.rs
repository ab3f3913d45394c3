//! What is attached now, and how single programs are; must not know what they are for.

use std::{any::Any, fs::File};

use aya::{
    Ebpf,
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, FExit, KProbe, ProgramError,
        SockOps, TracePoint, cgroup_skb::CgroupSkbLink,
    },
};

use crate::source::kernel::hooks::{Part, Place};

/// Programs that are attached, in the order in which they were. Dropping it detaches them.
#[derive(Default)]
pub(super) struct Attached {
    parts: Vec<&'static Part>,
    /// File descriptors of different types, for each of which the kernel keeps a program attached.
    links: Vec<Box<dyn Any>>,
}

impl Attached {
    /// Attaches programs that are loaded: all, or none.
    pub(super) fn add(
        &mut self,
        programs: &mut Ebpf,
        root: Option<&File>,
        parts: &'static [Part],
    ) -> Result<(), ProgramError> {
        let before = self.links.len();
        let attached = parts.iter().try_for_each(|part| attach(programs, root, part, &mut self.links));
        match attached {
            Ok(()) => self.parts.extend(parts),
            Err(_) => self.links.truncate(before),
        }
        attached
    }

    /// Detaches them all; they stay loaded.
    pub(super) fn detach(&mut self) {
        self.links.clear();
    }

    /// Attaches again what was detached.
    pub(super) fn reattach(&mut self, programs: &mut Ebpf, root: Option<&File>) -> Result<(), ProgramError> {
        self.detach();
        self.parts.iter().try_for_each(|part| attach(programs, root, part, &mut self.links))
    }
}

fn attach(
    programs: &mut Ebpf,
    root: Option<&File>,
    part: &Part,
    links: &mut Vec<Box<dyn Any>>,
) -> Result<(), ProgramError> {
    let program = programs.program_mut(part.program).ok_or(ProgramError::NotLoaded)?;
    // Whoever loads for a control group knows that there is one.
    let root = || root.ok_or(ProgramError::NotLoaded);
    match part.place {
        Place::Tracepoint(_) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            let id = program.attach()?;
            links.push(Box::new(program.take_link(id)?));
        }
        Place::Exit(_) => {
            let program: &mut FExit = program.try_into()?;
            let id = program.attach()?;
            links.push(Box::new(program.take_link(id)?));
        }
        Place::Probe(functions) => {
            let program: &mut KProbe = program.try_into()?;
            for function in functions {
                let id = program.attach(function, 0)?;
                links.push(Box::new(program.take_link(id)?));
            }
        }
        Place::ResetReceived => {
            let program: &mut TracePoint = program.try_into()?;
            let id = program.attach("tcp", "tcp_receive_reset")?;
            links.push(Box::new(program.take_link(id)?));
        }
        Place::Calls => {
            let program: &mut SockOps = program.try_into()?;
            let id = program.attach(root()?, CgroupAttachMode::Single)?;
            links.push(Box::new(program.take_link(id)?));
        }
        Place::Egress => {
            links.push(Box::new(attach_cgroup(program.try_into()?, root()?, CgroupSkbAttachType::Egress)?));
        }
        Place::Ingress => {
            links.push(Box::new(attach_cgroup(program.try_into()?, root()?, CgroupSkbAttachType::Ingress)?));
        }
    }
    Ok(())
}

/// Attached by a link, which is always one of many (`AllowMultiple` is refused with EINVAL for links).
pub(super) fn attach_cgroup(
    program: &mut CgroupSkb,
    cgroup: &File,
    place: CgroupSkbAttachType,
) -> Result<CgroupSkbLink, ProgramError> {
    let link = program.attach(cgroup, place, CgroupAttachMode::Single)?;
    program.take_link(link)
}
