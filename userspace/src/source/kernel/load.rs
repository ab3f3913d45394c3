//! Loading: globals and maps from what this machine is, then each hook in the first variant that works.

use std::{io, os::linux::fs::MetadataExt as _, path::Path};

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf},
};
use mtlsnoop_ebpf::{
    config::{Offsets, ResetFields, Tracer},
    global, map,
};

use crate::source::{
    hierarchy::Root,
    kernel::{
        Options,
        attach::{Attacher, Choice},
        attached::Attached,
        capability::{Capability, Held},
        error::{NotPermitted, StartError, chain, is_of_permission},
        fill::Filled,
        hooks::{Capture, Hook},
        microscope::Microscope,
        offsets, tracefs,
    },
};

/// The eBPF object, built by `cargo xtask build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MTLSNOOP_EBPF_OBJECT"));

/// What is in the kernel now.
pub(super) struct Loaded {
    pub(super) programs: Ebpf,
    pub(super) attached: Attached,
    pub(super) ring: RingBuf<MapData>,
    pub(super) counters: PerCpuArray<MapData, u64>,
    pub(super) coverage: Vec<Hook>,
    /// None where the hooks do without.
    pub(super) root: Option<Root>,
    /// Only where it can be armed.
    pub(super) microscope: Option<Microscope>,
    /// To be counted.
    pub(super) filled: Filled,
}

/// What this machine has for programs, each with the reason when it has not.
pub(super) struct Machine {
    pub(super) types: Result<Types, String>,
    pub(super) root: Result<Root, String>,
}

/// The kernel's types.
pub(super) struct Types {
    btf: Btf,
    offsets: Offsets,
}

impl Machine {
    /// Looks for all.
    pub(super) fn look(btf: &Path) -> Self {
        Self {
            types: Types::read(btf).map_err(|error| error.to_string()),
            root: Root::open().map_err(|error| error.to_string()),
        }
    }

    /// What attaches programs here.
    pub(super) fn attacher<'a>(
        &'a self,
        programs: &'a mut Ebpf,
        options: &'a Options,
        needs: &'a [Capability],
    ) -> Attacher<'a> {
        Attacher {
            programs,
            btf: self.types.as_ref().map(|types| &types.btf).map_err(String::as_str),
            root: self.root.as_ref().map(Root::directory).map_err(String::as_str),
            without: &options.without,
            needs,
            attached: Attached::default(),
        }
    }

    /// Makes the maps, and readies the programs for being loaded.
    pub(super) fn object(&self, options: &Options) -> Result<Ebpf, aya::EbpfError> {
        let tracer = tracer().unwrap_or(Tracer::NONE);
        let armed_only = u32::from(options.capture != Capture::Always);
        let log_level: u8 = if options.kernel_log { u8::MAX } else { 0 };
        let reset_fields = tracefs::reset_received().unwrap_or(ResetFields::NONE);
        let offsets = self.types.as_ref().map_or(Offsets::NONE, |types| types.offsets);
        EbpfLoader::new()
            .btf(self.types.as_ref().ok().map(|types| &types.btf))
            .verifier_log_level(VerifierLogLevel::default())
            .allow_unsupported_maps()
            .override_global(global::OFFSETS, &offsets, true)
            .override_global(global::RESET_FIELDS, &reset_fields, true)
            .override_global(global::TRACER, &tracer, true)
            .override_global(global::ARMED_ONLY, &armed_only, true)
            .override_global(aya_log::LEVEL, &log_level, false)
            .map_max_entries(map::RECORDS, options.ring_bytes)
            .load(OBJECT)
    }
}

impl Types {
    fn read(path: &Path) -> Result<Self, offsets::OffsetError> {
        let offsets = offsets::look_up(path)?;
        let btf = Btf::parse_file(path, aya::Endianness::default()).map_err(|error| {
            offsets::OffsetError::Unusable {
                path: path.display().to_string().into(),
                reason: error.to_string().into(),
            }
        })?;
        Ok(Self { btf, offsets })
    }
}

/// Loads the object and attaches what this kernel allows.
pub(super) fn load(options: &Options) -> Result<Loaded, StartError> {
    let machine = Machine::look(&options.btf);
    let needs = options.capture.needs();
    let mut programs = machine.object(options).map_err(|error| refused(error, &needs))?;
    let ring = RingBuf::try_from(take(&mut programs, map::RECORDS)?)?;
    let counters = PerCpuArray::try_from(take(&mut programs, map::COUNTERS)?)?;
    let mut attacher = machine.attacher(&mut programs, options, &needs);
    // All are loaded before the first is attached: loading takes long enough for a busy node to fill the ring meanwhile.
    let chosen: Vec<_> = options.capture.plans().iter().map(|plan| attacher.choose(plan)).collect();
    let armed_later: Vec<_> =
        options.capture.armed_plans().iter().map(|plan| attacher.choose(plan)).collect();
    let can_arm = !armed_later.is_empty() && armed_later.iter().all(Choice::is_best);
    let waiting = armed_later.into_iter().map(|choice| attacher.attach_later(choice));
    let waiting = waiting.collect::<Result<Vec<_>, _>>()?;
    let in_use = chosen.into_iter().map(|choice| attacher.attach(choice));
    let coverage = in_use.chain(waiting.into_iter().map(Ok)).collect::<Result<_, _>>()?;
    let held = attacher.attached;
    let root = machine.root.ok();
    let ids = HashMap::try_from(take(&mut programs, map::ARMED)?)?;
    let filled = Filled::take(&mut programs)?;
    let mount = root.as_ref().filter(|_| can_arm).map(|root| root.path().to_owned());
    let microscope = mount.map(|mount| Microscope::new(ids, mount));
    Ok(Loaded { programs, attached: held, ring, counters, coverage, root, microscope, filled })
}

pub(super) fn take(programs: &mut Ebpf, name: &str) -> Result<aya::maps::Map, MapError> {
    programs.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

/// Tells a missing permission from other reasons.
fn refused(error: aya::EbpfError, needs: &[Capability]) -> StartError {
    if is_of_permission(&error) {
        let missing = Held::by_this_thread().missing(needs);
        return NotPermitted { needed: needs.into(), missing, reason: chain(&error).into() }.into();
    }
    StartError::Object(Box::new(error))
}

/// Who this process is, in its own pid namespace.
fn tracer() -> io::Result<Tracer> {
    let namespace = std::fs::metadata("/proc/self/ns/pid")?;
    Ok(Tracer {
        pid_namespace_device: namespace.st_dev(),
        pid_namespace_inode: namespace.st_ino(),
        pid: std::process::id(),
        reserved: 0,
    })
}
