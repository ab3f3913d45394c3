//! Connections on which nothing is said, or nothing that is TLS: nothing is found.

use std::time::Duration;

use anyhow::ensure;
use mtlsnoop_tests::{client::Sending, server::Backend, wait};
use nix::sys::signal::Signal;

use crate::{
    at::{A_MOMENT, SOON, tcp_tables},
    situation::Situation,
};

/// As short as the client's clock allows.
const AT_ONCE: Duration = Duration::from_millis(1);

fn redis(name: &'static str, told: &'static str) -> Situation {
    Situation::new(name, told).serves(Backend::Redis, 6379)
}

pub(super) fn all() -> Vec<Situation> {
    vec![
        Situation::new("refused", "nobody listens")
            .when(|at| at.waits(&[b"PING\r\n"], A_MOMENT, "refused").map(drop)),
        Situation::new("nobody", "a host that is not there").when(|at| {
            // The switch answers for the network of documentation that it has no route to: RFC 5737.
            let nowhere = (std::net::Ipv4Addr::new(192, 0, 2, 1), 6379).into();
            let reply = Sending::pieces(&[b"PING\r\n"]).waiting(A_MOMENT).run(at.app()?, nowhere)?;
            ensure!(reply.ended == "unreachable", "{reply:?}");
            Ok(())
        }),
        Situation::new("swallowed", "a host that never answers").when(|at| {
            let nowhere = (std::net::Ipv4Addr::new(198, 51, 100, 1), 6379).into();
            let app = Sending::pieces(&[b"PING\r\n"]).start(at.app()?, nowhere)?;
            wait::until_true("the client to connect", SOON, || {
                let [table, _] = tcp_tables(&at.place.client)?;
                // `TCP_SYN_SENT` in `include/net/tcp_states.h`.
                Ok(table.lines().any(|line| line.split_whitespace().nth(3) == Some("02")))
            })?;
            app.signal(Signal::SIGTERM)
        }),
        redis("port-scan", "a hundred ports, one of which is open").when(|at| {
            for port in 6330..6430 {
                let address = (at.place.server.ipv4(), port).into();
                Sending::pieces(&[]).waiting(AT_ONCE).run(at.app()?, address)?;
            }
            Ok(())
        }),
        redis("health-check", "a health check connects and closes").when(|at| {
            for _ in 0..5 {
                at.waits(&[], AT_ONCE, "open")?;
            }
            Ok(())
        }),
        redis("one-byte", "a client sends the first byte of a hello and leaves")
            .when(|at| at.waits(&[b"\x16"], A_MOMENT, "open").map(drop)),
        redis("not-quite-tls", "bytes that begin like a hello and are none")
            .when(|at| at.waits(&[b"\x16\x03\x01\x00\xff not at all\r\n"], A_MOMENT, "open").map(drop)),
        redis("idle", "a connection on which nobody says anything")
            .when(|at| at.waits(&[], 4 * A_MOMENT, "open").map(drop)),
        redis("killed", "a client is killed while it waits").when(|at| {
            let app =
                Sending::pieces(&[b"BLPOP nothing 0\r\n"]).waiting(SOON).start(at.app()?, at.address())?;
            at.wait_for_server_connection()?;
            app.signal(Signal::SIGKILL)
        }),
        redis("long", "one connection with many requests and pauses").when(|at| {
            let arguments = ["-r", "20", "-i", "0.05", "PING"];
            let output = mtlsnoop_tests::client::redis(at.app()?, at.address(), &arguments)?;
            ensure!(output.stdout.lines().count() == 20, "{}{}", output.stdout, output.stderr);
            Ok(())
        }),
        Situation::new("plain-closes", "a server closes without an answer")
            .serves(Backend::Closes, 7001)
            .when(|at| at.fails(b"what?\n")),
        Situation::new("plain-resets", "a server resets")
            .serves(Backend::Resets, 7002)
            .when(|at| at.fails(b"what?\n")),
        Situation::new("plain-silent", "a server never answers")
            .serves(Backend::NeverAnswers, 7003)
            .when(|at| at.waits(&[b"hello?\n"], 3 * A_MOMENT, "open").map(drop)),
    ]
}
