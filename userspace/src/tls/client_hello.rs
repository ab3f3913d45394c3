//! Reads a TLS ClientHello from the first bytes of a connection; must not know who sent it or why.

use thiserror::Error;
use tls_parser::{TlsClientHelloContents, parse_tls_handshake_client_hello};

use super::extensions;
use super::grease::without_grease;
use super::record::{Gathered, client_hello_message};

/// The longest ClientHello that is read, record headers included: as much as the kernel side captures.
pub const MAX_HELLO_BYTES: usize = 4096;

/// What a client said in its ClientHello. GREASE values (RFC 8701) are left out everywhere but in `alpn`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`: the version itself up to TLS 1.2, 0x0303 from TLS 1.3 on.
    pub legacy_version: u16,
    /// The server name, not checked to be a hostname: meshes put names with `_` and `|` there. Bytes that are
    /// not visible ASCII, and the backslash, are written `\xHH`.
    pub sni: Option<Box<str>>,
    /// The application protocols offered, in the order sent, escaped like `sni`; GREASE ids are escaped as a
    /// whole.
    pub alpn: Vec<Box<str>>,
    /// First and last byte of the first application protocol, as sent.
    pub first_alpn_ends: Option<(u8, u8)>,
    /// The `supported_versions` extension, in the order sent.
    pub versions: Vec<u16>,
    /// The `supported_groups` extension, in the order sent.
    pub groups: Vec<u16>,
    /// The cipher suites, in the order sent.
    pub ciphers: Vec<u16>,
    /// The extension types, in the order sent.
    pub extensions: Vec<u16>,
    /// The `signature_algorithms` extension, in the order sent.
    pub signature_algorithms: Vec<u16>,
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A whole ClientHello; anything after it was not looked at.
    Hello(ClientHello),
    /// So far the beginning of a ClientHello.
    Incomplete {
        /// How many bytes more it takes at least; known once the message has told its length.
        needed_bytes: Option<usize>,
    },
    /// No ClientHello, however many bytes follow.
    NotHello(Reason),
}

/// Why bytes are not a ClientHello that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// A record is not a handshake record.
    #[error("content type {found} instead of handshake (22)")]
    ContentType {
        /// The content type that is there instead.
        found: u8,
    },
    /// A record names no version of TLS or SSL 3.0.
    #[error("record version is not SSL 3.0 or TLS")]
    RecordVersion,
    /// A record is empty or longer than TLS allows.
    #[error("record of {length_bytes} bytes, where TLS allows 1 to 16384")]
    RecordLength {
        /// The length that the record states.
        length_bytes: usize,
    },
    /// The first handshake message is another one.
    #[error("handshake message {found} instead of ClientHello (1)")]
    MessageType {
        /// The message type that is there instead.
        found: u8,
    },
    /// With its record headers the message is longer than [`MAX_HELLO_BYTES`].
    #[error("ClientHello longer than {MAX_HELLO_BYTES} bytes")]
    TooLong,
    /// The fixed part of the message contradicts the message's length.
    #[error("lengths inside the ClientHello do not add up")]
    Fields,
    /// `legacy_version` is neither TLS nor SSL 3.0.
    #[error("ClientHello version {found:#06x} is not SSL 3.0 or TLS")]
    Version {
        /// The version that is there instead.
        found: u16,
    },
    /// The list of extensions ends in the middle of one.
    #[error("the list of extensions is cut short")]
    ExtensionList,
    /// The content of a known extension contradicts its length.
    #[error("lengths inside extension {id} do not add up")]
    Extension {
        /// The extension type.
        id: u16,
    },
    /// An extension is there twice, which RFC 8446, section 4.2, forbids.
    #[error("extension {id} is there twice")]
    RepeatedExtension {
        /// The extension type.
        id: u16,
    },
}

