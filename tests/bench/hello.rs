//! A mesh's `ClientHello`, recorded; it must not know who sends it.

use std::ops::Range;

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;

/// Of an Istio sidecar.
const RECORDED: &str = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");
/// The name in it.
const NAME: &str = "outbound_.6379_._.redis.default.svc.cluster.local";

pub(crate) fn of_mesh() -> Result<Vec<u8>> {
    // Lines that begin with `#` tell where it comes from.
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).context("the recorded ClientHello is not hexadecimal")
}

/// The same for another Service.
pub(crate) fn of_mesh_to(host: &str, port: u16) -> Result<Vec<u8>> {
    let mut hello = of_mesh()?;
    let begin = hello.windows(NAME.len()).position(|part| part == NAME.as_bytes());
    let begin = begin.context("the recorded ClientHello has another name than thought")?;
    let name = format!("outbound_.{port}_._.{host}");
    // RFC 8446: record (5.1), handshake (4); RFC 6066, section 3: extension, list of names, name.
    let extensions = extensions_at(&hello).context("the recorded ClientHello is cut short")?;
    let lengths = [
        3..5,
        6..9,
        extensions..extensions + 2,
        begin - 7..begin - 5,
        begin - 5..begin - 3,
        begin - 2..begin,
    ];
    for place in lengths {
        add(&mut hello[place], name.len(), NAME.len());
    }
    hello.splice(begin..begin + NAME.len(), name.into_bytes());
    Ok(hello)
}

/// Where the length of all extensions is: after versions and random, session, ciphers and compression.
fn extensions_at(hello: &[u8]) -> Option<usize> {
    const SESSION: usize = 5 + 4 + 2 + 32;
    let number = |place: Range<usize>| {
        let bytes = hello.get(place)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let ciphers = SESSION + 1 + number(SESSION..SESSION + 1)?;
    let compression = ciphers + 2 + number(ciphers..ciphers + 2)?;
    Some(compression + 1 + number(compression..compression + 1)?)
}

/// A big-endian length that grows by one length and shrinks by another.
fn add(length: &mut [u8], more: usize, less: usize) {
    let mut number = length.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) + more - less;
    for byte in length.iter_mut().rev() {
        *byte = u8::try_from(number & 0xff).unwrap_or(0);
        number >>= 8;
    }
}
