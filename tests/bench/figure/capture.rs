//! How fast a packet capture is read on one processor: traffic that is not ours, with and without short connections in it.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop::{
    engine::{Engine, Settings},
    source::merged::Merged,
};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap},
    conversation::{Conversation, End, Packet},
    interrupt, program,
};
use serde_json::{Value, json};

use crate::{pause::pause, proc_text, statistic::Estimate};

/// The speed for each kind of traffic.
pub(crate) struct Capture(Vec<Point>);

struct Point {
    traffic: Traffic,
    bytes: u64,
    packets: u64,
    gb_per_s: Estimate,
    peak_rss_bytes: u64,
}

/// What is in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// Downloads in full packets.
    Bulk,
    /// Requests and answers of 100 bytes over connections that stay.
    Keepalive,
    /// A connection for each request of 500 bytes.
    Short,
}

impl Traffic {
    const ALL: [Self; 3] = [Self::Bulk, Self::Keepalive, Self::Short];

    fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Keepalive => "keepalive",
            Self::Short => "short",
        }
    }

    /// How one connection goes on, many times over, and how often that is before it ends.
    fn turns(self) -> usize {
        match self {
            Self::Bulk | Self::Keepalive => 400,
            Self::Short => 1,
        }
    }

    fn turn(self, conversation: Conversation) -> Conversation {
        match self {
            Self::Bulk => conversation.say(End::Server, &[0x55; 1448]),
            Self::Keepalive => conversation.say(End::Client, &[0x55; 100]).say(End::Server, &[0x55; 100]),
            Self::Short => conversation.say(End::Client, &[0x55; 500]).say(End::Server, &[0x55; 100]),
        }
    }
}

/// The file is as long, and fits into memory: it is the reader that is measured, not the disk.
const FILE_BYTES: u64 = 1 << 30;
const QUICK_BYTES: u64 = 64 << 20;
/// Memory hardly grows between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often it is read.
const REPETITIONS: usize = 7;

pub(crate) fn measure(is_quick: bool) -> Result<Capture> {
    let folder = tempfile::tempdir().context("could not make a folder for captures")?;
    let mut points = Vec::new();
    for traffic in Traffic::ALL {
        eprintln!("bench: capture, {}", traffic.name());
        let path = folder.path().join(traffic.name());
        let packets = write(traffic, &path, if is_quick { QUICK_BYTES } else { FILE_BYTES })?;
        points.push(Point::measure(traffic, &path, packets)?);
        fs::remove_file(&path).context("could not remove a capture")?;
    }
    Ok(Capture(points))
}

