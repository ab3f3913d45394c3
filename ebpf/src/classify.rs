//! What the first bytes of a direction look like, decided in the kernel so that payload need not leave it.

/// Most bytes that [`Class::of`] looks at.
pub const LOOK_BYTES: usize = 16;

/// What the first bytes of a direction look like. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Class {
    /// None of the below.
    Other = 0,
    /// A TLS handshake record with a `ClientHello` (RFC 8446 §5.1, §4).
    ClientHello = 1,
    /// The beginning of what may become a `ClientHello`: too few bytes to tell.
    MaybeClientHello = 2,
    /// A TLS handshake record with anything else.
    TlsHandshake = 3,
    /// A TLS alert record.
    TlsAlert = 4,
    /// Printable text of no known protocol.
    Text = 5,
    /// An HTTP/1 request line.
    HttpRequest = 6,
    /// An HTTP/1 status line.
    HttpResponse = 7,
    /// The HTTP/2 connection preface (RFC 9113 §3.4).
    Http2Preface = 8,
    /// A Redis request or reply (RESP).
    Redis = 9,
    /// A MySQL or `MariaDB` greeting: protocol version 10 after the packet header.
    MysqlGreeting = 10,
    /// A PostgreSQL startup packet, SSL request or cancel request.
    PostgresStartup = 11,
    /// `INFO {`, as NATS greets.
    NatsInfo = 12,
    /// `220 `, as SMTP and FTP greet.
    Reply220 = 13,
    /// `SSH-`.
    Ssh = 14,
    /// `AMQP`.
    Amqp = 15,
    /// A Kafka request of the kinds that clients begin with.
    Kafka = 16,
    /// A MongoDB message.
    Mongodb = 17,
    /// A ZooKeeper session request.
    Zookeeper = 18,
    /// A Cassandra (CQL) request of the kinds that clients begin with.
    Cassandra = 19,
    /// An Elasticsearch transport message.
    Elasticsearch = 20,
    /// An MQTT CONNECT.
    Mqtt = 21,
}

impl Class {
    /// Every class, for conversions and tables.
    pub const ALL: [Self; 22] = [
        Self::Other,
        Self::ClientHello,
        Self::MaybeClientHello,
        Self::TlsHandshake,
        Self::TlsAlert,
        Self::Text,
        Self::HttpRequest,
        Self::HttpResponse,
        Self::Http2Preface,
        Self::Redis,
        Self::MysqlGreeting,
        Self::PostgresStartup,
        Self::NatsInfo,
        Self::Reply220,
        Self::Ssh,
        Self::Amqp,
        Self::Kafka,
        Self::Mongodb,
        Self::Zookeeper,
        Self::Cassandra,
        Self::Elasticsearch,
        Self::Mqtt,
    ];

    /// The class with this number; `None` for one of a newer contract.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Classifies the first `length` bytes of a direction; `head` is zero beyond them.
    #[inline]
    pub fn of(head: &[u8; LOOK_BYTES], length: u32) -> Self {
        if head[0] == TLS_HANDSHAKE || head[0] == TLS_ALERT {
            return Self::of_tls(head, length);
        }
        if length >= 4
            && let Some(class) = Self::of_word(word(head, 0), head)
        {
            return class;
        }
        // Before the two below, which ask for less: Kafka's Metadata looks like protocol 3 of PostgreSQL.
        if let Some(class) = Self::of_frame(head, length) {
            return class;
        }
        if length >= 6 && head[3] == 0 && head[4] == MYSQL_PROTOCOL {
            return Self::MysqlGreeting;
        }
        if length >= 8 && word(head, 0) < POSTGRES_STARTUP_LIMIT && is_postgres_request(word(head, 4)) {
            return Self::PostgresStartup;
        }
        Self::of_text(head, length)
    }

    #[inline]
    fn of_tls(head: &[u8; LOOK_BYTES], length: u32) -> Self {
        // The record version's first byte is 3 in every TLS version (RFC 8446 §5.1: legacy_record_version).
        if length >= 2 && head[1] != 3 {
            return Self::Other;
        }
        if head[0] == TLS_ALERT {
            return if length >= 2 { Self::TlsAlert } else { Self::Other };
        }
        if length < 6 {
            return Self::MaybeClientHello;
        }
        if head[5] == CLIENT_HELLO { Self::ClientHello } else { Self::TlsHandshake }
    }

