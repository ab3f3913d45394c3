//! Packets of one short conversation; must not know in what file or on what link they are.

/// The conversation: a client connects, says something, gets an answer or none, and leaves.
pub(super) struct Told<'a> {
    pub(super) said: &'a [u8],
    pub(super) answered: &'a [u8],
}

pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;
pub(super) const FIN: u8 = 1;

/// A part of a packet of raw IPv4.
pub(super) fn segment(head: &[u8], payload: &[u8], from: usize, to: usize) -> Vec<u8> {
    let part = &payload[from..to.max(from)];
    let sequence = 101 + u32::try_from(from).unwrap_or(0);
    let acknowledged = head[28..32].try_into().map_or(0, u32::from_be_bytes);
    packet(false, true, ACK, [sequence, acknowledged], part)
}

pub(super) fn conversation(told: &Told<'_>, is_ipv6: bool) -> Vec<Vec<u8>> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    let (sent, received) = (101 + length(told.said), 501 + length(told.answered));
    let mut packets = vec![
        packet(is_ipv6, true, SYN, [100, 0], &[]),
        packet(is_ipv6, false, SYN | ACK, [500, 101], &[]),
        packet(is_ipv6, true, ACK, [101, 501], told.said),
    ];
    if !told.answered.is_empty() {
        packets.push(packet(is_ipv6, false, ACK, [501, sent], told.answered));
    }
    packets.extend([
        packet(is_ipv6, true, FIN | ACK, [sent, received], &[]),
        packet(is_ipv6, false, FIN | ACK, [received, sent + 1], &[]),
        packet(is_ipv6, true, ACK, [sent + 1, received + 1], &[]),
    ]);
    packets
}

/// As a pod's own capture of all its interfaces has it when its sidecar takes the connection over: the app's SYN is to the sidecar's port
/// on the loopback, and the answer comes from where the app wanted to go; then the sidecar's own connection.
pub(super) fn redirected(told: &Told<'_>) -> Vec<Vec<u8>> {
    let app = ([10, 1, 1, 25], 45_940);
    let mut packets = vec![
        between(app, ([127, 0, 0, 1], 15_001), SYN, [300, 0], &[]),
        between(SERVER, app, SYN | ACK, [700, 301], &[]),
        between(app, ([127, 0, 0, 1], 15_001), ACK, [301, 701], b"PING\r\n"),
    ];
    packets.extend(conversation(told, false));
    packets.push(between(SERVER, app, RST | ACK, [701, 307], &[]));
    packets
}

type End = ([u8; 4], u16);

const CLIENT: End = ([10, 1, 1, 25], 50_714);
const SERVER: End = ([10, 1, 1, 24], 6379);

/// A packet of the client, or of the server.
pub(super) fn packet(
    is_ipv6: bool,
    by_client: bool,
    flags: u8,
    numbers: [u32; 2],
    payload: &[u8],
) -> Vec<u8> {
    let (from, to) = if by_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    if !is_ipv6 {
        return between(from, to, flags, numbers, payload);
    }
    let long = |short: [u8; 4]| [&[0xfd; 12], &short[..]].concat();
    let tcp = tcp([from.1, to.1], flags, numbers, payload);
    let length = u16::try_from(tcp.len()).unwrap_or(0).to_be_bytes();
    [&[0x60, 0, 0, 0, length[0], length[1], 6, 64], &long(from.0)[..], &long(to.0), &tcp].concat()
}

/// IPv4 (RFC 791 §3.1; IPv6: RFC 8200 §3).
fn between(from: End, to: End, flags: u8, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let tcp = tcp([from.1, to.1], flags, numbers, payload);
    let length = u16::try_from(20 + tcp.len()).unwrap_or(0).to_be_bytes();
    [&[0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 6, 0, 0], &from.0[..], &to.0, &tcp].concat()
}

/// Without options (RFC 9293 §3.1).
fn tcp(ports: [u16; 2], flags: u8, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let (ports, numbers) = (ports.map(u16::to_be_bytes).concat(), numbers.map(u32::to_be_bytes).concat());
    [ports, numbers, vec![0x50, flags, 0xff, 0xff, 0, 0, 0, 0], payload.to_vec()].concat()
}
