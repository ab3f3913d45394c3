//! Why tracing cannot start. Each message says what failed, the likely cause and what to try.

use std::{error::Error, fmt};

use aya::maps::MapError;
use nix::errno::Errno;

use crate::source::kernel::capability::{self, Capability};

/// Why tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No permission.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The clocks cannot be read.
    #[error("cannot read the kernel's clocks: {0}")]
    Clock(Errno),
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
    /// A hook that tracing needs cannot be attached.
    #[error(
        "cannot attach the hook for {name}, and without it {lost_without}. Each way to do it was tried: {refused}"
    )]
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

/// The kernel refused for want of permission.
#[derive(Debug)]
pub struct NotPermitted {
    /// What the mode needs.
    pub needed: Vec<Capability>,
    /// What of it this process does not have.
    pub missing: Vec<Capability>,
    /// What the kernel said.
    pub reason: Box<str>,
}

impl fmt::Display for NotPermitted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, missing, reason } = self;
        if missing.is_empty() {
            return write!(
                formatter,
                "the kernel does not let this process load eBPF programs ({reason}), although it has the capabilities that are \
                 needed. Likely cause: a user namespace (a rootless container), a seccomp profile, or the kernel's lockdown mode. \
                 Try on the node itself, outside of a container"
            );
        }
        write!(
            formatter,
            "the kernel does not let this process load eBPF programs: it lacks {}. Likely cause: not root. Try \
             `sudo mtlsnoop …`; or give the program exactly what is needed, with `setcap {}+ep FILE` or in the \
             container's securityContext. The kernel said: {reason}",
            capability::named(missing),
            capability::for_setcap(needed),
        )
    }
}

impl Error for NotPermitted {}

/// An error with all it was caused by, on one line. Of the verifier's log only its last word is kept.
pub(super) fn chain(error: &dyn Error) -> String {
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
    without_log(&text)
}

/// How aya introduces the log of the verifier.
const LOG: &str = "Verifier output:";
/// How its last lines begin, which tell how much it took (`print_verification_stats`, kernel/bpf/verifier.c).
const STATISTICS: [&str; 3] = ["verification time ", "stack depth ", "processed "];

fn without_log(text: &str) -> String {
    let one_line = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let Some((before, log)) = text.split_once(LOG) else { return one_line(text) };
    let before = one_line(before);
    let before = before.trim_end_matches(['.', ' ']);
    let is_said =
        |line: &&str| !line.is_empty() && !STATISTICS.iter().any(|beginning| line.starts_with(beginning));
    match log.lines().map(str::trim).rfind(is_said) {
        Some(last) => format!("{before} ({last})"),
        None => before.to_owned(),
    }
}

/// The kernel said `EPERM` or `EACCES`.
pub(super) fn is_of_permission(error: &(dyn Error + 'static)) -> bool {
    matches!(errno(error), Some(Errno::EPERM | Errno::EACCES))
}

/// The kernel said `EPERM`. Its verifier says `EACCES`, also of programs that it would take from nobody.
pub(super) fn is_forbidden(error: &(dyn Error + 'static)) -> bool {
    errno(error) == Some(Errno::EPERM)
}

/// What the kernel said, as deep as it may be.
fn errno(error: &(dyn Error + 'static)) -> Option<Errno> {
    let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    number.map(Errno::from_raw).or_else(|| errno(error.source()?))
}

#[cfg(test)]
mod tests {
    use super::{Capability, NotPermitted, without_log};

    #[test]
    fn what_is_missing_is_named_and_what_is_not_is_not() {
        let reason = || "Operation not permitted".into();
        let needed = || vec![Capability::Bpf, Capability::Perfmon];
        let one = NotPermitted { needed: needed(), missing: vec![Capability::Perfmon], reason: reason() }
            .to_string();
        for part in
            ["lacks the capability PERFMON.", "not root", "sudo mtlsnoop", "setcap cap_bpf,cap_perfmon+ep"]
        {
            assert!(one.contains(part), "{part}: {one}");
        }
        assert!(!one.contains("NET_ADMIN") && !one.contains("lacks the capability BPF"), "{one}");
        let none = NotPermitted { needed: needed(), missing: vec![], reason: reason() }.to_string();
        assert!(none.contains("user namespace") && !none.contains("lacks"), "{none}");
    }

    #[test]
    fn of_the_verifiers_log_its_last_word_is_kept() {
        for (text, expected) in [
            ("a\n  b\n", "a b"),
            (
                "denied. Verifier output: 0: r1\n1: r2\nR1 pointer comparison\nprocessed 2 insns\n",
                "denied (R1 pointer comparison)",
            ),
            ("denied. Verifier output: ", "denied"),
        ] {
            assert_eq!(without_log(text), expected);
        }
    }
}
