//! Why a file that is to be analyzed cannot be read, whole or from some place on; must not know how files are read.

use std::{io, path::PathBuf};

use crate::{
    recording::{HEADER_BYTES, VERSION},
    source::capture::link_name,
};

/// A file cannot be analyzed at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot analyze {}: {reason}", path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// Why a file cannot be analyzed.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The system says no.
    #[error("{0}; check the name, and that you may read it")]
    Unreadable(#[from] io::Error),
    /// There is nothing in it.
    #[error(
        "the file is empty; it should be a recording (`mtlsnoop trace -w FILE`) or a packet capture (`tcpdump -w FILE`)"
    )]
    Empty,
    /// It ends before its first event.
    #[error(
        "the recording ends within its first {HEADER_BYTES} bytes, so nothing of it can be read; record again"
    )]
    HeaderCutShort,
    /// It ends within the header of a packet capture.
    #[error("the packet capture ends within its header, so nothing of it can be read; capture again")]
    CaptureHeaderCutShort,
    /// Its packets are of a kind that holds no TCP/IP, or that is not read.
    #[error(
        "its packets are of link type {number} ({}), and TCP/IP is read from Ethernet, Linux cooked, raw IP and loopback; \
         capture on another interface, such as `tcpdump -i any`", link_name(*number)
    )]
    OtherLink {
        /// Number of the link type.
        number: u16,
    },
    /// It is compressed.
    #[error("the file is compressed with {by}; decompress it first: `{command}`")]
    Compressed {
        /// With what.
        by: &'static str,
        /// What decompresses it.
        command: &'static str,
    },
    /// Modes that cannot be counted together.
    #[error(
        "it was recorded with `--capture adaptive`, where ends are counted, and other files with everything, where beginnings \
         are; analyze them apart"
    )]
    MixedModes,
    /// It is something else.
    #[error(
        "the file is neither a recording nor a packet capture; they are made with `mtlsnoop trace -w FILE` and `tcpdump -w FILE`"
    )]
    Unknown,
    /// It is from another version.
    #[error(
        "the recording has format version {found}, and this mtlsnoop reads version {VERSION}; analyze it with the mtlsnoop \
         that recorded it{}", if *found > VERSION { " or a newer one" } else { "" }
    )]
    OtherVersion {
        /// Its version.
        found: u16,
    },
}

/// From some place on, a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It ends within an event or a packet, as it does when its writer was killed or the disk was full.
    #[error("cut short at byte {offset}; everything before is used")]
    CutShort {
        /// Where what is whole ends.
        offset: u64,
    },
    /// It was changed after it was written.
    #[error("corrupt at byte {offset}; everything before is used, nothing after")]
    Corrupt {
        /// Where what is good ends.
        offset: u64,
    },
    /// The system stopped reading.
    #[error("cannot be read beyond byte {offset}: {error}")]
    Unreadable {
        /// Where what is good ends.
        offset: u64,
        /// Why.
        error: io::Error,
    },
}
