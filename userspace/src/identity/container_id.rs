//! Which container and pod a control group belongs to, told by its path alone; knows no files and no cluster.
#![deny(clippy::disallowed_methods)]

/// Hex digits of a container id: containerd, CRI-O and Docker all take 32 random bytes.
const ID_DIGITS: usize = 64;

/// Runtimes by the names that they put before an id. CRI-O's `crio-conmon` is left out: a monitor, not the container.
const RUNTIMES: [&str; 4] = ["cri-containerd", "crio", "docker", "libpod"];

/// The container id in the path of a control group, 64 hex digits.
///
/// Containers can hold containers (Docker in a pod, a node of `kind` in Docker). Meant is the one that the kubelet
/// knows: the first below the pod, or the first of all where there is no pod.
pub fn container_id(cgroup_path: &str) -> Option<&str> {
    let in_pod = cgroup_path.split('/').skip_while(|component| uid_in(component).is_none()).find_map(id_in);
    in_pod.or_else(|| cgroup_path.split('/').find_map(id_in))
}

/// The path of the control group that holds all containers of a pod, given that of one of them; any other path is itself.
pub fn pod_group(cgroup_path: &str) -> &str {
    let mut end = 0;
    for component in cgroup_path.split('/') {
        end += component.len();
        if uid_in(component).is_some() {
            return &cgroup_path[..end];
        }
        end += 1;
    }
    cgroup_path
}

/// The uid of the pod in the path of a control group, as `metadata.uid` has it.
///
/// For a static pod it is the kubelet's own uid, which the API's copy of that pod does not have.
pub fn pod_uid(cgroup_path: &str) -> Option<String> {
    cgroup_path.split('/').find_map(uid_in).map(|uid| uid.replace('_', "-"))
}

/// The id in `<id>`, `<runtime>-<id>.scope` or `<slice>:<runtime>:<id>`.
///
/// The last is a plain directory, made by containerd with `SystemdCgroup = false` below a kubelet that uses systemd.
fn id_in(component: &str) -> Option<&str> {
    let stem = component.strip_suffix(".scope").unwrap_or(component);
    let (before, id) = stem.split_at_checked(stem.len().checked_sub(ID_DIGITS)?)?;
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    if before.is_empty() {
        return Some(id);
    }
    let runtime = before.strip_suffix(['-', ':'])?.rsplit(':').next()?;
    RUNTIMES.contains(&runtime).then_some(id)
}

/// The uid in `pod<uid>` or `kubepods-<class>-pod<uid>.slice`, where systemd has `_` for `-`.
fn uid_in(component: &str) -> Option<&str> {
    let slice = component.split(':').next()?;
    let (before, uid) = slice.strip_suffix(".slice").unwrap_or(slice).rsplit_once("pod")?;
    let begins_name = before.is_empty() || before.ends_with('-');
    (begins_name && is_uid(uid)).then_some(uid)
}

/// A UUID (RFC 9562, section 4), or the 32 hex digits of the hash that names a static pod
/// (`pkg/kubelet/config/common.go`, `applyDefaults`).
fn is_uid(text: &str) -> bool {
    let is_hex =
        |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex(text, 32) || {
        let mut parts = text.split(['-', '_']);
        [8, 4, 4, 4, 12].into_iter().all(|digits| parts.next().is_some_and(|part| is_hex(part, digits)))
            && parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{container_id, pod_uid};

    const A: &str = "3f8a1c5e9b7d2046f1e0c4a89d63b7520a1f2e3d4c5b69788796a5b4c3d2e1f0";
    const B: &str = "b0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f5061728394a5b6c7d8e9fa";
    const UID: &str = "5d1f0a7e-3c2b-4f6a-9e8d-7b6c5a493827";
    const UID_SYSTEMD: &str = "5d1f0a7e_3c2b_4f6a_9e8d_7b6c5a493827";
    const STATIC: &str = "f2c3d4e5a6b7c8d9e0f1a2b3c4d5e6f7";

    /// Paths with `{a}`, `{b}`, `{u}`, `{s}` and `{h}` for ids and uids; what is expected of each.
    const TABLE: [(&str, Option<&str>, Option<&str>); 25] = [
        // cgroupfs driver
        ("/kubepods/besteffort/pod{u}/{a}", Some(A), Some(UID)),
        ("/kubepods/burstable/pod{u}/{a}", Some(A), Some(UID)),
        ("/kubepods/pod{u}/{a}", Some(A), Some(UID)),
        ("/kubepods/pod{u}/{a}/init.scope", Some(A), Some(UID)),
        ("/kubepods/burstable/pod{u}", None, Some(UID)),
        ("/kubepods/burstable/pod{h}/{a}", Some(A), Some(STATIC)),
        ("/k8s.io/{a}", Some(A), None),
        ("/docker/{a}", Some(A), None),
        // systemd driver
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{s}.slice/cri-containerd-{a}.scope",
            Some(A),
            Some(UID),
        ),
        ("/kubepods.slice/kubepods-pod{s}.slice/crio-{a}.scope", Some(A), Some(UID)),
        ("/kubepods.slice/kubepods-pod{s}.slice/crio-{a}.scope/container", Some(A), Some(UID)),
        ("/kubepods.slice/kubepods-pod{s}.slice/docker-{a}.scope/a/b", Some(A), Some(UID)),
        ("/kubepods.slice/kubepods-pod{s}.slice/crio-conmon-{a}.scope", None, Some(UID)),
        ("/system.slice/docker-{a}.scope", Some(A), None),
        ("/machine.slice/libpod-{a}.scope/container", Some(A), None),
        // containerd without SystemdCgroup below a kubelet with systemd
        (
            "/system.slice/containerd.service/kubepods-besteffort-pod{s}.slice:cri-containerd:{a}",
            Some(A),
            Some(UID),
        ),
        // containers in containers
        ("/kubepods/pod{u}/{a}/docker/{b}", Some(A), Some(UID)),
        (
            "/system.slice/docker-{b}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{s}.slice/cri-containerd-{a}.scope",
            Some(A),
            Some(UID),
        ),
        // neither
        ("/", None, None),
        ("", None, None),
        ("/system.slice/ssh.service", None, None),
        ("/kubepods.slice/kubepods-besteffort.slice", None, None),
        ("/kubepods/podinfo/0{a}", None, None),
        ("/build/cache-{a}/é{a}", None, None),
        ("/pod5d1f0a7e-3c2b-4f6a-9e8d/pod{u}-0/tripod{u}", None, None),
    ];

    fn fill(pattern: &str) -> String {
        [("{a}", A), ("{b}", B), ("{u}", UID), ("{s}", UID_SYSTEMD), ("{h}", STATIC)]
            .into_iter()
            .fold(pattern.to_owned(), |path, (key, value)| path.replace(key, value))
    }

    #[test]
    fn paths_tell_the_container_and_the_pod() {
        for (pattern, container, pod) in TABLE {
            let path = fill(pattern);
            assert_eq!(container_id(&path), container, "container of {pattern}");
            assert_eq!(pod_uid(&path).as_deref(), pod, "pod of {pattern}");
        }
    }
}
