//! First bytes of real servers, and of ones built by the specification, against what is to be guessed from
//! them.

use proptest::prelude::{any, prop, proptest};

use super::{Guess, Protocol, guess};

/// First bytes, the protocol, whether they are a greeting.
///
/// Recorded on loopback, unless said otherwise, from Redis 7.0.15, memcached 1.6.18, NATS, nginx 1.22.1,
/// MariaDB 10.11, PostgreSQL 15 and RabbitMQ: as an answer to a sidecar's ClientHello, to a plaintext client,
/// or unasked.
const VECTORS: [(&[u8], Protocol, bool); 56] = [
    (b"-ERR max number of clients reached\r\n", Protocol::Redis, true),
    (b"-ERR unknown command '\x16\x03\x01\x06', with args beginning with: \r\n", Protocol::Redis, false),
    (b"-ERR Protocol error: invalid multibulk length\r\n", Protocol::Redis, false),
    (b"+PONG\r\n", Protocol::Redis, false),
    (b"$-1\r\n", Protocol::Redis, false),
    // From src/networking.c and the RESP specification.
    (b"-DENIED Redis is running in protected mode because protected mo", Protocol::Redis, true),
    (b"-NOAUTH Authentication required.\r\n", Protocol::Redis, false),
    (b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n", Protocol::Redis, false),
    (b"*2\r\n$1\r\na\r\n", Protocol::Redis, false),
    (b":1\r\n", Protocol::Redis, false),
    (b"ERROR\r\n", Protocol::Memcached, false),
    (
        b"ERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nE",
        Protocol::Memcached,
        false,
    ),
    (b"VERSION 1.6.18\r\n", Protocol::Memcached, false),
    (b"STORED\r\n", Protocol::Memcached, false),
    (b"VALUE a 0 1\r\nx\r\nEND\r\n", Protocol::Memcached, false),
    (b"END\r\n", Protocol::Memcached, false),
    // From memcached.c.
    (b"ERROR Too many open connections\r\n", Protocol::Memcached, true),
    (b"INFO {\"server_id\":\"NAP4M3XVMOODQUIY5MDFFEEIQBUQUWQ3B73WTUF6ZKCB2", Protocol::Nats, true),
    (b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 No", Protocol::Http, false),
    (
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00",
        Protocol::Http2,
        true,
    ),
    // gRPC-Go: no settings at all. Then a GOAWAY, RFC 9113, section 6.8.
    (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Protocol::Http2, true),
    (b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", Protocol::Http2, false),
    (
        b"d\x00\x00\x00\n5.5.5-10.11.19-MariaDB-0+deb12u1\x00\x04\x00\x00\x00*;.pnWJJ\x00\xfe\xf7",
        Protocol::Mysql,
        true,
    ),
    (b"\x17\x00\x00\x00\xff\x10\x04Too many connections", Protocol::Mysql, true),
    // From the MySQL source documentation, and an error as MySQL 8 writes it.
    (b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00", Protocol::Mysql, true),
    (b"\x45\x00\x00\x00\xff\x6a\x04Host '10.1.1.25' is not allowed to connect", Protocol::Mysql, true),
    (b"N", Protocol::Postgresql, false),
    (b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00", Protocol::Postgresql, false),
    (
        b"E\x00\x00\x00ySFATAL\x00VFATAL\x00C28000\x00Mno PostgreSQL user name specified",
        Protocol::Postgresql,
        false,
    ),
    (b"EFATAL:  unsupported frontend protocol 1.0: server supports 3.0 ", Protocol::Postgresql, false),
    (b"AMQP\x00\x00\x09\x01", Protocol::Amqp, false),
    (
        b"\x01\x00\x00\x00\x00\x01\xf1\x00\n\x00\n\x00\t\x00\x00\x01\xcc\x0ccapabilities",
        Protocol::Amqp,
        false,
    ),
    // All further ones by the specifications that the code names.
    (b"R\x00\x00\x00\x0c\x00\x00\x00\x05\x01\x02\x03\x04", Protocol::Postgresql, false),
    (b"220 mail.example.com ESMTP Postfix\r\n", Protocol::Smtp, true),
    (b"421 4.7.0 mail.example.com Error: too many SMTP connections\r\n", Protocol::Smtp, true),
    (b"220 (vsFTPd 3.0.3)\r\n", Protocol::Ftp, true),
    (b"220-FileZilla Server 1.8.1\r\n", Protocol::Ftp, true),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", Protocol::Ssh, true),
    (b"RFB 003.008\n", Protocol::Vnc, true),
    (b"* OK [CAPABILITY IMAP4rev1 SASL-IR] Dovecot ready.\r\n", Protocol::Imap, true),
    (b"+OK Dovecot ready.\r\n", Protocol::Pop3, true),
    (
        b"\x85\x00\x00\x00\x00\x00\x00\x00\x35\x00\x00\x00\x0a\x00\x2fInvalid or unsupported protocol",
        Protocol::Cassandra,
        false,
    ),
    (b"\x84\x00\x00\x01\x02\x00\x00\x00\x00", Protocol::Cassandra, false),
    (b"\x84\x00\x00\x01\x03\x00\x00\x00\x31\x00\x2forg.apache.cassandra.auth", Protocol::Cassandra, false),
    (
        b"\x00\x00\x00\x25\x00\x00\x00\x00\x00\x00\x75\x30\x01\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x10",
        Protocol::Zookeeper,
        false,
    ),
    (
        b"\x5d\x01\x00\x00\x0b\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00",
        Protocol::Mongodb,
        false,
    ),
    (b"\x20\x02\x00\x05", Protocol::Mqtt, false),
    (
        b"ES\x00\x00\x00\x1d\x00\x00\x00\x00\x00\x00\x00\x01\x09\x00\x7f\xc7\x7f",
        Protocol::Elasticsearch,
        false,
    ),
    // From Redis, src/server.c; RabbitMQ with AMQP 1.0; PostgreSQL, an error before protocol 3; etcd by gRPC.
    (b"-LOADING Redis is loading the dataset in memory\r\n", Protocol::Redis, false),
    (b"AMQP\x03\x01\x00\x00", Protocol::Amqp, false),
    (b"HTTP/1.0 400 Bad request\r\n", Protocol::Http, false),
    (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close",
        Protocol::Http,
        false,
    ),
    (b"-ERR 'Unknown Protocol Operation'\r\n", Protocol::Nats, false),
    (b"SERVER_ERROR out of memory\r\n", Protocol::Memcached, false),
    (
        b"\x84\x00\x00\x00\x00\x00\x00\x00\x3d\x00\x00\x00\x0a\x00\x37Invalid or unsupported protocol",
        Protocol::Cassandra,
        false,
    ),
    (b"\x20\x03\x00\x84\x00", Protocol::Mqtt, false),
];

#[test]
fn servers_are_guessed() {
    for (bytes, protocol, greeting) in VECTORS {
        assert_eq!(guess(bytes), Some(Guess { protocol, greeting }), "{}", bytes.escape_ascii());
    }
}

#[test]
fn fewer_bytes_never_mislead() {
    for (bytes, protocol, greeting) in VECTORS {
        for there in 0..bytes.len() {
            let guessed = guess(&bytes[..there]);
            let right = guessed.is_none_or(|guess| guess == Guess { protocol, greeting });
            assert!(right, "{guessed:?} from {}", bytes[..there].escape_ascii());
        }
    }
}

#[test]
fn what_is_not_telling_is_not_guessed() {
    for bytes in [
        b"".as_slice(),
        b"S",
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"hello\r\n",
        b"-ERR",
        b"-ERR something else\r\n",
        b"+OK\r\n",
        b"$abc\r\n",
        b"220 ready\r\n",
        b"2200 FTP",
        b"554 no FTP here\r\n",
        // STOMP's ERROR frame.
        b"ERROR\r\nmessage:malformed frame\r\n",
        b"ERROR\nmessage:malformed frame\n",
        // Kafka: a length and a number that the client chose.
        b"\x00\x00\x01\x0e\x00\x00\x00\x01\x00\x00",
        // Like MySQL's handshake, but as packet number 1, with no version, or too short to be one.
        b"\x4a\x00\x00\x01\x0a8.0.36\x00",
        b"\x4a\x00\x00\x00\x0a\x00\x00",
        b"\x05\x00\x00\x00\x0a8.0\x00",
        // Like SETTINGS, but as an acknowledgement, and with half a setting.
        b"\x00\x00\x00\x04\x01\x00\x00\x00\x00",
        b"\x00\x00\x03\x04\x00\x00\x00\x00\x00",
        // Like CONNACK, but with more behind it.
        b"\x20\x02\x00\x00\x30",
        &[0; 64],
        &[0xff; 64],
    ] {
        assert_eq!(guess(bytes), None, "{}", bytes.escape_ascii());
    }
}

#[test]
fn names_are_stable() {
    for (protocol, name) in [
        (Protocol::Amqp, "amqp"),
        (Protocol::Cassandra, "cassandra"),
        (Protocol::Elasticsearch, "elasticsearch"),
        (Protocol::Ftp, "ftp"),
        (Protocol::Http, "http"),
        (Protocol::Http2, "http2"),
        (Protocol::Imap, "imap"),
        (Protocol::Kafka, "kafka"),
        (Protocol::Memcached, "memcached"),
        (Protocol::Mongodb, "mongodb"),
        (Protocol::Mqtt, "mqtt"),
        (Protocol::Mysql, "mysql"),
        (Protocol::Nats, "nats"),
        (Protocol::Pop3, "pop3"),
        (Protocol::Postgresql, "postgresql"),
        (Protocol::Redis, "redis"),
        (Protocol::Smtp, "smtp"),
        (Protocol::Ssh, "ssh"),
        (Protocol::Vnc, "vnc"),
        (Protocol::Zookeeper, "zookeeper"),
    ] {
        assert_eq!(protocol.to_string(), name);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        guess(&bytes);
    }

    #[test]
    fn no_damage_makes_it_fail(
        vector in prop::sample::select(&VECTORS[..]),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = vector.0.to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        guess(&bytes);
    }
}
