//! How the records of classic tracepoints lie in memory, as tracefs tells it: read, never assumed.

use std::{fs, path::Path};

use mtlsnoop_ebpf::config::ResetFields;

/// Where tracefs is as a rule; the second is its place before Linux 4.1.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Why a layout is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LayoutError {
    /// No tracefs, or not this tracepoint.
    #[error("tracefs tells nothing of {0}: is it mounted at /sys/kernel/tracing?")]
    Untold(&'static str),
    /// A field is not there.
    #[error("{tracepoint} has no field {field} of {bytes} bytes")]
    NoField {
        /// The tracepoint.
        tracepoint: &'static str,
        /// The field.
        field: &'static str,
        /// Its size.
        bytes: u32,
    },
}

const RESET_RECEIVED: &str = "tcp/tcp_receive_reset";

/// Where `tcp:tcp_receive_reset` has its fields.
pub(super) fn reset_received() -> Result<ResetFields, LayoutError> {
    let format = PLACES
        .iter()
        .find_map(|place| {
            fs::read_to_string(Path::new(place).join("events").join(RESET_RECEIVED).join("format")).ok()
        })
        .ok_or(LayoutError::Untold(RESET_RECEIVED))?;
    reset_fields(&format)
}

fn reset_fields(format: &str) -> Result<ResetFields, LayoutError> {
    let at = |field, bytes| {
        offset(format, field, bytes).ok_or(LayoutError::NoField { tracepoint: RESET_RECEIVED, field, bytes })
    };
    Ok(ResetFields {
        local_port: at("sport", 2)?,
        remote_port: at("dport", 2)?,
        local: at("saddr_v6", 16)?,
        remote: at("daddr_v6", 16)?,
        cookie: at("sock_cookie", 8)?,
    })
}

/// The offset of a field of this size: `field:__u8 saddr_v6[16]; offset:40; size:16; signed:0;`
/// (`f_show`, `kernel/trace/trace_events.c`).
fn offset(format: &str, name: &str, bytes: u32) -> Option<u32> {
    format.lines().map(str::trim).filter(|line| line.starts_with("field:")).find_map(|line| {
        let mut parts = line.split(';').map(str::trim);
        let declared = parts.next()?.rsplit(' ').next()?;
        let is_it = declared.split('[').next() == Some(name);
        let mut value = |key| parts.next()?.strip_prefix(key)?.parse::<u32>().ok();
        let (offset, size) = (value("offset:")?, value("size:")?);
        (is_it && size == bytes).then_some(offset)
    })
}

#[cfg(test)]
mod tests {
    use mtlsnoop_ebpf::config::ResetFields;

    use super::{LayoutError, RESET_RECEIVED, reset_fields};

    /// Linux 6.18.
    const FORMAT: &str = "name: tcp_receive_reset\nID: 2279\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:__u16 sport;\toffset:16;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 dport;\toffset:18;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 family;\toffset:20;\tsize:2;\tsigned:0;\n\
        \tfield:__u8 saddr[4];\toffset:22;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 daddr[4];\toffset:26;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 saddr_v6[16];\toffset:30;\tsize:16;\tsigned:0;\n\
        \tfield:__u8 daddr_v6[16];\toffset:46;\tsize:16;\tsigned:0;\n\
        \tfield:__u64 sock_cookie;\toffset:64;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"family=%s sport=%hu\", REC->sport\n";

    #[test]
    fn fields_are_where_the_kernel_says() {
        let expected = ResetFields { local_port: 16, remote_port: 18, local: 30, remote: 46, cookie: 64 };
        assert_eq!(reset_fields(FORMAT), Ok(expected));
    }

    #[test]
    fn a_field_that_is_not_as_expected_is_named() {
        for (from, to, field, bytes) in [
            ("sock_cookie;", "cookie;", "sock_cookie", 8),
            ("saddr_v6[16];\toffset:30;\tsize:16", "saddr_v6[16];\toffset:30;\tsize:28", "saddr_v6", 16),
            ("sport;\toffset:16", "sport;\toffset:x", "sport", 2),
        ] {
            let error = LayoutError::NoField { tracepoint: RESET_RECEIVED, field, bytes };
            assert_eq!(reset_fields(&FORMAT.replace(from, to)), Err(error), "{from}");
        }
    }
}
