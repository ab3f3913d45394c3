//! A mesh's `ClientHello`, recorded; it must not know who sends it.

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;

/// Of an Istio sidecar.
const RECORDED: &str = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");

pub(crate) fn of_mesh() -> Result<Vec<u8>> {
    // Lines that begin with `#` tell where it comes from.
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).context("the recorded ClientHello is not hexadecimal")
}
