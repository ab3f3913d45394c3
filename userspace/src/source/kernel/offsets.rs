//! Where kernel fields are: looked up in the running kernel's BTF, as rustc emits no CO-RE relocations.

use std::path::Path;

use btf_rs::{Backend, Btf, BtfType as _, Member, Type};
use mtlsnoop_ebpf::config::{ABSENT, Offsets};
use rustc_hash::FxHashMap;

/// The running kernel's type information.
pub(super) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Fields without which programs still work, each skipping what it is for.
const OPTIONAL: [&str; 4] = ["cookie", "cgroup", "cgroup_node", "node_id"];

/// Why offsets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum OffsetError {
    /// The kernel has no BTF, or it cannot be read.
    #[error(
        "cannot read the kernel's type information at {path}: {source}. Likely cause: a kernel built without \
         CONFIG_DEBUG_INFO_BTF, or /sys is not mounted here. Try a kernel with BTF, or mount /sys into the container"
    )]
    Unreadable {
        /// Where it was looked for.
        path: Box<str>,
        /// What the reader said.
        source: btf_rs::Error,
    },
    /// It is read, but not usable for loading programs.
    #[error("cannot use the kernel's type information at {path}: {reason}")]
    Unusable {
        /// Where it was looked for.
        path: Box<str>,
        /// What the reader said.
        reason: Box<str>,
    },
    /// A field is not there.
    #[error(
        "this kernel has no field {path} in struct {container}; mtlsnoop does not know this kernel's layout yet: please \
         report it with the output of `uname -r`"
    )]
    NoField {
        /// The struct.
        container: &'static str,
        /// The path of members in it.
        path: &'static str,
    },
}

/// Looks up every field of [`Offsets`] in the BTF at `path`.
pub(super) fn look_up(path: &Path) -> Result<Offsets, OffsetError> {
    // Mapped where the kernel allows it, so that only what is looked up is read.
    let mapped = Btf::from_file_with_backend(path, Backend::Mmap);
    let btf = mapped.or_else(|_| Btf::from_file(path)).map_err(|source| OffsetError::Unreadable {
        path: path.display().to_string().into_boxed_str(),
        source,
    })?;
    let mut offsets = [ABSENT; Offsets::PATHS.len()];
    // Finding a struct by its name reads the names of all types, which is most of the work.
    let mut structs: FxHashMap<&str, Option<Type>> = FxHashMap::default();
    for (offset, (name, container, path)) in offsets.iter_mut().zip(Offsets::PATHS) {
        let found = structs.entry(container).or_insert_with(|| find_struct(&btf, container));
        match found.as_ref().and_then(|kind| field_offset_bytes(&btf, kind, path)) {
            Some(bytes) => *offset = bytes,
            None if OPTIONAL.contains(&name) => {}
            None => return Err(OffsetError::NoField { container, path }),
        }
    }
    Ok(Offsets::from_array(offsets))
}

/// The struct of this name.
fn find_struct(btf: &Btf, name: &str) -> Option<Type> {
    btf.resolve_types_by_name(name).ok()?.into_iter().find(|kind| members(kind).is_some())
}

/// Offset in bytes of the member at `path` (`a.b.c`) of a struct; anonymous structs and unions are entered.
fn field_offset_bytes(btf: &Btf, container: &Type, path: &str) -> Option<u32> {
    let mut current = container.clone();
    let mut bits = 0;
    for name in path.split('.') {
        let (offset_bits, member) = find_member(btf, &current, name)?;
        bits += offset_bits;
        current = resolve(btf, &member)?;
    }
    bits.is_multiple_of(8).then_some(bits / 8)
}

fn members(kind: &Type) -> Option<&[Member]> {
    match kind {
        Type::Struct(body) | Type::Union(body) => Some(&body.members),
        _ => None,
    }
}

/// The member with this name, and its offset in bits.
fn find_member(btf: &Btf, container: &Type, name: &str) -> Option<(u32, Member)> {
    members(container)?.iter().find_map(|member| {
        if member.get_name_offset() == Some(0) {
            let (inner_bits, found) = find_member(btf, &resolve(btf, member)?, name)?;
            return Some((member.bit_offset() + inner_bits, found));
        }
        let is_it = btf.resolve_name(member).is_ok_and(|found| found == name);
        is_it.then(|| (member.bit_offset(), member.clone()))
    })
}

/// The type of a member, behind typedefs and qualifiers.
fn resolve(btf: &Btf, member: &Member) -> Option<Type> {
    let mut kind = btf.resolve_chained_type(member).ok()?;
    loop {
        kind = match &kind {
            Type::Typedef(alias) => btf.resolve_chained_type(alias).ok()?,
            Type::Volatile(qualified) | Type::Const(qualified) | Type::Restrict(qualified) => {
                btf.resolve_chained_type(qualified).ok()?
            }
            Type::TypeTag(tagged) => btf.resolve_chained_type(tagged).ok()?,
            _ => return Some(kind),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mtlsnoop_ebpf::config::Offsets;

    use super::{KERNEL_BTF, OffsetError, look_up};

    #[test]
    fn finds_every_field_of_the_running_kernel() {
        let Offsets { family, remote_v4, local_v4, bytes_acked, net_inode, .. } =
            look_up(Path::new(KERNEL_BTF)).unwrap();
        // `struct sock_common` begins with the two IPv4 addresses in every kernel since 3.7 (include/net/sock.h).
        assert_eq!((remote_v4, local_v4), (0, 4));
        assert!(family > local_v4 && bytes_acked > family && net_inode > 0);
    }

    #[test]
    fn says_what_is_missing() {
        let error = look_up(Path::new("/nonexistent/btf")).unwrap_err();
        assert!(matches!(error, OffsetError::Unreadable { .. }));
        assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
    }
}
