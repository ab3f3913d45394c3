//! The tools that people use today, as data: how each is started, and how it tells of losses.

use std::path::Path;

use anyhow::Result;
use mtlsnoop_tests::{command::Launch, program};

use crate::{
    load::running::Place,
    proc_text,
    subject::{
        probe::{self, Probe},
        started::{Said, Started, Watch},
    },
};

/// A tool of Debian's.
#[derive(Debug)]
pub(crate) struct Peer {
    program: &'static str,
    /// `INTERFACE` stands for the load's.
    arguments: &'static [&'static str],
    /// It sees the network namespace that it runs in, and no other.
    is_in_namespace: bool,
    /// It looks tracepoints up in tracefs, which not every machine has mounted.
    needs_tracefs: bool,
    /// How it tells of losses, with `#` for their number.
    loss: &'static str,
}

/// The first byte of a TCP payload is a TLS handshake record's, the sixth a `ClientHello`'s (RFC 8446, sections 5.1 and 4).
const CLIENT_HELLO: &str = "tcp[((tcp[12] & 0xf0) >> 2)] = 0x16 and tcp[((tcp[12] & 0xf0) >> 2) + 5] = 1";

pub(crate) const TCPDUMP: Peer = Peer {
    program: "tcpdump",
    arguments: &["-n", "-i", "INTERFACE", CLIENT_HELLO],
    is_in_namespace: true,
    needs_tracefs: false,
    loss: "# packets dropped by kernel",
};

/// With the same filter in the kernel, which is the cheapest way to use it.
pub(crate) const TSHARK: Peer = Peer {
    program: "tshark",
    arguments: &["-n", "-i", "INTERFACE", "-f", CLIENT_HELLO, "-Y", "tls.handshake.type == 1"],
    is_in_namespace: true,
    needs_tracefs: false,
    loss: "# packets dropped from",
};

pub(crate) const TCPLIFE: Peer = Peer {
    program: "tcplife",
    arguments: &[],
    is_in_namespace: false,
    needs_tracefs: true,
    loss: "lost # events",
};

pub(crate) const TCPSTATES: Peer = Peer { program: "tcpstates", ..TCPLIFE };

pub(crate) const BPFTRACE: Peer = Peer {
    program: "bpftrace",
    arguments: &["-e", include_str!("connections.bt")],
    loss: "Lost # events",
    ..TCPLIFE
};

/// Mounts tracefs where only the started program sees it.
const WITH_TRACEFS: &str =
    r#"[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing && exec "$0" "$@""#;

impl Peer {
    /// Starts it, and waits until it has told of a connection.
    pub(crate) fn start(&self, place: &Place) -> Result<Started> {
        let probe = Probe::bind(&place.netns)?;
        let watch = Watch { sign: Some(probe::SIGN), loss: Some(self.loss) };
        let mut started = Started::start(|folder| self.launch(place, folder.path()), watch)?;
        probe.connect_until_told(&mut started)?;
        Ok(started)
    }

    fn launch(&self, place: &Place, folder: &Path) -> Result<Launch> {
        let tool = program::system(self.program)?;
        let arguments =
            self.arguments.iter().map(|&word| if word == "INTERFACE" { place.interface } else { word });
        let launch = if self.needs_tracefs {
            Launch::new(&program::system("unshare")?, folder)
                .args(["--mount", "sh", "-c", WITH_TRACEFS])
                .args([tool])
                .args(arguments)
        } else {
            Launch::new(&tool, folder).args(arguments)
        };
        // tshark's files, and no look for devices that are no network's.
        let launch = launch.env("TMPDIR", folder).env("WIRESHARK_EXTCAP_DIR", folder);
        Ok(if self.is_in_namespace { launch.in_netns(&place.netns) } else { launch })
    }

    /// The losses that it told of.
    pub(crate) fn lost(&self, said: &Said) -> u64 {
        let at_end = said.stderr.lines().filter_map(|line| proc_text::number_in(line, self.loss));
        said.lost + at_end.sum::<u64>()
    }
}
