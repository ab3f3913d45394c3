//! Real servers in a container, each ready when it has answered; it must not know who will connect to them.

mod coordination;
mod database;
mod listener;
mod message;
mod probe;
mod store;
mod web;

use anyhow::Result;

use crate::certificate::Authority;
use crate::container::Container;
use crate::pod::Pod;
use crate::process::Process;

use self::probe::Probe;

/// A program that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Redis.
    Redis,
    /// memcached.
    Memcached,
    /// `PostgreSQL` without TLS.
    Postgres,
    /// `PostgreSQL` that goes on with TLS when its client asks for it.
    PostgresTls,
    /// `MariaDB` without TLS.
    MariaDb,
    /// `MariaDB` that goes on with TLS when its client asks for it.
    MariaDbTls,
    /// `ZooKeeper`.
    ZooKeeper,
    /// etcd on plain HTTP/2 and HTTP.
    Etcd,
    /// `RabbitMQ`.
    RabbitMq,
    /// NATS.
    Nats,
    /// nginx on plain HTTP. It closes a connection that was idle for a second.
    Nginx,
    /// nginx on plain HTTP/2 and nothing else.
    NginxHttp2,
    /// `HAProxy` on plain HTTP, which answers every request by itself.
    HaProxy,
    /// nginx with TLS, for any client without mesh protocols: nginx 1.21.4 and newer answer an ALPN list that
    /// has none of theirs with the alert `no_application_protocol`.
    NginxTls,
    /// Redis with TLS, for any client.
    RedisTls,
    /// Redis with TLS that turns every client certificate of the mesh down with an alert.
    RedisTlsForeign,
    /// As [`Self::RedisTls`], but nothing is read for 0.6 s.
    RedisTlsLate,
    /// A mail server that goes on with TLS when its client asks for it.
    SmtpTls,
    /// Agrees to be a web socket, and sends back what comes.
    Websocket,
    /// Answers everything in plaintext, with `ERROR`.
    Answers,
    /// Closes a connection as soon as it has read something.
    Closes,
    /// Resets a connection as soon as it has read something.
    Resets,
    /// Reads and never answers.
    NeverAnswers,
    /// Accepts and never reads.
    NeverReads,
}

/// A running server. Dropping it ends everything in its container.
#[derive(Debug)]
pub struct Server {
    process: Process,
    _behind: Option<Process>,
    container: Container,
}

/// Where the server behind another one listens, in the same pod.
const fn behind(port: u16) -> u16 {
    port + 1
}

impl Backend {
    /// Starts it in the pod's first container and waits until it answers on IPv4 and IPv6. A server with TLS
    /// presents a certificate of `mesh`.
    pub fn start(self, pod: &Pod, port: u16, mesh: &Authority) -> Result<Server> {
        let container = pod.app_container()?;
        let mut other = match self.behind() {
            Some(backend) => Some(backend.launch(container, behind(port), mesh)?.0),
            None => None,
        };
        if let Some(process) = &mut other {
            process.wait_until_listening(behind(port))?;
        }
        let (process, probe) = self.launch(container, port, mesh)?;
        // The handle comes first, so that a server that does not get ready is ended.
        let mut server = Server { process, _behind: other, container: container.clone() };
        for address in pod.addresses() {
            probe::wait_until_ready(&mut server.process, container, (address, port).into(), probe)?;
        }
        Ok(server)
    }

    /// The server that this one passes its clients on to.
    fn behind(self) -> Option<Self> {
        match self {
            Self::RedisTlsLate => Some(Self::RedisTls),
            Self::SmtpTls => Some(Self::NginxTls),
            _ => None,
        }
    }

    fn launch(self, container: &Container, port: u16, mesh: &Authority) -> Result<(Process, Probe)> {
        match self {
            Self::Redis => store::redis(container, port),
            Self::RedisTls => store::redis_tls(container, port, mesh),
            Self::RedisTlsForeign => store::redis_tls_foreign(container, port, mesh),
            Self::Memcached => store::memcached(container, port),
            Self::Postgres => database::postgres(container, port),
            Self::PostgresTls => database::postgres_tls(container, port, mesh),
            Self::MariaDb => database::mariadb(container, port),
            Self::MariaDbTls => database::mariadb_tls(container, port, mesh),
            Self::ZooKeeper => coordination::zookeeper(container, port),
            Self::Etcd => coordination::etcd(container, port),
            Self::RabbitMq => message::rabbitmq(container, port),
            Self::Nats => message::nats(container, port),
            Self::Nginx => web::nginx(container, port),
            Self::NginxHttp2 => web::nginx_http2(container, port),
            Self::NginxTls => web::nginx_tls(container, port, mesh),
            Self::HaProxy => web::haproxy(container, port),
            Self::RedisTlsLate => listener::start_before(container, port, "late", behind(port)),
            Self::SmtpTls => listener::start_before(container, port, "smtp", behind(port)),
            Self::Websocket => listener::start(container, port, "websocket"),
            Self::Answers => listener::start(container, port, "answers"),
            Self::Closes => listener::start(container, port, "closes"),
            Self::Resets => listener::start(container, port, "resets"),
            Self::NeverAnswers => listener::start(container, port, "never-answers"),
            Self::NeverReads => listener::start(container, port, "never-reads"),
        }
    }
}

impl Server {
    /// Number of the process that was started; some servers have children that listen in its stead.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it. Dropping does the same and cannot fail.
    pub fn stop(self) -> Result<()> {
        self.container.end_all()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.container.end_all() {
            eprintln!("could not end a server: {error:#}");
        }
    }
}
