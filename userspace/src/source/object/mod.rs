//! Objects of the Kubernetes API, as it and kubectl print them, turned into facts one by one; knows neither where they come
//! from nor what becomes of them.

pub(in crate::source) mod endpoint;
pub(in crate::source) mod istio;
pub(in crate::source) mod metadata;
pub(in crate::source) mod pod;
pub(in crate::source) mod service;
pub mod tally;

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::source::object::tally::Tally;

/// Reads an object's text; how it differs from objects of its kind, where it does.
pub(in crate::source) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Box<str>> {
    serde_json::from_str(text).map_err(|error| without_position(&error))
}

/// What the parser says, without the position that its messages end with.
pub(in crate::source) fn without_position(error: &serde_json::Error) -> Box<str> {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(cause, _)| cause).into()
}

/// `null` is as good as missing: Go prints empty lists so.
pub(in crate::source) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Only TCP is traced; it is also what a missing protocol means.
pub(in crate::source) fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

/// Addresses from their texts. One that is none is counted, and costs only itself.
pub(in crate::source) fn addresses<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    kind: &str,
    tally: &mut Tally,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) => tally.unreadable(kind, format!("`{text}` is no address")),
        }
    }
    addresses
}
