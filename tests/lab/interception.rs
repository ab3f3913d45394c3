//! Sends a pod's traffic to its sidecar with the rules of `istio-iptables`; it must not know what the sidecar
//! does with it.

use anyhow::{Context as _, Result};

use crate::netns::Netns;

/// Port of the sidecar's listener for what the app sends (Istio: `ProxyPort`).
pub const OUTBOUND_PORT: u16 = 15001;
/// Port of the sidecar's listener for what others send to the app (Istio: `InboundCapturePort`).
pub const INBOUND_PORT: u16 = 15006;
/// User and group of the sidecar (Istio: `ProxyUID`, `ProxyGID`).
pub const SIDECAR_UID: u32 = 1337;

/// Which traffic passes the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interception {
    /// What the app sends.
    Outbound,
    /// What the app sends and what is sent to it.
    Both,
    /// As [`Self::Both`], but what is sent to this port reaches the app (Istio:
    /// `traffic.sidecar.istio.io/excludeInboundPorts`).
    Except(u16),
    /// None: the app is told to connect to the sidecar (Istio: `sidecar.istio.io/interceptionMode: NONE`), or the
    /// rules were never made.
    Nothing,
}

/// Installs the rules for IPv4 and for IPv6.
pub fn install(netns: &Netns, interception: Interception) -> Result<()> {
    if interception == Interception::Nothing {
        return Ok(());
    }
    for (prefix, local, bind, bits) in [("ip", "127.0.0.1", "127.0.0.6", 32), ("ip6", "::1", "::6", 128)] {
        let rules = rules(&format!("{local}/{bits}"), &format!("{bind}/{bits}"), interception);
        restore(netns, prefix, &rules)?;
    }
    // The source of the sidecar's connections to the app; 127.0.0.6 is local without being asked.
    netns.run("ip", &["addr", "add", "::6/128", "dev", "lo"], "")?;
    Ok(())
}

/// Debian's `iptables` speaks nftables; kernels without `nf_tables` have the older interface.
fn restore(netns: &Netns, prefix: &str, rules: &str) -> Result<()> {
    let current = netns.run(&format!("{prefix}tables-restore"), &["--wait"], rules);
    let Err(error) = current else { return Ok(()) };
    netns
        .run(&format!("{prefix}tables-legacy-restore"), &["--wait"], rules)
        .map(drop)
        .map_err(|_| error)
        .context("could not redirect the pod's traffic; is iptables installed, and nf_tables in the kernel?")
}

/// As istio/istio tools/istio-iptables/pkg/capture/run.go writes them, without the options nobody set.
fn rules(local: &str, bind: &str, interception: Interception) -> String {
    const INBOUND: &str = "-A PREROUTING -p tcp -j ISTIO_INBOUND\n";
    let (inbound, excluded) = match interception {
        Interception::Outbound | Interception::Nothing => ("", String::new()),
        Interception::Both => (INBOUND, String::new()),
        Interception::Except(port) => {
            (INBOUND, format!("-A ISTIO_INBOUND -p tcp --dport {port} -j RETURN\n"))
        }
    };
    format!(
        "*nat\n\
         :ISTIO_INBOUND - [0:0]\n\
         :ISTIO_IN_REDIRECT - [0:0]\n\
         :ISTIO_OUTPUT - [0:0]\n\
         :ISTIO_REDIRECT - [0:0]\n\
         {inbound}\
         -A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN\n\
         -A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN\n\
         -A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN\n\
         -A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN\n\
         {excluded}\
         -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT\n\
         -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {INBOUND_PORT}\n\
         -A OUTPUT -j ISTIO_OUTPUT\n\
         -A ISTIO_OUTPUT -s {bind} -o lo -j RETURN\n\
         -A ISTIO_OUTPUT ! -d {local} -o lo -p tcp ! --dport 15008 -m owner --uid-owner {SIDECAR_UID} -j ISTIO_IN_REDIRECT\n\
         -A ISTIO_OUTPUT -o lo -m owner ! --uid-owner {SIDECAR_UID} -j RETURN\n\
         -A ISTIO_OUTPUT -m owner --uid-owner {SIDECAR_UID} -j RETURN\n\
         -A ISTIO_OUTPUT ! -d {local} -o lo -p tcp ! --dport 15008 -m owner --gid-owner {SIDECAR_UID} -j ISTIO_IN_REDIRECT\n\
         -A ISTIO_OUTPUT -o lo -m owner ! --gid-owner {SIDECAR_UID} -j RETURN\n\
         -A ISTIO_OUTPUT -m owner --gid-owner {SIDECAR_UID} -j RETURN\n\
         -A ISTIO_OUTPUT -d {local} -j RETURN\n\
         -A ISTIO_OUTPUT -p tcp -j ISTIO_REDIRECT\n\
         -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {OUTBOUND_PORT}\n\
         COMMIT\n"
    )
}
