//! What a listener said first: TLS, an alert, a greeting or something else. Pure.

use bytes::Bytes;

use crate::{
    event::{
        socket::{Class, FirstBytes, HelloSegment},
        time::Time,
    },
    protocol::{self, Guess, Protocol},
    tls::answer::{TlsAnswer, answer},
    update::Behaviour,
};

/// Most bytes that are kept.
const LIMIT_BYTES: usize = 64;

/// First bytes of a listener.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When the first of them were seen.
    pub time: Time,
    /// What the kernel took them for.
    pub class: Class,
    /// The bytes; none when they stayed in the kernel.
    pub bytes: Bytes,
    /// The listener had nothing of the client when it said this.
    pub is_crossing: bool,
    /// How much the first packet held.
    pub packet_bytes: u32,
}

impl Answer {
    /// The first packet.
    pub fn begin(first: &FirstBytes, is_crossing: bool) -> Self {
        let packet_bytes = first.payload_bytes;
        Self { time: first.time, class: first.class, bytes: first.data.clone(), is_crossing, packet_bytes }
    }

    /// A `ClientHello` that comes back.
    pub fn echo(segment: &HelloSegment) -> Self {
        let bytes = segment.data.slice(..segment.data.len().min(LIMIT_BYTES));
        let packet_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { time: segment.time, class: Class::Other, bytes, is_crossing: false, packet_bytes }
    }

    /// A later packet; what does not follow on what is there is left out.
    pub fn add(&mut self, offset: u32, data: &Bytes) {
        let known = self.bytes.len();
        let begin = offset as usize;
        if data.is_empty() || begin > known || known >= LIMIT_BYTES {
            return;
        }
        let new = data.get(known - begin..).unwrap_or_default();
        let fitting = &new[..new.len().min(LIMIT_BYTES - known)];
        self.bytes = [&self.bytes, fitting].concat().into();
    }

    /// What the listener speaks, and whether it greets, as far as the bytes tell.
    pub fn guess(&self) -> Option<Guess> {
        protocol::guess(&self.bytes).or_else(|| by_class(self.class))
    }

    /// What this is as an answer to a hello.
    pub fn behaviour(&self) -> Behaviour {
        // The class counts too: it was told from the packet, of which a small part may have left the kernel.
        match (answer(&self.bytes), self.class) {
            (TlsAnswer::ServerHello, _) | (_, Class::TlsHandshake) => Behaviour::Tls,
            (TlsAnswer::Alert { .. }, _) | (_, Class::TlsAlert) => Behaviour::TlsAlert,
            (TlsAnswer::NotTls | TlsAnswer::TooShort, _) => {
                let greets = self.is_crossing || self.guess().is_some_and(|guess| guess.greeting);
                if greets { Behaviour::SpokeFirst } else { Behaviour::Plaintext }
            }
        }
    }

    /// It is TLS of any kind.
    pub fn is_tls(&self) -> bool {
        matches!(self.behaviour(), Behaviour::Tls | Behaviour::TlsAlert)
    }
}

/// What the kernel's class alone tells of a listener.
fn by_class(class: Class) -> Option<Guess> {
    let (protocol, greeting) = match class {
        Class::HttpResponse => (Protocol::Http, false),
        Class::Redis => (Protocol::Redis, false),
        Class::MysqlGreeting => (Protocol::Mysql, true),
        Class::NatsInfo => (Protocol::Nats, true),
        Class::Ssh => (Protocol::Ssh, true),
        Class::Amqp => (Protocol::Amqp, false),
        Class::Mongodb => (Protocol::Mongodb, false),
        Class::Elasticsearch => (Protocol::Elasticsearch, false),
        // What only clients send.
        Class::Kafka
        | Class::Zookeeper
        | Class::Cassandra
        | Class::Mqtt
        | Class::Reply220
        | Class::Other
        | Class::Text
        | Class::TlsHandshake
        | Class::TlsAlert
        | Class::HttpRequest
        | Class::Http2Preface
        | Class::PostgresStartup => return None,
    };
    Some(Guess { protocol, greeting })
}

/// What a client's first bytes tell of the protocol.
pub fn client_protocol(class: Class) -> Option<Protocol> {
    match class {
        Class::HttpRequest => Some(Protocol::Http),
        Class::Http2Preface => Some(Protocol::Http2),
        Class::Redis => Some(Protocol::Redis),
        Class::PostgresStartup => Some(Protocol::Postgresql),
        Class::Amqp => Some(Protocol::Amqp),
        Class::Ssh => Some(Protocol::Ssh),
        Class::Kafka => Some(Protocol::Kafka),
        Class::Mongodb => Some(Protocol::Mongodb),
        Class::Zookeeper => Some(Protocol::Zookeeper),
        Class::Cassandra => Some(Protocol::Cassandra),
        Class::Elasticsearch => Some(Protocol::Elasticsearch),
        Class::Mqtt => Some(Protocol::Mqtt),
        Class::Other
        | Class::Text
        | Class::TlsHandshake
        | Class::TlsAlert
        | Class::HttpResponse
        | Class::MysqlGreeting
        | Class::NatsInfo
        | Class::Reply220 => None,
    }
}
