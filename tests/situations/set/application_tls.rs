//! TLS that applications speak themselves, as they do without any mesh: nothing is found.

use anyhow::ensure;
use mtlsnoop_tests::server::Backend;
use nix::sys::signal::Signal;

use crate::{
    at::{At, SOON},
    situation::Situation,
};

fn https(name: &'static str, told: &'static str) -> Situation {
    Situation::new(name, told).serves(Backend::NginxTls, 8443)
}

/// Two connections, the second of which goes on with the session of the first.
fn resumes(at: &At<'_>, newest: &str) -> anyhow::Result<()> {
    let request = ["--insecure", "--tls-max", newest, "--header", "Connection: close"];
    at.curls(&[&request[..], &["https://{}/", "https://{}/"]].concat())
}

pub(super) fn all() -> Vec<Situation> {
    vec![
        https("https", "HTTPS").when(|at| at.curls(&["--insecure", "https://{}/"])),
        https("https-named", "HTTPS with a server name and without another check")
            .when(|at| at.openssl_connects(&["-servername", "shop.example"])),
        https("https-no-sni", "HTTPS without a server name")
            .when(|at| at.openssl_connects(&["-noservername"])),
        https("https-distrusted", "the client turns the server's certificate down").when(|at| {
            let output = at.curl(&["https://{}/"])?;
            ensure!(output.status.code() == Some(60), "curl ended with {}", output.status);
            Ok(())
        }),
        https("https-no-protocol", "the server knows none of the client's protocols").when(|at| {
            let output = at.openssl(&["-alpn", "spdy/1"])?.wait(SOON)?;
            ensure!(!output.status.success(), "openssl succeeded");
            Ok(())
        }),
        https("https-tls12-resumed", "TLS 1.2, and the session is resumed").when(|at| resumes(at, "1.2")),
        https("https-tls13-resumed", "TLS 1.3, and the session is resumed").when(|at| resumes(at, "1.3")),
        https("https-ipv6", "HTTPS over IPv6").when(|at| {
            let address = at.address_ipv6().to_string();
            at.curls(&["--insecure", &format!("https://{address}/")])
        }),
        Situation::new("https-to-http", "an app speaks HTTPS to a port of plain HTTP")
            .serves(Backend::Nginx, 8080)
            .when(|at| {
                let output = at.curl(&["--insecure", "https://{}/"])?;
                ensure!(!output.status.success(), "curl succeeded");
                Ok(())
            }),
        Situation::new("tls-to-redis", "an app speaks TLS to a plain Redis")
            .serves(Backend::Redis, 6379)
            .when(|at| {
                let openssl = at.openssl(&["-servername", "shop.example"])?;
                at.wait_for_server_connection()?;
                at.waits(&[b"PING\r\nQUIT\r\n"], SOON, "eof")?;
                openssl.signal(Signal::SIGTERM)
            }),
        Situation::new("certificate-refused-by-app", "a server turns an app's certificate down")
            .serves(Backend::RedisTlsForeign, 6379)
            .when(|at| at.openssl(&["-servername", "shop.example"])?.wait(SOON).map(drop)),
    ]
}
