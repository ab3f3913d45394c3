//! Loading and attaching: globals and maps from what this machine is, then each hook in the first variant that works.

use std::{fs::File, io, os::linux::fs::MetadataExt as _, path::PathBuf};

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError},
};
use mtlsnoop_ebpf::{config::Tracer, global, map};
use nix::errno::Errno;

use crate::source::{
    cgroup,
    kernel::{
        Options,
        hooks::{Hook, Place, Plan, Variant},
        offsets::{self, OffsetError},
    },
};

/// The eBPF object, built by `cargo xtask build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MTLSNOOP_EBPF_OBJECT"));

/// Why tracing cannot start. Each message says what failed, the likely cause and what to try.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No permission.
    #[error(
        "the kernel does not let this process load eBPF programs ({0}). Likely cause: not root. Try `sudo mtlsnoop …`, or give \
         the process the capabilities BPF, PERFMON and NET_ADMIN"
    )]
    NotPermitted(Box<str>),
    /// The clocks cannot be read.
    #[error("cannot read the kernel's clocks: {0}")]
    Clock(Errno),
    /// Field offsets are not known.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// The BTF that aya reads is not usable.
    #[error("cannot use the kernel's type information at {path}: {reason}")]
    Btf {
        /// Where it was looked for.
        path: Box<str>,
        /// What the reader said.
        reason: Box<str>,
    },
    /// The object cannot be loaded.
    #[error(
        "cannot load the eBPF object: {0}. Likely cause: a kernel before 5.8 (no ring buffer), too little locked memory \
         (`ulimit -l`), or an object that does not fit this program: `cargo xtask build` makes both"
    )]
    Object(Box<aya::EbpfError>),
    /// A map is not what it should be.
    #[error(
        "the eBPF object does not fit this program ({0}). Likely cause: a stale build; run `cargo xtask build`"
    )]
    Map(#[from] MapError),
    /// No cgroup v2 hierarchy.
    #[error(
        "no cgroup v2 hierarchy to attach to: {0}. Try mounting one: `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    Cgroup(Box<str>),
    /// A hook that tracing needs cannot be attached.
    #[error("cannot attach the hook for {name}, and without it {lost_without}. The kernel said: {refused}")]
    Hook {
        /// Name of the hook.
        name: &'static str,
        /// What is not known without it.
        lost_without: &'static str,
        /// Why each variant was refused.
        refused: Box<str>,
    },
    /// The kernel side's logger cannot be started.
    #[error("cannot start the kernel side's log: {0}")]
    Logger(aya_log::Error),
}

/// What is in the kernel now.
pub(super) struct Loaded {
    pub(super) programs: Ebpf,
    pub(super) ring: RingBuf<MapData>,
    pub(super) counters: PerCpuArray<MapData, u64>,
    pub(super) coverage: Vec<Hook>,
    pub(super) cgroup_mount: PathBuf,
}

