//! What first bytes are, in the words of events: one table for the kernel's records and for captures. Must not know either.

use mtlsnoop_ebpf::classify::Class as Kernel;

use crate::event::socket::Class;

/// The class that events know; none for a hello, which they tell in another way.
pub(super) fn of(class: Kernel) -> Option<Class> {
    Some(match class {
        Kernel::ClientHello | Kernel::MaybeClientHello => return None,
        Kernel::Other => Class::Other,
        Kernel::TlsHandshake => Class::TlsHandshake,
        Kernel::TlsAlert => Class::TlsAlert,
        Kernel::Text => Class::Text,
        Kernel::HttpRequest => Class::HttpRequest,
        Kernel::HttpResponse => Class::HttpResponse,
        Kernel::Http2Preface => Class::Http2Preface,
        Kernel::Redis => Class::Redis,
        Kernel::MysqlGreeting => Class::MysqlGreeting,
        Kernel::PostgresStartup => Class::PostgresStartup,
        Kernel::NatsInfo => Class::NatsInfo,
        Kernel::Reply220 => Class::Reply220,
        Kernel::Ssh => Class::Ssh,
        Kernel::Amqp => Class::Amqp,
        Kernel::Kafka => Class::Kafka,
        Kernel::Mongodb => Class::Mongodb,
        Kernel::Zookeeper => Class::Zookeeper,
        Kernel::Cassandra => Class::Cassandra,
        Kernel::Elasticsearch => Class::Elasticsearch,
        Kernel::Mqtt => Class::Mqtt,
    })
}
