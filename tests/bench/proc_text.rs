//! Reads what the kernel and tracers write as text; it must not know where the text is from.

/// `cpu.stat` of a control group (Documentation/admin-guide/cgroup-v2.rst): processor time in microseconds.
pub(crate) fn cpu_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())
}

/// proc(5), `/proc/PID/task/TID/status`: how often the thread went to sleep by itself.
pub(crate) fn sleeps(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

/// The same of a process: the most memory that was resident so far.
pub(crate) fn peak_rss_bytes(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}

/// What a mapped ring is called in smaps: of BPF maps, of perf events, of packet sockets.
const RINGS: [&str; 3] = ["anon_inode:bpf-map", "anon_inode:[perf_event]", "socket:["];

/// proc(5), `/proc/PID/smaps`: resident memory without the rings.
pub(crate) fn rss_without_rings_bytes(smaps: &str) -> u64 {
    let mut is_ring = false;
    let mut kib = 0;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Rss:"), Some(size)) if !is_ring => kib += size.parse().unwrap_or(0),
            // `address perms offset dev inode pathname`; the address is the only first word with a dash.
            (Some(range), Some(_)) if range.contains('-') => {
                let path = words.nth(3).unwrap_or_default();
                is_ring = RINGS.iter().any(|ring| path.starts_with(ring));
            }
            _ => {}
        }
    }
    kib * 1024
}

/// The number that stands where `pattern` has a `#`: `lost # events` in "lost 12 events on CPU #0!" is 12.
pub(crate) fn number_in(line: &str, pattern: &str) -> Option<u64> {
    let (before, after) = pattern.split_once('#')?;
    let begin = if before.is_empty() { 0 } else { line.find(before)? + before.len() };
    let rest = &line[begin..];
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    rest[digits..].starts_with(after).then(|| rest[..digits].parse().ok())?
}

/// proc(5), `/proc/PID/net/dev`: `face: bytes packets …`, first what was received.
pub(crate) fn received_bytes(table: &str, device: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
