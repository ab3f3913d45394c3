//! Mesh mTLS to servers that speak plaintext, each with its own way to react; nothing but the Service is declared.

use std::time::Duration;

use mtlsnoop_tests::{client, envoy::TlsVersion, server::Backend};

use crate::{
    at::SOON,
    expected::Wanted,
    situation::{Situation, mtls},
};

fn wanted(behaviour: &'static str, protocol: Option<&'static str>, confidence: &'static str) -> Wanted {
    let (code, cause) = ("mtls-to-plaintext", "headless-unconditional-mtls");
    Wanted { code, cause, behaviour, protocol, confidence }
}

fn behind(name: &'static str, told: &'static str, backend: Backend, port: u16) -> Situation {
    Situation::new(name, told)
        .through(mtls)
        .serves(backend, port)
        .istio("1.6.0")
        .when(|at| at.fails(b"PING\r\n"))
}

fn silent(name: &'static str, told: &'static str) -> Situation {
    behind(name, told, Backend::Redis, 6379).found(wanted("silent", None, "likely"))
}

pub(super) fn all() -> Vec<Situation> {
    let spoke = |behaviour, protocol| wanted(behaviour, Some(protocol), "certain");
    let mut all = vec![
        silent("redis", "Redis reads a mesh's hello and says nothing"),
        silent("redis-ipv6", "the same over IPv6").when(|at| at.fails_at(at.address_ipv6(), b"PING\r\n")),
        silent("redis-patient-sidecar", "the sidecar's connect timeout is longer than the app waits")
            .through(|mesh| mtls(mesh).connect_timeout(Duration::from_secs(4)))
            .when(|at| at.waits(&[b"PING\r\n"], Duration::from_millis(1500), "open").map(drop)),
        silent("redis-large-hello", "a post-quantum hello, larger than a segment")
            .through(|mesh| mtls(mesh).tls_version(TlsVersion::V1_3).curves(&["X25519MLKEM768"])),
        silent("redis-many", "thirty connections at once are one finding").when(|at| {
            let sending = client::Sending::pieces(&[b"PING\r\n"]).on_connections(30).waiting(SOON);
            sending.run_all(at.app()?, at.address()).map(drop)
        }),
        silent("redis-known-plaintext", "a client without a sidecar is served")
            .bystander()
            .when(|at| {
                at.bystander_pings()?;
                at.fails(b"PING\r\n")
            })
            .found(wanted("silent", Some("redis"), "certain")),
    ];
    all.extend([
        behind("memcached", "memcached answers ERROR", Backend::Memcached, 11211)
            .found(spoke("plaintext", "memcached")),
        behind("nginx", "nginx answers 400", Backend::Nginx, 8080).found(spoke("plaintext", "http")),
        behind("haproxy", "HAProxy answers 400", Backend::HaProxy, 8080).found(spoke("plaintext", "http")),
        behind("rabbitmq", "RabbitMQ answers with its own header", Backend::RabbitMq, 5672)
            .found(spoke("plaintext", "amqp")),
        behind("mariadb", "MariaDB greets first", Backend::MariaDb, 3306)
            .found(spoke("spoke-first", "mysql")),
        behind("nats", "NATS greets first", Backend::Nats, 4222).found(spoke("spoke-first", "nats")),
        behind("mail", "a mail server greets first", Backend::SmtpTls, 2525).found(wanted(
            "spoke-first",
            None,
            "certain",
        )),
        behind("http2", "a server of HTTP/2 sends its settings first", Backend::NginxHttp2, 8080)
            .found(spoke("spoke-first", "http2")),
        behind("postgresql", "PostgreSQL closes", Backend::Postgres, 5432)
            .found(wanted("closed", None, "likely")),
        behind(
            "postgresql-tls",
            "PostgreSQL with TLS closes too: it wants to be asked first",
            Backend::PostgresTls,
            5432,
        )
        .found(wanted("closed", None, "likely")),
        behind("zookeeper", "ZooKeeper closes", Backend::ZooKeeper, 2181).found(wanted(
            "closed or reset",
            None,
            "likely",
        )),
        behind("etcd", "etcd closes", Backend::Etcd, 2379).found(wanted("closed or reset", None, "likely")),
        behind("closes", "an unknown server closes", Backend::Closes, 7001)
            .found(wanted("closed", None, "likely")),
        behind("resets", "an unknown server resets", Backend::Resets, 7002)
            .found(wanted("reset", None, "likely")),
        behind("never-reads", "an unknown server accepts and never reads", Backend::NeverReads, 7003)
            .found(wanted("silent", None, "likely")),
    ]);
    all
}
