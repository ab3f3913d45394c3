//! The set: every situation, by what it is about; it must not know how a situation is lived through.

mod application_tls;
mod backend;
mod cause;
mod hello;
mod mesh;
mod plain;
mod tcp;
mod tls;

use data_encoding::HEXLOWER;

use crate::situation::Situation;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Situation> {
    [
        backend::all(),
        cause::all(),
        tls::all(),
        mesh::all(),
        plain::all(),
        application_tls::all(),
        hello::all(),
        tcp::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The bytes of a test file: hexadecimal digits with comments.
fn bytes(text: &str) -> Vec<u8> {
    let digits: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    HEXLOWER.decode(digits.as_bytes()).unwrap_or_default()
}

/// A real hello of Envoy in a mesh.
fn istio_hello() -> Vec<u8> {
    bytes(include_str!("../../../userspace/src/tls/testdata/istio_tls12.hex"))
}