/// Writes a capture, and gives the number of its packets.
fn write(traffic: Traffic, path: &Path, least_bytes: u64) -> Result<u64> {
    const AT_ONCE: usize = 64;

    let form = Pcap { is_in_ns: true, ..Pcap::of(Link::Ethernet(0)) };
    let file = File::create(path).with_context(|| format!("could not create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let mut bytes = form.file([]);
    let (mut written, mut packets, mut time_ns, mut port) = (0, 0, 1_600_000_000_000_000_000, 1024_u16);
    while written < least_bytes {
        interrupt::check()?;
        let mut conversations = Vec::new();
        for _ in 0..AT_ONCE {
            port = if port == u16::MAX { 1024 } else { port + 1 };
            conversations.push(conversation(traffic, port, time_ns));
        }
        for packet in in_turns(conversations, time_ns) {
            time_ns = packet.time_ns;
            form.append(&mut bytes, &packet);
            packets += 1;
        }
        file.write_all(&bytes).context("could not write a capture")?;
        written += bytes.len() as u64;
        bytes.clear();
    }
    file.flush().context("could not write a capture")?;
    Ok(packets)
}

fn conversation(traffic: Traffic, port: u16, time_ns: u64) -> std::vec::IntoIter<Packet> {
    let client = SocketAddr::from(([10, 2, (port >> 8).to_le_bytes()[0], 7], port));
    let mut conversation = Conversation::new(client, ([10, 1, 1, 24], 5432).into(), time_ns).connect();
    for _ in 0..traffic.turns() {
        conversation = traffic.turn(conversation);
    }
    conversation.close(End::Client).packets().into_iter()
}

/// One packet of each after the other, a microsecond apart.
fn in_turns(mut conversations: Vec<std::vec::IntoIter<Packet>>, mut time_ns: u64) -> Vec<Packet> {
    let mut packets = Vec::new();
    loop {
        let before = packets.len();
        for conversation in &mut conversations {
            packets.extend(conversation.next().map(|packet| {
                time_ns += 1000;
                Packet { time_ns, ..packet }
            }));
        }
        if packets.len() == before {
            return packets;
        }
    }
}

impl Point {
    fn measure(traffic: Traffic, path: &Path, packets: u64) -> Result<Self> {
        let bytes = fs::metadata(path).context("the capture is gone")?.len();
        let mut rates = Vec::new();
        for _ in 0..REPETITIONS {
            interrupt::check()?;
            #[expect(clippy::cast_precision_loss, reason = "bytes of a file")]
            rates.push(bytes as f64 / 1e9 / read(path)?);
        }
        let gb_per_s = Estimate::of(&rates).context("nothing was measured")?;
        Ok(Self { traffic, bytes, packets, gb_per_s, peak_rss_bytes: peak_rss_bytes(path)? })
    }
}

/// The most memory that a process has that reads it, looked at while it does.
fn peak_rss_bytes(path: &Path) -> Result<u64> {
    let mut reader = Command::new(program::TRACER.find()?)
        .args(["analyze", "-o", "json"])
        .arg(path)
        .stdout(Stdio::null())
        .spawn()
        .context("could not start mtlsnoop")?;
    let status = format!("/proc/{}/status", reader.id());
    let mut peak = None;
    let ended = loop {
        // A process that is over has none any more.
        let said = fs::read_to_string(&status).unwrap_or_default();
        peak = peak.max(proc_text::peak_rss_bytes(&said));
        if let Some(ended) = reader.try_wait().context("could not wait for mtlsnoop")? {
            break ended;
        }
        pause(LOOK_EVERY)?;
    };
    ensure!(ended.success(), "mtlsnoop analyze failed ({ended})");
    peak.context("it was over before it was looked at")
}

/// Reads it into a core, and gives the seconds.
fn read(path: &Path) -> Result<f64> {
    let begun = Instant::now();
    let mut source = Merged::open(&[PathBuf::from(path)])?;
    let mut engine = Engine::new(Settings::default());
    let mut updates = Vec::new();
    while let Some(event) = source.next_event() {
        engine.apply(&event, &mut updates);
        updates.clear();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let summary = engine.summary();
    ensure!(summary.seen > 0 && summary.lost.is_empty(), "the capture was not read whole: {summary:?}");
    Ok(seconds)
}

impl Capture {
    /// The slowest of those whose connections are long.
    pub(crate) fn of_others(&self) -> Option<Estimate> {
        let long = self.0.iter().filter(|point| point.traffic != Traffic::Short);
        long.map(|point| point.gb_per_s).min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The most memory for any of them.
    pub(crate) fn peak_rss_bytes(&self) -> Option<u64> {
        self.0.iter().map(|point| point.peak_rss_bytes).max()
    }

    /// A line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |point: &Point| {
            let Point { traffic, bytes, packets, gb_per_s, peak_rss_bytes } = point;
            let each = bytes / packets.max(&1);
            format!(
                "packet capture, {}: {:.2} ±{:.2} GB/s ({each} bytes a packet), at most {} MiB of memory",
                traffic.name(),
                gb_per_s.value,
                gb_per_s.error,
                peak_rss_bytes >> 20
            )
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let point = |point: &Point| {
            json!({
                "traffic": point.traffic.name(),
                "bytes": point.bytes,
                "packets": point.packets,
                "peak_rss_bytes": point.peak_rss_bytes,
                "gb_per_s": { "value": point.gb_per_s.value, "error": point.gb_per_s.error },
            })
        };
        self.0.iter().map(point).collect()
    }
}
