//! What a person captures in a pod with tcpdump, while the tracer traces; it must not know who reads the file.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::cluster::Cluster;
use crate::command::Launch;
use crate::netns::Netns;
use crate::pod::Pod;
use crate::process::Process;
use crate::{program, wait};

/// The last packet of a capture: a datagram to nobody, after which everything before it is in the file.
const LAST: &[u8] = b"mtlsnoop-lab: the capture ends here";

/// RFC 863: the port of a service that throws away what it gets; nobody listens there.
const DISCARD: u16 = 9;

/// A running capture of everything that goes in and out of a pod, and of what stays on its loopback.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    netns: Netns,
    file: PathBuf,
}

impl Capture {
    /// Starts to capture into `file`, and waits until it does.
    pub fn start(cluster: &Cluster, pod: &Pod, file: &Path) -> Result<Self> {
        let folder = file.parent().context("a file in no folder")?;
        fs::create_dir_all(folder)?;
        let group = cluster.cgroup().join("captures");
        fs::create_dir_all(&group)?;
        let mut process = Launch::new(&program::system("tcpdump")?, folder)
            .in_cgroup(&group)
            .in_netns(pod.netns())
            // Each packet is written when it comes, and the kernel's buffer has a place of the largest size for each: by
            // default there is room for 8. `-Z`: the file is root's, as the folder is.
            .args(["-i", "any", "-n", "-U", "--immediate-mode", "-s", "4096", "-B", "8192", "-Z", "root"])
            .arg_pair("-w", file)
            .start()?;
        process.wait_for_stderr("tcpdump to capture", |line| line.contains("listening on"))?;
        Ok(Self { process, netns: pod.netns().clone(), file: file.to_owned() })
    }

    /// Ends it when all that was sent until now is in the file, and tells which file.
    pub fn stop(mut self) -> Result<PathBuf> {
        self.netns.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.send_to(LAST, (Ipv4Addr::LOCALHOST, DISCARD)).map(drop).map_err(Into::into)
        })?;
        let Self { process, file, .. } = &mut self;
        wait::until_true("the last packet in the capture", wait::LONG, || {
            process.check_alive()?;
            Ok(ends_with_the_last_packet(&fs::read(&*file)?))
        })?;
        self.process.signal(Signal::SIGINT)?;
        let status = wait::until("tcpdump's end", wait::LONG, || self.process.ended())?;
        let said = self.process.stderr();
        ensure!(status.success(), "tcpdump ended with {status}: {said}");
        ensure!(said.contains("\n0 packets dropped by kernel"), "the capture has gaps: {said}");
        Ok(self.file)
    }
}

/// It is in the file several times: once on each way through the loopback, and in the ICMP answer.
fn ends_with_the_last_packet(capture: &[u8]) -> bool {
    let end = &capture[capture.len().saturating_sub(8 * LAST.len())..];
    end.windows(LAST.len()).any(|window| window == LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_packet_is_looked_for_at_the_end_only() {
        let capture = [&[0; 4000][..], LAST, &[0; 60]].concat();
        assert!(ends_with_the_last_packet(&capture));
        assert!(!ends_with_the_last_packet(&[LAST, &[0; 4000]].concat()));
        assert!(!ends_with_the_last_packet(b""));
    }
}