    #[inline]
    fn of_word(first: u32, head: &[u8; LOOK_BYTES]) -> Option<Self> {
        const fn of(text: [u8; 4]) -> u32 {
            u32::from_be_bytes(text)
        }
        const HTTP: u32 = of(*b"HTTP");
        const PRI: u32 = of(*b"PRI ");
        const GET: u32 = of(*b"GET ");
        const PUT: u32 = of(*b"PUT ");
        const POST: u32 = of(*b"POST");
        const HEAD: u32 = of(*b"HEAD");
        const DELE: u32 = of(*b"DELE");
        const OPTI: u32 = of(*b"OPTI");
        const PATC: u32 = of(*b"PATC");
        const CONN: u32 = of(*b"CONN");
        const INFO: u32 = of(*b"INFO");
        const R220: u32 = of(*b"220 ");
        const R220_MORE: u32 = of(*b"220-");
        const SSH: u32 = of(*b"SSH-");
        const AMQP: u32 = of(*b"AMQP");
        Some(match first {
            HTTP => Self::HttpResponse,
            PRI => Self::Http2Preface,
            GET | PUT | POST | HEAD | DELE | OPTI | PATC => Self::HttpRequest,
            // NATS clients say `CONNECT {`, HTTP proxies' clients `CONNECT host:port`.
            CONN if head[8] != b'{' => Self::HttpRequest,
            INFO if head[4] == b' ' && head[5] == b'{' => Self::NatsInfo,
            R220 | R220_MORE => Self::Reply220,
            SSH => Self::Ssh,
            AMQP => Self::Amqp,
            _ => return None,
        })
    }

    /// Messages whose own length is that of the packet: clients send the first one whole, and wait.
    #[inline]
    fn of_frame(head: &[u8; LOOK_BYTES], length: u32) -> Option<Self> {
        // The shortest is Cassandra's OPTIONS.
        if length < CASSANDRA_HEADER_BYTES {
            return None;
        }
        let first = word(head, 0);
        // Kafka: the length of what follows, then the request's kind and version, which is far below 256
        // (org.apache.kafka.common.protocol.ApiKeys: Metadata, SaslHandshake, ApiVersions).
        let is_kafka_kind = head[4] == 0 && matches!(head[5], 3 | 17 | 18) && head[6] == 0;
        if first == length - 4 && length >= KAFKA_SHORTEST_BYTES && is_kafka_kind {
            return Some(Self::Kafka);
        }
        // ZooKeeper: the length of a ConnectRequest, with or without the read-only flag, and protocol version 0
        // (zookeeper.jute).
        if first == length - 4 && (first == 44 || first == 45) && word(head, 4) == 0 {
            return Some(Self::Zookeeper);
        }
        // MongoDB: little-endian length, request, answered request, then OP_MSG, OP_QUERY or OP_COMPRESSED
        // (MongoDB manual, "Wire Protocol").
        if first.swap_bytes() == length
            && length >= MONGODB_HEADER_BYTES
            && matches!(word(head, 12).swap_bytes(), 2013 | 2004 | 2012)
        {
            return Some(Self::Mongodb);
        }
        // Cassandra: version 3 to 6, five flags, stream, STARTUP or OPTIONS, length
        // (doc/native_protocol_v5.spec, section 2).
        let cassandra_bytes = u32::from(head[7]) << 8 | u32::from(head[8]);
        if matches!(head[0], 3..=6)
            && head[1] <= 0x1f
            && matches!(head[4], 1 | 5)
            && head[5] == 0
            && head[6] == 0
            && length == CASSANDRA_HEADER_BYTES + cassandra_bytes
        {
            return Some(Self::Cassandra);
        }
        // Elasticsearch: `ES` and the length of what follows (org.elasticsearch.transport.TcpHeader).
        let elasticsearch_bytes = (first & 0xffff) << 16 | u32::from(head[4]) << 8 | u32::from(head[5]);
        if head[0] == b'E' && head[1] == b'S' && elasticsearch_bytes == length - 6 {
            return Some(Self::Elasticsearch);
        }
        // MQTT: CONNECT with a length of one byte, then the protocol's name (MQTT 3.1.1 and 5, section 3.1).
        let is_mqtt = word(head, 4) == u32::from_be_bytes(*b"MQTT") && head[2] == 0 && head[3] == 4;
        (head[0] == 0x10 && is_mqtt).then_some(Self::Mqtt)
    }

