//! How much the source asks for, holds and waits: every bound in one place. Knows nothing of what it bounds.

use std::time::Duration;

/// Bounds and pauses. The defaults are for production; tests are in more of a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pods of the node that are held; the kubelet's own bound is 110 by default.
    pub most_pods: usize,
    /// Headless Services that are held.
    pub most_services: usize,
    /// Slices of headless Services that are held.
    pub most_slices: usize,
    /// Objects of each of Istio's kinds that are held.
    pub most_istio: usize,
    /// Objects that are kept because something was looked up.
    pub most_kept: usize,
    /// Lookups that are begun in a second, over time.
    pub lookups_per_second: u32,
    /// Lookups that are begun at once, after a pause.
    pub lookup_burst: u32,
    /// Lookups that wait.
    pub most_waiting: usize,
    /// Lookups that are asked for at the same time.
    pub most_running: usize,
    /// What was found is known for so long after it was looked up, and then forgotten.
    pub kept_for: Duration,
    /// The same is not looked up again for so long where something was found.
    pub found_for: Duration,
    /// The same, where nothing was found or the lookup failed: it may be there soon.
    pub missing_for: Duration,
    /// What is forbidden is asked for again after so long.
    pub forbidden_pause: Duration,
    /// Whether Istio was installed meanwhile is looked at so often.
    pub discovery_pause: Duration,
    /// The mesh's configuration and control planes are looked at so often.
    pub mesh_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most_pods: 4096,
            most_services: 65_536,
            most_slices: 131_072,
            most_istio: 16_384,
            // Half of what a hash table can hold, so that it never grows while objects come and go.
            most_kept: 7168,
            lookups_per_second: 5,
            lookup_burst: 20,
            most_waiting: 256,
            most_running: 8,
            kept_for: Duration::from_mins(10),
            found_for: Duration::from_mins(1),
            missing_for: Duration::from_secs(5),
            forbidden_pause: Duration::from_mins(1),
            discovery_pause: Duration::from_mins(10),
            mesh_pause: Duration::from_mins(10),
        }
    }
}