/// Loads the object and attaches what this kernel allows.
pub(super) fn load(options: &Options) -> Result<Loaded, StartError> {
    let offsets = offsets::look_up(&options.btf)?;
    let btf = Btf::parse_file(&options.btf, aya::Endianness::default()).map_err(|error| StartError::Btf {
        path: options.btf.display().to_string().into(),
        reason: error.to_string().into(),
    })?;
    let tracer = tracer().unwrap_or(Tracer::NONE);
    let log_level: u8 = if options.kernel_log { u8::MAX } else { 0 };
    let mut programs = EbpfLoader::new()
        .btf(Some(&btf))
        .verifier_log_level(VerifierLogLevel::default())
        .allow_unsupported_maps()
        .override_global(global::OFFSETS, &offsets, true)
        .override_global(global::TRACER, &tracer, true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .map_max_entries(map::RECORDS, options.ring_bytes)
        .load(OBJECT)
        .map_err(refused)?;
    let ring = RingBuf::try_from(take(&mut programs, map::RECORDS)?)?;
    let counters = PerCpuArray::try_from(take(&mut programs, map::COUNTERS)?)?;
    let cgroup_mount = cgroup::mount().map_err(|error| StartError::Cgroup(error.to_string().into()))?;
    let root = File::open(&cgroup_mount).map_err(|error| StartError::Cgroup(error.to_string().into()))?;
    let mut attacher = Attacher { programs: &mut programs, btf: &btf, root: &root };
    // All are loaded before the first is attached: loading takes long enough for a busy node to fill the ring meanwhile.
    let chosen: Vec<_> = options.capture.plans().iter().map(|plan| attacher.choose(plan)).collect();
    let coverage = chosen.into_iter().map(|choice| attacher.attach(choice)).collect::<Result<_, _>>()?;
    Ok(Loaded { programs, ring, counters, coverage, cgroup_mount })
}

fn take(programs: &mut Ebpf, name: &str) -> Result<aya::maps::Map, MapError> {
    programs.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

/// Tells a missing permission from other reasons.
fn refused(error: aya::EbpfError) -> StartError {
    let reason = chain(&error);
    if reason.contains("Operation not permitted") || reason.contains("Permission denied") {
        return StartError::NotPermitted(reason.into());
    }
    StartError::Object(Box::new(error))
}

/// An error with all it was caused by, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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

/// Everything it takes to attach a hook.
struct Attacher<'a> {
    programs: &'a mut Ebpf,
    btf: &'a Btf,
    root: &'a File,
}

/// What was found out about a hook on this kernel.
struct Choice {
    plan: &'static Plan,
    /// The first variant that the kernel took.
    variant: Option<&'static Variant>,
    /// Why it did not take the others.
    refused: Vec<String>,
}

impl Attacher<'_> {
    /// Loads the variants in their order, until the kernel takes one.
    fn choose(&mut self, plan: &'static Plan) -> Choice {
        let mut refused = Vec::new();
        for variant in plan.variants {
            match self.load(variant) {
                Ok(()) => return Choice { plan, variant: Some(variant), refused },
                Err(error) => refused.push(format!("{}: {}", variant.program, chain(&error))),
            }
        }
        Choice { plan, variant: None, refused }
    }

    /// Attaches what was chosen.
    fn attach(&mut self, choice: Choice) -> Result<Hook, StartError> {
        let Choice { plan, variant, mut refused } = choice;
        let Plan { name, variants: _, is_required, lost_without } = *plan;
        let mut program = None;
        if let Some(variant) = variant {
            match self.attach_variant(variant) {
                Ok(()) => program = Some(variant.program),
                Err(error) => refused.push(format!("{}: {}", variant.program, chain(&error))),
            }
        }
        if is_required && program.is_none() {
            return Err(StartError::Hook { name, lost_without, refused: refused.join("; ").into() });
        }
        Ok(Hook { name, program, refused, lost_without })
    }

    fn load(&mut self, variant: &Variant) -> Result<(), ProgramError> {
        let program = self.programs.program_mut(variant.program).ok_or(ProgramError::NotLoaded)?;
        match variant.place {
            Place::Tracepoint(name) => TryInto::<&mut BtfTracePoint>::try_into(program)?.load(name, self.btf),
            Place::Egress | Place::Ingress => TryInto::<&mut CgroupSkb>::try_into(program)?.load(),
        }
    }

    fn attach_variant(&mut self, variant: &Variant) -> Result<(), ProgramError> {
        let program = self.programs.program_mut(variant.program).ok_or(ProgramError::NotLoaded)?;
        match variant.place {
            Place::Tracepoint(_) => TryInto::<&mut BtfTracePoint>::try_into(program)?.attach().map(drop),
            Place::Egress => attach_cgroup(program.try_into()?, self.root, CgroupSkbAttachType::Egress),
            Place::Ingress => attach_cgroup(program.try_into()?, self.root, CgroupSkbAttachType::Ingress),
        }
    }
}

/// Attached by a link, which is always one of many (`AllowMultiple` is refused with EINVAL for links).
fn attach_cgroup(
    program: &mut CgroupSkb,
    root: &File,
    place: CgroupSkbAttachType,
) -> Result<(), ProgramError> {
    program.attach(root, place, CgroupAttachMode::Single).map(drop)
}
