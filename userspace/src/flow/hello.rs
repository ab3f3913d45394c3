//! A `ClientHello` on its way in: parts in any order, read once they are whole. Pure.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    event::{socket::HelloSegment, time::Time},
    tls::{
        client_hello::{self, ClientHello},
        mesh::{self, MeshHello},
    },
};

/// Most bytes that are kept of a hello, as the kernel gives no more.
const LIMIT_BYTES: usize = 4096;

/// How far the reading of a hello is.
#[derive(Clone, Debug, Default)]
pub enum Reading {
    /// No hello was seen.
    #[default]
    None,
    /// Parts of one.
    Partial(Box<Parts>),
    /// All of it.
    Whole(Arc<Hello>),
    /// It began like one and was none, or it is longer than what is kept.
    Broken,
}

/// A whole hello.
#[derive(Clone, Debug)]
pub struct Hello {
    /// When its first part was seen.
    pub time: Time,
    /// How many bytes it has on the wire.
    pub wire_bytes: u64,
    /// What it says.
    pub content: ClientHello,
    /// The mesh that wrote it.
    pub mesh: Option<MeshHello>,
}

/// Parts of a hello, in the order of their offsets.
#[derive(Clone, Debug)]
pub struct Parts {
    time: Time,
    expected_bytes: u32,
    pieces: Vec<(u32, Bytes)>,
}

impl Reading {
    /// Something of it is still missing.
    pub fn is_partial(&self) -> bool {
        matches!(self, Self::Partial(_))
    }

    /// Takes in a part that goes to this destination port; repeated and overlapping ones do no harm.
    pub fn add(&mut self, segment: &HelloSegment, port: u16) {
        let parts = match self {
            Self::Whole(_) | Self::Broken => return,
            Self::Partial(parts) => parts,
            Self::None => {
                *self = Self::Partial(Box::new(Parts {
                    time: segment.time,
                    expected_bytes: 0,
                    pieces: Vec::new(),
                }));
                let Self::Partial(parts) = self else { return };
                parts
            }
        };
        parts.add(segment);
        let Some(bytes) = parts.contiguous() else { return };
        match client_hello::parse(&bytes) {
            client_hello::Reading::Hello(content) => {
                let wire_bytes = u64::from(parts.expected_bytes).max(bytes.len() as u64);
                let mesh = mesh::recognise(&content, port);
                *self = Self::Whole(Arc::new(Hello { time: parts.time, wire_bytes, content, mesh }));
            }
            client_hello::Reading::Incomplete { .. } if bytes.len() < LIMIT_BYTES => {}
            client_hello::Reading::Incomplete { .. } | client_hello::Reading::NotHello(_) => {
                *self = Self::Broken;
            }
        }
    }
}

impl Parts {
    fn add(&mut self, segment: &HelloSegment) {
        self.expected_bytes = self.expected_bytes.max(segment.expected_bytes);
        let is_beyond = segment.offset as usize + segment.data.len() > LIMIT_BYTES;
        let is_known = self
            .pieces
            .iter()
            .any(|(offset, data)| *offset == segment.offset && data.len() >= segment.data.len());
        if is_beyond || is_known {
            return;
        }
        let place = self.pieces.partition_point(|(offset, _)| *offset <= segment.offset);
        self.pieces.insert(place, (segment.offset, segment.data.clone()));
    }

    /// What is there from the beginning up to the first gap; none without a beginning.
    fn contiguous(&self) -> Option<Bytes> {
        let (first_offset, first) = self.pieces.first()?;
        if *first_offset != 0 {
            return None;
        }
        if self.pieces.len() == 1 {
            return Some(first.clone());
        }
        let mut bytes = Vec::with_capacity(LIMIT_BYTES.min(self.expected_bytes as usize));
        for (offset, data) in &self.pieces {
            let offset = *offset as usize;
            if offset > bytes.len() {
                break;
            }
            let new = data.get(bytes.len() - offset..).unwrap_or_default();
            bytes.extend_from_slice(new);
        }
        Some(bytes.into())
    }
}