/// Reads the first bytes that a client sent.
///
/// The bytes may end anywhere, and the message may be cut into several records. Every beginning of a good
/// ClientHello is [`Reading::Incomplete`]; a message that contradicts itself is [`Reading::NotHello`], for no
/// part of it can be trusted.
pub fn parse(bytes: &[u8]) -> Reading {
    let read = client_hello_message(bytes).and_then(|gathered| match gathered {
        Gathered::Missing(needed_bytes) => Ok(Reading::Incomplete { needed_bytes }),
        Gathered::Whole(message) => read_message(&message).map(Reading::Hello),
    });
    read.unwrap_or_else(Reading::NotHello)
}

fn read_message(message: &[u8]) -> Result<ClientHello, Reason> {
    let (after, contents) = parse_tls_handshake_client_hello(message).map_err(|_| Reason::Fields)?;
    let TlsClientHelloContents { version, ciphers, ext, .. } = contents;
    if version.0 >> 8 != 3 {
        return Err(Reason::Version { found: version.0 });
    }
    // The parser leaves a list that is longer than the message as what comes after the message.
    if !after.is_empty() {
        return Err(if ext.is_none() { Reason::ExtensionList } else { Reason::Fields });
    }
    let mut hello = ClientHello {
        legacy_version: version.0,
        ciphers: without_grease(ciphers.iter().map(|cipher| cipher.0)),
        ..ClientHello::default()
    };
    extensions::read(ext.unwrap_or_default(), &mut hello)?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, proptest};
    use proptest::sample::select;
    use proptest::{prop_assert, prop_assert_eq};

    use super::{ClientHello, MAX_HELLO_BYTES, Reading, Reason, parse};
    use crate::tls::samples;

    const REDIS: &str = "outbound_.6379_._.redis.default.svc.cluster.local";

    fn alpn(hello: &ClientHello) -> Vec<&str> {
        hello.alpn.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn recorded_hellos_are_read() {
        for (sample, sni, alpn_offered, versions, groups) in [
            (
                samples::ISTIO_TLS12,
                Some(REDIS),
                &["istio-peer-exchange", "istio"][..],
                &[][..],
                &[0x1d, 0x17][..],
            ),
            (
                samples::ISTIO_TLS13,
                Some(REDIS),
                &["istio-peer-exchange", "istio"],
                &[0x304, 0x303],
                &[0x1d, 0x17],
            ),
            (samples::ISTIO_PQ, Some(REDIS), &["istio-peer-exchange", "istio"], &[0x304, 0x303], &[0x11ec]),
            (
                samples::OPENSSL_TLS13,
                Some("redis.example.com"),
                &[],
                &[0x304, 0x303, 0x302, 0x301],
                &[0x1d, 0x17, 0x1e, 0x19, 0x18, 0x100, 0x101, 0x102, 0x103, 0x104],
            ),
            (samples::OPENSSL_TLS12, None, &[], &[], &[0x1d, 0x17, 0x1e, 0x19, 0x18]),
            (
                samples::CHROME,
                Some("content-autofill.googleapis.com"),
                &["h2", "http/1.1"],
                &[0x304, 0x303],
                &[0x1d, 0x17, 0x18],
            ),
        ] {
            let hello = samples::hello(sample);
            assert_eq!(hello.legacy_version, 0x303);
            assert_eq!(hello.sni.as_deref(), sni);
            assert_eq!(alpn(&hello), alpn_offered);
            assert_eq!(hello.versions, versions);
            assert_eq!(hello.groups, groups);
        }
    }

    #[test]
    fn a_hello_over_several_records_is_read() {
        let hello = samples::hello(samples::OPENSSL_FRAGMENTED);
        assert_eq!(hello.sni.as_deref(), Some("redis.example.com"));
        assert_eq!((hello.alpn.len(), hello.alpn.last().map(AsRef::as_ref)), (90, Some("proto-089")));
    }

    #[test]
    fn what_contradicts_itself_is_not_trusted() {
        for (extensions, reason) in [
            // One whole extension (extended_master_secret), then half of the next.
            (&[0, 23, 0, 0, 0][..], Reason::ExtensionList),
            (&[0, 23, 0, 9, 0], Reason::ExtensionList),
            (&[0, 23, 0, 0, 0, 23, 0, 0], Reason::RepeatedExtension { id: 23 }),
            // A server name of 9 bytes in a list of 5.
            (&[0, 0, 0, 7, 0, 5, 0, 0, 9, b'a', b'b'], Reason::Extension { id: 0 }),
            // A protocol id of 9 bytes where 5 are left.
            (&[0, 16, 0, 8, 0, 6, 9, b'i', b's', b't', b'i', b'o'], Reason::Extension { id: 16 }),
            // Lists that are not as long as they say.
            (&[0, 43, 0, 3, 4, 3, 4], Reason::Extension { id: 43 }),
            (&[0, 43, 0, 2, 3, 4], Reason::Extension { id: 43 }),
            (&[0, 10, 0, 4, 0, 1, 0, 29], Reason::Extension { id: 10 }),
            (&[0, 13, 0, 5, 0, 3, 4, 3, 8], Reason::Extension { id: 13 }),
        ] {
            let bytes = samples::hello_with(extensions);
            assert_eq!(parse(&bytes), Reading::NotHello(reason), "{extensions:?}");
        }
    }

    #[test]
    fn unknown_and_odd_extensions_are_tolerated() {
        for (extensions, ids, sni) in [
            (&[][..], &[][..], None),
            (&[0xab, 0xcd, 0, 2, 1, 2], &[0xabcd], None),
            // GREASE twice, and a key share that is nonsense.
            (&[0x0a, 0x0a, 0, 0, 0x0a, 0x0a, 0, 0, 0, 51, 0, 1, 9], &[51], None),
            // A server name list without an entry, and one with a name of an unknown kind first.
            (&[0, 0, 0, 0], &[0], None),
            (&[0, 0, 0, 10, 0, 8, 7, 0, 1, b'x', 0, 0, 1, b'y'], &[0], Some("y")),
            (&[0, 0, 0, 7, 0, 5, 0, 0, 2, b'a', 0xff], &[0], Some(r"a\xff")),
        ] {
            let Reading::Hello(hello) = parse(&samples::hello_with(extensions)) else {
                panic!("{extensions:?}")
            };
            assert_eq!((hello.extensions.as_slice(), hello.sni.as_deref()), (ids, sni));
        }
    }

    #[test]
    fn other_bytes_are_no_hello() {
        let oversized = [&[22, 3, 1, 0x10, 0, 1, 0, 0x0f, 0xfc, 3, 3], [0; 100].as_slice()].concat();
        for (bytes, reason) in [
            (b"GET / HTTP/1.1\r\n".as_slice(), Reason::ContentType { found: b'G' }),
            (b"\x15\x03\x01\x00\x02\x02\x46", Reason::ContentType { found: 0x15 }),
            (b"\x16\x02", Reason::RecordVersion),
            (b"\x16\x03\x05", Reason::RecordVersion),
            (b"\x16\x03\x01\x00\x00", Reason::RecordLength { length_bytes: 0 }),
            (b"\x16\x03\x01\x40\x01", Reason::RecordLength { length_bytes: 16385 }),
            (b"\x16\x03\x01\x00\x7a\x02", Reason::MessageType { found: 2 }),
            (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Reason::Fields),
            // The second record is application data.
            (b"\x16\x03\x01\x00\x01\x01\x17\x03\x03\x00\x01", Reason::ContentType { found: 0x17 }),
            (&oversized, Reason::TooLong),
        ] {
            assert_eq!(parse(bytes), Reading::NotHello(reason));
        }
    }

    #[test]
    fn a_hello_of_an_impossible_version_is_refused() {
        let mut bytes = samples::bytes(samples::ISTIO_TLS12);
        bytes[9] = 2;
        assert_eq!(parse(&bytes), Reading::NotHello(Reason::Version { found: 0x203 }));
    }

    #[test]
    fn what_is_needed_is_told() {
        let bytes = samples::bytes(samples::ISTIO_TLS12);
        for (there, needed_bytes) in
            [(0, None), (1, None), (5, None), (8, None), (9, Some(196)), (204, Some(1))]
        {
            assert_eq!(parse(&bytes[..there]), Reading::Incomplete { needed_bytes }, "{there}");
        }
        // Three records of 512, 512 and 200 bytes: one header ahead is all that can be known.
        let bytes = samples::bytes(samples::OPENSSL_FRAGMENTED);
        for (there, needed_bytes) in [(9, 1225), (516, 718), (517, 717), (519, 715), (1034, 205), (1238, 1)] {
            let needed_bytes = Some(needed_bytes);
            assert_eq!(parse(&bytes[..there]), Reading::Incomplete { needed_bytes }, "{there}");
        }
    }

    #[test]
    fn every_beginning_of_a_hello_is_incomplete() {
        for sample in samples::ALL {
            let bytes = samples::bytes(sample);
            for there in 0..bytes.len() {
                let Reading::Incomplete { needed_bytes } = parse(&bytes[..there]) else {
                    panic!("{there} bytes of {sample}");
                };
                assert!(needed_bytes.is_none_or(|needed| needed > 0 && there + needed <= bytes.len()));
            }
        }
    }

    /// A recorded hello, cut anew into records of the given sizes; the last size is for all the rest.
    fn recut(sample: &str, record_bytes: &[usize]) -> Vec<u8> {
        let bytes = samples::bytes(sample);
        let (mut rest, mut cut) = (&bytes[5..], Vec::new());
        for &size in record_bytes {
            let (part, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if !part.is_empty() {
                cut.extend(samples::record(part));
            }
        }
        if rest.is_empty() { cut } else { [cut, samples::record(rest)].concat() }
    }

    #[test]
    fn record_headers_count_towards_the_bound() {
        let bloated = recut(samples::ISTIO_PQ, &[1; 1477]);
        assert_eq!(bloated.len(), 1477 * 6);
        for there in [MAX_HELLO_BYTES, bloated.len()] {
            assert_eq!(parse(&bloated[..there]), Reading::NotHello(Reason::TooLong), "{there}");
        }

        let large = recut(samples::ISTIO_PQ, &[1; 500]);
        assert!(large.len() < MAX_HELLO_BYTES);
        assert_eq!(parse(&large), parse(&samples::bytes(samples::ISTIO_PQ)));
    }

    /// Samples that came in one record.
    fn unfragmented() -> impl Strategy<Value = &'static str> {
        let whole: Vec<_> =
            samples::ALL.into_iter().filter(|&sample| sample != samples::OPENSSL_FRAGMENTED).collect();
        select(whole)
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..6000)) {
            parse(&bytes);
        }

        #[test]
        fn no_damage_makes_it_fail(
            sample in select(&samples::ALL[..]),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            end in any::<prop::sample::Index>(),
        ) {
            let mut bytes = samples::bytes(sample);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            parse(&bytes[..=end.index(bytes.len())]);
        }

        #[test]
        fn no_list_of_extensions_makes_it_fail(list in prop::collection::vec(any::<u8>(), 0..300)) {
            parse(&samples::hello_with(&list));
        }

        #[test]
        fn how_it_is_cut_into_records_does_not_matter(
            sample in unfragmented(),
            cuts in prop::collection::vec(1_usize..400, 0..12),
            after in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let bytes = recut(sample, &cuts);
            let whole = parse(&bytes);
            prop_assert_eq!(&whole, &parse(&samples::bytes(sample)));
            prop_assert!(matches!(whole, Reading::Hello(_)));
            for there in 0..bytes.len() {
                prop_assert!(matches!(parse(&bytes[..there]), Reading::Incomplete { .. }), "{} bytes", there);
            }
            prop_assert_eq!(parse(&[bytes, after].concat()), whole);
        }
    }
}