    #[inline]
    fn of_text(head: &[u8; LOOK_BYTES], length: u32) -> Self {
        let mut printable = length > 0;
        let mut index = 0;
        while index < LOOK_BYTES {
            let byte = head[index];
            let is_text = matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
            #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
            let within = (index as u32) < length;
            if within && !is_text {
                printable = false;
            }
            index += 1;
        }
        if !printable {
            return Self::Other;
        }
        // RESP (the Redis serialization protocol): a type byte, then a number or text up to CR LF.
        let resp = match head[0] {
            b'*' | b'$' | b':' => head[1].is_ascii_digit() || head[1] == b'-',
            b'+' | b'-' => head[1].is_ascii_uppercase(),
            _ => false,
        };
        if resp && length >= 4 { Self::Redis } else { Self::Text }
    }
}

/// TLS record type handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;
/// TLS record type alert (RFC 8446 §5.1).
const TLS_ALERT: u8 = 21;
/// Handshake type (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
/// Protocol version of every MySQL and `MariaDB` server since 3.21 (`HandshakeV10`), after a 3-byte length and a sequence of 0.
const MYSQL_PROTOCOL: u8 = 10;
/// PostgreSQL `MAX_STARTUP_PACKET_LENGTH` (src/include/libpq/pqcomm.h).
const POSTGRES_STARTUP_LIMIT: u32 = 10_001;

/// A Kafka request with the shortest header: length, kind, version, correlation, no client (version 1 of `RequestHeader.json`).
const KAFKA_SHORTEST_BYTES: u32 = 14;
/// A MongoDB message's header.
const MONGODB_HEADER_BYTES: u32 = 16;
/// A Cassandra frame's header.
const CASSANDRA_HEADER_BYTES: u32 = 9;

/// Protocol 3.x, `CancelRequestCode`, `NEGOTIATE_SSL_CODE`, `NEGOTIATE_GSS_CODE` (src/include/libpq/pqcomm.h).
#[inline]
fn is_postgres_request(code: u32) -> bool {
    code >> 16 == 3 || matches!(code, 80_877_102..=80_877_104)
}

