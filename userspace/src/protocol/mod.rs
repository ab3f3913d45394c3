//! Guesses the protocol of a server from the first bytes it sent; must not know who it is or what it was
//! asked.

#![deny(clippy::disallowed_methods)]

mod binary;
mod text;

use std::fmt;

/// A protocol that its servers or its clients give away by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// AMQP 0-9-1 and 1.0 (RabbitMQ and others).
    Amqp,
    /// Cassandra's native protocol (CQL), version 3 and later.
    Cassandra,
    /// Elasticsearch's transport between its nodes.
    Elasticsearch,
    /// FTP.
    Ftp,
    /// HTTP/1.0 and HTTP/1.1.
    Http,
    /// HTTP/2 without TLS, which gRPC uses.
    Http2,
    /// IMAP.
    Imap,
    /// Kafka. Its clients alone: answers are two numbers that the client chose.
    Kafka,
    /// memcached's text protocol.
    Memcached,
    /// MongoDB.
    Mongodb,
    /// MQTT.
    Mqtt,
    /// MySQL and MariaDB.
    Mysql,
    /// NATS.
    Nats,
    /// POP3.
    Pop3,
    /// PostgreSQL.
    Postgresql,
    /// Redis, Valkey and others that speak RESP.
    Redis,
    /// SMTP.
    Smtp,
    /// SSH.
    Ssh,
    /// VNC (RFB).
    Vnc,
    /// ZooKeeper.
    Zookeeper,
}

impl Protocol {
    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amqp => "amqp",
            Self::Cassandra => "cassandra",
            Self::Elasticsearch => "elasticsearch",
            Self::Ftp => "ftp",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Imap => "imap",
            Self::Kafka => "kafka",
            Self::Memcached => "memcached",
            Self::Mongodb => "mongodb",
            Self::Mqtt => "mqtt",
            Self::Mysql => "mysql",
            Self::Nats => "nats",
            Self::Pop3 => "pop3",
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Smtp => "smtp",
            Self::Ssh => "ssh",
            Self::Vnc => "vnc",
            Self::Zookeeper => "zookeeper",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server's first bytes say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guess {
    /// The protocol that the server speaks.
    pub protocol: Protocol,
    /// Whether a server sends these bytes unasked, as soon as a client connects. They are no answer then,
    /// even if they came after the client had sent something.
    pub greeting: bool,
}

/// Guesses from the first bytes that a server sent; `None` unless they are telling.
///
/// They are taken to be all that came in the server's first segment, cut at 64 bytes: a few short answers are
/// known by being nothing more.
pub fn guess(first_bytes: &[u8]) -> Option<Guess> {
    text::guess(first_bytes).or_else(|| binary::guess(first_bytes))
}

const fn greeting(protocol: Protocol) -> Guess {
    Guess { protocol, greeting: true }
}

const fn answer(protocol: Protocol) -> Guess {
    Guess { protocol, greeting: false }
}

#[cfg(test)]
mod tests;
