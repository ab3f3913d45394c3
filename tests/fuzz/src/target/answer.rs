//! Reading of a listener's first bytes, and the kernel's own look at first bytes.

use bytes::Bytes;
use mtlsnoop::{
    event::{
        socket::{Class, Direction, FirstBytes, SocketId},
        time::Time,
    },
    flow::answer::Answer,
    protocol,
};
use mtlsnoop_ebpf::classify::{self, LOOK_BYTES};

/// Most bytes that are kept of an answer.
const KEPT_BYTES: usize = 64;

/// Where the answer is cut (1 byte), then the answer.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((&cut, data)) = bytes.split_first() else { return };
    let data = Bytes::copy_from_slice(data);
    let cut = usize::from(cut).min(data.len());
    let mut answer = Answer::begin(&first(data.slice(..cut.min(KEPT_BYTES))), false);
    answer.add(u32::try_from(cut.min(KEPT_BYTES)).unwrap_or(u32::MAX), &data.slice(cut.min(KEPT_BYTES)..));
    let kept = &data[..data.len().min(KEPT_BYTES)];
    assert_eq!(&*answer.bytes, kept, "an answer in two parts is the answer");
    assert_eq!(answer.guess(), protocol::guess(kept));
    let _behaviour = answer.behaviour();
}

fn first(data: Bytes) -> FirstBytes {
    FirstBytes {
        time: Time(0),
        socket: SocketId(1),
        direction: Direction::Received,
        offset: 0,
        payload_bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
        other_offset: 206,
        class: Class::Other,
        data,
    }
}

/// How many bytes there are by the packet's own word (4 bytes), then what is looked at.
pub(crate) fn first_bytes(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk::<4>() else { return };
    let length = u32::from_le_bytes(*length);
    let mut head = [0; LOOK_BYTES];
    let there = bytes.len().min(LOOK_BYTES).min(usize::try_from(length).unwrap_or(usize::MAX));
    head[..there].copy_from_slice(&bytes[..there]);
    let class = classify::Class::of(&head, length);
    assert_eq!(classify::Class::from_number(class as u16), Some(class));
    assert!(classify::hello_bytes(&head) > 0);
}