#[inline]
fn word(head: &[u8; LOOK_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

/// How many bytes of a `ClientHello` its headers tell: what a reader needs of the stream to know.
pub const HELLO_HEADER_BYTES: usize = 9;

/// How many bytes of the stream the `ClientHello` takes, record headers included, told by its first 9 bytes.
///
/// A handshake message may be spread over several records (RFC 8446 §5.1); they are taken to have the size of the first.
#[inline]
pub fn hello_bytes(head: &[u8; LOOK_BYTES]) -> u32 {
    const RECORD_HEADER_BYTES: u32 = 5;
    const HANDSHAKE_HEADER_BYTES: u32 = 4;
    let record = u32::from(head[3]) << 8 | u32::from(head[4]);
    let message =
        HANDSHAKE_HEADER_BYTES + (u32::from(head[6]) << 16 | u32::from(head[7]) << 8 | u32::from(head[8]));
    if record == 0 || message <= record {
        return RECORD_HEADER_BYTES + message;
    }
    let records = message.div_ceil(record);
    message.saturating_add(records.saturating_mul(RECORD_HEADER_BYTES))
}

#[cfg(test)]
mod tests {
    use super::{Class, LOOK_BYTES, hello_bytes};

    fn head(bytes: &[u8]) -> ([u8; LOOK_BYTES], u32) {
        let mut head = [0; LOOK_BYTES];
        let length = bytes.len().min(LOOK_BYTES);
        head[..length].copy_from_slice(&bytes[..length]);
        (head, u32::try_from(bytes.len()).unwrap())
    }

    /// A session request of this many bytes in all, which states a length of its own.
    fn zookeeper_request<const BYTES: usize>(stated_bytes: u8) -> [u8; BYTES] {
        let mut request = [0; BYTES];
        request[3] = stated_bytes;
        request
    }

    #[test]
    fn tells_classes_apart() {
        let table: [(&[u8], Class); 44] = [
            (b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03", Class::ClientHello),
            (b"\x16", Class::MaybeClientHello),
            (b"\x16\x03\x01\x00\xc8", Class::MaybeClientHello),
            (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", Class::TlsHandshake),
            (b"\x16\x04\x03\x00\x7a\x02", Class::Other),
            (b"\x15\x03\x03\x00\x02\x02\x28", Class::TlsAlert),
            (b"\x15\x01\x00", Class::Other),
            (b"GET / HTTP/1.1\r\nHost: a", Class::HttpRequest),
            (b"CONNECT a.b:443 HTTP/1.1", Class::HttpRequest),
            (b"CONNECT {\"verbose\":false}", Class::Text),
            (b"HTTP/1.1 400 Bad Request\r\n", Class::HttpResponse),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Class::Http2Preface),
            (b"*1\r\n$4\r\nPING\r\n", Class::Redis),
            (b"+PONG\r\n", Class::Redis),
            (b"-ERR unknown command\r\n", Class::Redis),
            (b"PING\r\n", Class::Text),
            (b"\x59\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB", Class::MysqlGreeting),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Class::PostgresStartup),
            (b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00", Class::PostgresStartup),
            (b"INFO {\"server_id\":\"NA\"}", Class::NatsInfo),
            (b"INFO\r\n", Class::Text),
            (b"220 mail ESMTP\r\n", Class::Reply220),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Class::Ssh),
            (b"AMQP\x00\x00\x09\x01", Class::Amqp),
            (b"ERROR\r\n", Class::Text),
            // kafka-python and librdkafka begin with ApiVersions; the shortest has no client.
            (b"\x00\x00\x00\x0d\x00\x12\x00\x00\x00\x00\x00\x01\x00\x03abc", Class::Kafka),
            (b"\x00\x00\x00\x0a\x00\x12\x00\x03\x00\x00\x00\x01\xff\xff", Class::Kafka),
            (b"\x00\x00\x00\x0a\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff", Class::Kafka),
            (b"\x00\x00\x00\x0a\x00\x15\x00\x01\x00\x00\x00\x01\xff\xff", Class::Other),
            (b"\x00\x00\x00\x0b\x00\x12\x00\x03\x00\x00\x00\x01\xff\xff", Class::Other),
            (&zookeeper_request::<49>(45), Class::Zookeeper),
            (&zookeeper_request::<48>(44), Class::Zookeeper),
            (&zookeeper_request::<48>(45), Class::Other),
            (b"\x15\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00", Class::Other),
            (b"\x16\x03\x00\x00", Class::MaybeClientHello),
            (b"\x18\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", Class::Mongodb),
            (b"\x12\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00\x00\x00", Class::Mongodb),
            (b"\x04\x00\x00\x00\x05\x00\x00\x00\x00", Class::Cassandra),
            (b"\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00", Class::Cassandra),
            (b"\x04\x00\x00\x00\x07\x00\x00\x00\x00", Class::Other),
            (b"ES\x00\x00\x00\x04\x00\x00\x00\x01", Class::Elasticsearch),
            (b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab", Class::Mqtt),
            (b"\x00\x01\x02\x03", Class::Other),
            (b"", Class::Other),
        ];
        for (bytes, expected) in table {
            let (head, length) = head(bytes);
            assert_eq!(Class::of(&head, length), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn numbers_are_the_positions() {
        for (number, class) in (0_u16..).zip(Class::ALL) {
            assert_eq!(class as u16, number);
            assert_eq!(Class::from_number(number), Some(class));
        }
        assert_eq!(Class::from_number(22), None);
    }

    #[test]
    fn tells_how_long_a_hello_is() {
        let table: [(&[u8], u32); 4] = [
            (b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4", 5 + 200),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 517),
            // One message of 200 bytes in records of 100: two headers.
            (b"\x16\x03\x01\x00\x64\x01\x00\x00\xc4", 200 + 10),
            (b"\x16\x03\x01\x00\x00\x01\xff\xff\xff", 5 + 4 + 0xff_ffff),
        ];
        for (bytes, expected) in table {
            assert_eq!(hello_bytes(&head(bytes).0), expected, "{}", bytes.escape_ascii());
        }
    }
}
