//! JA4, a fingerprint of the client's TLS library, after FoxIO's public specification; must not know of
//! meshes.
//!
//! Only JA4 itself (TLS clients) is here, which FoxIO publishes under the BSD 3-clause licence.
//! Specification:
//! <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::client_hello::ClientHello;
use super::extensions::{ALPN, SERVER_NAME, SUPPORTED_VERSIONS};

/// The specification's stand-in for the hash of an empty list.
const NO_HASH: &str = "000000000000";

/// The JA4 fingerprint of a hello that came over TCP, like `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub fn ja4(hello: &ClientHello) -> String {
    format!("{}_{}_{}", summary(hello), ciphers_hash(hello), extensions_hash(hello))
}

fn summary(hello: &ClientHello) -> String {
    let version = version(hello);
    let sni = if hello.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let ciphers = hello.ciphers.len().min(99);
    let extensions = hello.extensions.len().min(99);
    let (first, last) = alpn(hello.first_alpn_ends);
    format!("t{version}{sni}{ciphers:02}{extensions:02}{first}{last}")
}

fn version(hello: &ClientHello) -> &'static str {
    let highest = if hello.extensions.contains(&SUPPORTED_VERSIONS) {
        hello.versions.iter().copied().max()
    } else {
        Some(hello.legacy_version)
    };
    match highest {
        Some(0x0304) => "13",
        Some(0x0303) => "12",
        Some(0x0302) => "11",
        Some(0x0301) => "10",
        Some(0x0300) => "s3",
        _ => "00",
    }
}

/// Two characters for the first application protocol; unless both its ends are letters or digits, those of
/// its hex form.
fn alpn(ends: Option<(u8, u8)>) -> (char, char) {
    match ends {
        None => ('0', '0'),
        Some((first, last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            (char::from(first), char::from(last))
        }
        Some((first, last)) => (hex_digit(first >> 4), hex_digit(last & 0x0f)),
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

fn ciphers_hash(hello: &ClientHello) -> String {
    let mut ciphers = hello.ciphers.clone();
    ciphers.sort_unstable();
    hash(&hex_list(&ciphers))
}

fn extensions_hash(hello: &ClientHello) -> String {
    // Left out so that one client looks the same whatever it goes to; the summary has told of them.
    let mut extensions: Vec<u16> =
        hello.extensions.iter().copied().filter(|id| ![SERVER_NAME, ALPN].contains(id)).collect();
    extensions.sort_unstable();
    let mut list = hex_list(&extensions);
    if !hello.signature_algorithms.is_empty() {
        list.push('_');
        list.push_str(&hex_list(&hello.signature_algorithms));
    }
    hash(&list)
}

fn hex_list(values: &[u16]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    values.join(",")
}

/// The first twelve hex digits of the list's SHA-256.
fn hash(list: &str) -> String {
    if list.is_empty() {
        return NO_HASH.to_owned();
    }
    let digest = Sha256::digest(list.as_bytes());
    digest.iter().take(NO_HASH.len() / 2).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{alpn, ja4};
    use crate::tls::client_hello::{ClientHello, Reading, parse};
    use crate::tls::samples;

    #[test]
    fn published_captures_give_their_published_fingerprints() {
        for (sample, expected) in [
            (samples::CHROME, "t13d1516h2_8daaf6152771_e5627efa2ab1"),
            (samples::FIREFOX, "t13d1715h2_5b57614c22b0_3d5424432f57"),
            (samples::ALPN_SPACE, "t13d181220_85036bcba153_d41ae481755e"),
            (samples::ALPN_ENDS_IN_SPACE, "t13d181260_85036bcba153_d41ae481755e"),
        ] {
            let Reading::Hello(hello) = parse(&samples::bytes(sample)) else { panic!("{sample}") };
            assert_eq!(ja4(&hello), expected);
        }
    }

    /// The worked example of the specification, whose lists are given in the order sent.
    fn specification_example() -> ClientHello {
        ClientHello {
            legacy_version: 0x0303,
            first_alpn_ends: Some((b'h', b'2')),
            versions: vec![0x0304, 0x0303],
            ciphers: vec![
                0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
                0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
                0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
            ],
            signature_algorithms: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            ..ClientHello::default()
        }
    }

    #[test]
    fn the_examples_of_the_specification_hold() {
        let example = specification_example();
        assert_eq!(ja4(&example), "t13d1516h2_8daaf6152771_e5627efa2ab1");

        let unsigned = ClientHello { signature_algorithms: Vec::new(), ..example };
        assert_eq!(ja4(&unsigned), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn empty_lists_and_long_ones() {
        let empty = ClientHello { legacy_version: 0x0303, ..ClientHello::default() };
        assert_eq!(ja4(&empty), "t12i000000_000000000000_000000000000");

        let only_sni = ClientHello { extensions: vec![0x0000], ..empty.clone() };
        assert_eq!(ja4(&only_sni), "t12d000100_000000000000_000000000000");

        let long = ClientHello { ciphers: (0..150).collect(), ..empty };
        assert_eq!(ja4(&long).split('_').next(), Some("t12i990000"));
    }

    #[test]
    fn the_version_is_the_highest_offered() {
        for (legacy_version, versions, extensions, expected) in [
            (0x0303, vec![0x0303, 0x0304], vec![0x002b], "t13"),
            (0x0303, vec![0x0302, 0x0301], vec![0x002b], "t11"),
            (0x0301, vec![], vec![], "t10"),
            (0x0300, vec![], vec![], "ts3"),
            // Nothing but GREASE in the extension: not what the old field says.
            (0x0303, vec![], vec![0x002b], "t00"),
            (0x0399, vec![], vec![], "t00"),
        ] {
            let hello = ClientHello { legacy_version, versions, extensions, ..ClientHello::default() };
            assert_eq!(ja4(&hello)[..3], *expected);
        }
    }

    #[test]
    fn application_protocols_as_the_specification_lists_them() {
        for (ends, expected) in [
            (None, ('0', '0')),
            (Some((b'h', b'2')), ('h', '2')),
            (Some((b'h', b'1')), ('h', '1')),
            (Some((b'Z', b'Z')), ('Z', 'Z')),
            (Some((0xab, 0xab)), ('a', 'b')),
            (Some((0xab, 0xcd)), ('a', 'd')),
            (Some((0x30, 0xab)), ('3', 'b')),
            (Some((0x30, 0xcd)), ('3', 'd')),
            (Some((0xab, 0x31)), ('a', '1')),
        ] {
            assert_eq!(alpn(ends), expected, "{ends:?}");
        }
    }
}
