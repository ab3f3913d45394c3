//! Clients and servers without a mesh, in plaintext: nothing is found.

use anyhow::ensure;
use mtlsnoop_tests::{client, server::Backend};

use crate::{
    at::{A_MOMENT, SOON, pings},
    situation::Situation,
};

fn plain(name: &'static str, told: &'static str, backend: Backend, port: u16) -> Situation {
    Situation::new(name, told).serves(backend, port)
}

pub(super) fn all() -> Vec<Situation> {
    [asking(), databases(), http()].into_iter().flatten().collect()
}

fn asking() -> Vec<Situation> {
    vec![
        plain("plain-redis", "plaintext to Redis", Backend::Redis, 6379).when(pings),
        plain("plain-redis-ipv6", "the same over IPv6", Backend::Redis, 6379)
            .when(|at| at.pings_at(at.address_ipv6())),
        plain("plain-memcached", "plaintext to memcached", Backend::Memcached, 11211)
            .when(|at| at.gets(b"version\r\n", b"VERSION ")),
        plain("plain-zookeeper", "plaintext to ZooKeeper", Backend::ZooKeeper, 2181)
            .when(|at| at.gets(b"srvr", b"Zookeeper version")),
        plain("plain-etcd", "HTTP to etcd", Backend::Etcd, 2379).when(|at| at.curls(&["http://{}/version"])),
        plain("plain-rabbitmq", "AMQP to RabbitMQ", Backend::RabbitMq, 5672)
            .when(|at| at.gets(b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00")),
        plain("plain-nats", "a client of NATS", Backend::Nats, 4222)
            .when(|at| at.gets(b"CONNECT {}\r\nPING\r\n", b"INFO ")),
    ]
}

fn databases() -> Vec<Situation> {
    vec![
        plain(
            "postgresql-n",
            "PostgreSQL says N when it is asked for TLS, and the client goes on",
            Backend::Postgres,
            5432,
        )
        .when(|at| {
            let output = client::psql(at.app()?, at.address(), "prefer", "SELECT 1")?.wait(SOON)?;
            ensure!(output.stdout == "1\n", "{}{}", output.stdout, output.stderr);
            Ok(())
        }),
        plain("postgresql-s", "PostgreSQL says S when it is asked for TLS", Backend::PostgresTls, 5432).when(
            |at| {
                let output = client::psql(at.app()?, at.address(), "require", "SELECT 1")?.wait(SOON)?;
                ensure!(output.stdout == "1\n", "{}{}", output.stdout, output.stderr);
                Ok(())
            },
        ),
        plain(
            "postgresql-refused",
            "the client insists on TLS, and PostgreSQL has none",
            Backend::Postgres,
            5432,
        )
        .when(|at| {
            let output = client::psql(at.app()?, at.address(), "require", "SELECT 1")?.wait(SOON)?;
            ensure!(!output.status.success(), "{}", output.stdout);
            Ok(())
        }),
        plain("mysql", "a client of MariaDB", Backend::MariaDb, 3306).when(|at| {
            let output = client::mariadb(at.app()?, at.address(), &[], "SELECT 1")?.wait(SOON)?;
            ensure!(output.stdout == "1\n", "{}{}", output.stdout, output.stderr);
            Ok(())
        }),
        plain("mysql-tls", "MariaDB goes on with TLS after its greeting", Backend::MariaDbTls, 3306).when(
            |at| {
                let ask = "SHOW STATUS LIKE 'Ssl_cipher'";
                let output = client::mariadb(at.app()?, at.address(), &["--ssl"], ask)?.wait(SOON)?;
                ensure!(output.stdout.contains("TLS_"), "no TLS: {}{}", output.stdout, output.stderr);
                Ok(())
            },
        ),
        plain("mail-starttls", "a mail server goes on with TLS after STARTTLS", Backend::SmtpTls, 2525)
            .when(|at| at.openssl_connects(&["-starttls", "smtp"])),
    ]
}

fn http() -> Vec<Situation> {
    vec![
        plain("http", "HTTP", Backend::Nginx, 8080).when(|at| at.curls(&["http://{}/"])),
        plain(
            "http-idle",
            "the server closes a connection that was kept alive and idle",
            Backend::Nginx,
            8080,
        )
        .when(|at| at.waits(&[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], SOON, "eof").map(drop)),
        plain("http2-plain", "HTTP/2 without TLS", Backend::NginxHttp2, 8080)
            .when(|at| at.curls(&["--http2-prior-knowledge", "http://{}/"])),
        plain("grpc-preface", "the first frames of a gRPC client", Backend::NginxHttp2, 8080).when(|at| {
            // RFC 9113, section 3.4: the preface and an empty SETTINGS frame.
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
            at.waits(&[preface], A_MOMENT, "open").map(drop)
        }),
        plain("websocket", "a web socket", Backend::Websocket, 8080).when(|at| {
            let request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            at.gets(request, b"HTTP/1.1 101")
        }),
        plain("http-to-https", "plain HTTP to a server of HTTPS", Backend::NginxTls, 8443)
            .when(|at| at.gets(b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 400")),
    ]
}
