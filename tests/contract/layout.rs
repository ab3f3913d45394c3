//! Sizes and offsets of everything that both halves read; it must not know what the fields mean.

use std::fmt;

use mtlsnoop_ebpf::{
    config::{Offsets, ResetFields, Tracer},
    record::{
        ConnectFailed, Ended, Endpoints, Established, FirstBytes, HELLO_SEGMENT_BYTES, Header, HelloSegment,
        Opened, Owner, Reset,
    },
};

/// A struct as it lies in memory.
pub(crate) struct Layout {
    name: &'static str,
    bytes: usize,
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    offset: usize,
    bytes: usize,
}

/// The type of a field tells its size; the pointer is never followed.
fn size_behind<T>(_field: *const T) -> usize {
    size_of::<T>()
}

macro_rules! layout {
    ($kind:ty { $( $field:ident )+ }) => {{
        let place = std::mem::MaybeUninit::<$kind>::uninit();
        let start = place.as_ptr();
        Layout {
            name: stringify!($kind),
            bytes: size_of::<$kind>(),
            fields: vec![$( Field {
                name: stringify!($field),
                offset: std::mem::offset_of!($kind, $field),
                // SAFETY: the address of a field of an allocated struct is taken; nothing is read.
                bytes: size_behind(unsafe { &raw const (*start).$field }),
            } ),+],
        }
    }};
}

/// Every struct of the contract.
pub(crate) fn all() -> Vec<Layout> {
    // The data's size is the only difference between them.
    assert_eq!(HELLO_SEGMENT_BYTES, [256, 1024, 4096]);
    vec![
        layout!(Header { time_ns socket kind flags reserved }),
        layout!(Endpoints { local remote local_port remote_port netns }),
        layout!(Owner { cgroup pid uid gid reserved process }),
        layout!(Opened { header endpoints owner }),
        layout!(Ended {
            header endpoints cgroup bytes_sent bytes_acked bytes_received uid error last_sent_ago_jiffies state srtt_us
            reserved
        }),
        layout!(HelloSegment<256> { header offset length expected reserved data }),
        layout!(HelloSegment<1024> { header offset length expected reserved data }),
        layout!(HelloSegment<4096> { header offset length expected reserved data }),
        layout!(FirstBytes<0> { header offset payload_bytes other_offset class length data }),
        layout!(FirstBytes<64> { header offset payload_bytes other_offset class length data }),
        layout!(Established { header endpoints }),
        layout!(ConnectFailed { header endpoints owner error reserved }),
        layout!(Reset { header endpoints reason state }),
        layout!(ResetFields { local_port remote_port local remote cookie }),
        layout!(Tracer { pid_namespace_device pid_namespace_inode pid reserved }),
        Layout {
            name: "Offsets",
            bytes: size_of::<Offsets>(),
            fields: (0..)
                .step_by(size_of::<u32>())
                .zip(Offsets::PATHS)
                .map(|(offset, (name, ..))| Field { name, offset, bytes: size_of::<u32>() })
                .collect(),
        },
    ]
}

impl fmt::Display for Layout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {} bytes", self.name, self.bytes)?;
        for Field { name, offset, bytes } in &self.fields {
            writeln!(out, "  {offset:>3} {bytes:>4} {name}")?;
        }
        Ok(())
    }
}

#[test]
fn no_byte_is_between_fields_or_unnamed() {
    for Layout { name, bytes, fields } in all() {
        let end = fields.iter().fold(0, |end, field| {
            assert_eq!(field.offset, end, "{name}.{}", field.name);
            end + field.bytes
        });
        assert_eq!(end, bytes, "{name}");
    }
}

#[test]
fn offsets_are_in_the_order_of_their_paths() {
    let mut values = [0; Offsets::PATHS.len()];
    for (value, index) in values.iter_mut().zip(0..) {
        *value = index;
    }
    let offsets = Offsets::from_array(values);
    let (first, last) = (Offsets::PATHS[0].0, Offsets::PATHS[Offsets::PATHS.len() - 1].0);
    assert_eq!((first, last), ("family", "packet_transport"));
    assert_eq!((offsets.family, offsets.packet_transport), (0, values[values.len() - 1]));
    assert_eq!(std::mem::offset_of!(Offsets, packet_transport), size_of::<Offsets>() - size_of::<u32>());
}
