//! One plain sentence on what to do, from what was found out.

use crate::source::kernel::{
    capability::{self, Capability},
    examine::{Examination, Examined},
};

/// What to do now.
pub(super) fn advice(examination: &Examination) -> String {
    let missing = missing(examination);
    match (examination.can_trace(), missing.is_empty()) {
        (true, _) => can_trace(examination),
        (false, false) => format!(
            "Tracing is not possible: this process lacks {}; try `sudo mtlsnoop doctor`.",
            capability::named(&missing)
        ),
        (false, true) if examination.hooks.iter().any(is_forbidden) => {
            "Tracing is not possible, although the capabilities are there: a user namespace (a rootless container), a seccomp \
             profile or the kernel's lockdown mode is in the way; try on the node itself."
                .to_owned()
        }
        (false, true) => {
            let broken = examination.hooks.iter().find(|hook| hook.is_required && hook.used().is_none());
            format!(
                "Tracing is not possible: {}; try a kernel of 5.12 or newer with BTF and cgroup v2.",
                examination
                    .cgroup
                    .problem
                    .as_deref()
                    .or(broken.map(|hook| hook.lost_without))
                    .unwrap_or("nothing can be attached")
            )
        }
    }
}

fn can_trace(examination: &Examination) -> String {
    let modes: Vec<_> = examination
        .captures
        .iter()
        .filter(|mode| !mode.is_possible)
        .map(|mode| mode.capture.name())
        .collect();
    let lost = lost(examination);
    if !modes.is_empty() {
        return format!(
            "Tracing is possible, but not with capture {}: see which hook it misses.",
            modes.join(" or ")
        );
    }
    if lost.is_empty() {
        return "Everything works here: run `mtlsnoop trace`.".to_owned();
    }
    format!("Tracing works here (`mtlsnoop trace`), but {}.", lost.join("; "))
}

/// Capabilities that some mode needs and this process does not have.
fn missing(examination: &Examination) -> Vec<Capability> {
    let lacks = |wanted: Capability| {
        examination.capabilities.iter().any(|(capability, is_held)| *capability == wanted && !is_held)
    };
    let needed = |wanted: &Capability| examination.captures.iter().any(|mode| mode.needs.contains(wanted));
    Capability::ALL.into_iter().filter(|wanted| needed(wanted) && lacks(*wanted)).collect()
}

/// What is not known, each thing once.
fn lost(examination: &Examination) -> Vec<&'static str> {
    let of_hooks = examination.hooks.iter().flat_map(|hook| match hook.used() {
        Some(_) => hook.lost(),
        None => vec![hook.lost_without],
    });
    let of_cgroup = examination.cgroup.layout.and_then(crate::source::hierarchy::Layout::lost);
    let of_capabilities = examination
        .capabilities
        .iter()
        .filter(|(_, is_held)| !is_held)
        .filter_map(|(capability, _)| capability.lost_without());
    let mut lost: Vec<&str> = Vec::new();
    for part in of_hooks.chain(of_cgroup).chain(of_capabilities) {
        if !lost.contains(&part) {
            lost.push(part);
        }
    }
    lost
}

fn is_forbidden(hook: &Examined) -> bool {
    hook.is_required && hook.used().is_none() && hook.variants.iter().all(|tried| tried.was_forbidden)
}
