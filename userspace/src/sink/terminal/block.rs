//! A finding as a block that is understood without the manual, and what came of it in one line each; must not know what was
//! said before.

use std::{
    fmt::{self, Display, Write},
    net::SocketAddr,
};

use nix::errno::Errno;

use crate::{
    sink::terminal::{
        palette::Palette,
        text::{day_and_time, duration, endpoint, name, time_of_day, visible},
    },
    update::{
        Behaviour, Code, Confidence, EndedBy, EndedHow, Finding, Hello, ListenerSeen, Outcome, Party,
        Resolved, Victim,
    },
};

/// Wide enough for any endpoint: namespace and pod have at most 63 and 253 characters.
const NOT_CUT: usize = 512;

/// Where the text of a field begins.
const INDENT: &str = "            ";

/// Writes the whole block.
pub(super) fn finding(out: &mut dyn Write, finding: &Finding, palette: Palette) -> fmt::Result {
    let heading = match finding.confidence {
        Confidence::Certain => palette.bad,
        Confidence::Likely | Confidence::Possible => palette.doubtful,
    };
    let (code, confidence) = (finding.code.name(), finding.confidence.name());
    writeln!(out, "{heading}FINDING  {code}  {confidence}{heading:#}  {}", day_and_time(finding.time))?;
    let strong = palette.strong;
    writeln!(out, "  {strong}{}{strong:#}\n", sentence(finding))?;

    let mut field = |label: &str, text: &dyn Display| {
        let style = palette.label;
        writeln!(out, "  {style}{label:<8}{style:#}  {text}")
    };
    field("client", &Who(&finding.client))?;
    if let Some(victim) = &finding.victim {
        field("victim", &VictimWords(victim))?;
    }
    field("server", &Who(&finding.server))?;
    field("", &Place(&finding.server))?;
    match &finding.client_hello {
        Some(hello) => field("sent", &HelloWords(hello))?,
        None if finding.code == Code::MtlsToPlaintext => {
            field("sent", &"not looked at: nothing was suspect before")?;
        }
        None => {}
    }
    field("answer", &ListenerWords(&finding.listener))?;
    match &finding.outcome {
        Some(outcome) => field("outcome", &OutcomeWords(outcome))?,
        None => field("outcome", &"the connection is still open")?,
    }
    if finding.count > 1 {
        field(
            "failed",
            &format_args!("{} attempts since {}", finding.count, day_and_time(finding.first_seen)),
        )?;
    }
    if finding.addresses.len() > 1 {
        let addresses: Vec<_> = finding.addresses.iter().map(SocketAddr::to_string).collect();
        field("at", &addresses.join(", "))?;
    }
    for (index, evidence) in finding.evidence.iter().enumerate() {
        field(if index == 0 { "evidence" } else { "" }, &visible(evidence))?;
    }
    field("cause", &format_args!("{}: {}", finding.cause.code, visible(&finding.cause.text)))?;
    if finding.incomplete {
        field("but", &"events were lost in the time of this attempt, so the picture may be incomplete")?;
    }
    field("fix", &visible(&finding.fix.text))?;
    manifest(out, finding.fix.manifest.as_deref())
}

/// The manifest on lines of its own: uniform indentation leaves it valid YAML.
fn manifest(out: &mut dyn Write, manifest: Option<&str>) -> fmt::Result {
    writeln!(out)?;
    let Some(manifest) = manifest else { return Ok(()) };
    for line in manifest.lines() {
        writeln!(out, "{INDENT}{}", visible(line))?;
    }
    writeln!(out)
}

/// Writes one line for a finding whose block was written before.
pub(super) fn again(out: &mut dyn Write, finding: &Finding, palette: Palette) -> fmt::Result {
    let style = palette.doubtful;
    writeln!(
        out,
        "{}  {style}again{style:#}  {}: {} to {}, {} failed attempts since {} ({})",
        time_of_day(finding.time),
        finding.code.name(),
        name(&finding.client),
        endpoint(&finding.server, NOT_CUT),
        finding.count,
        time_of_day(finding.first_seen),
        finding.confidence.name(),
    )
}

/// Writes one line for what works now.
pub(super) fn resolved(out: &mut dyn Write, resolved: &Resolved, palette: Palette) -> fmt::Result {
    let style = palette.good;
    write!(
        out,
        "{}  {style}resolved  {}: {} reaches {} now{style:#}, after {} failed {} from {} to {}",
        time_of_day(resolved.time),
        resolved.code.name(),
        name(&resolved.client),
        endpoint(&resolved.server, NOT_CUT),
        resolved.count,
        if resolved.count == 1 { "attempt" } else { "attempts" },
        time_of_day(resolved.first_seen),
        time_of_day(resolved.last_seen),
    )?;
    for evidence in &resolved.evidence {
        write!(out, ". {}", visible(evidence).trim_end_matches('.'))?;
    }
    writeln!(out, ".")
}

/// What happened, in one sentence.
pub(in crate::sink) fn sentence(finding: &Finding) -> String {
    let client = name(&finding.client);
    let who = match (finding.client_hello.as_ref().and_then(|hello| hello.mesh), finding.client.sidecar) {
        (Some(mesh), _) => format!("The {mesh} sidecar of {client}"),
        (None, Some(true)) if finding.victim.is_some() || finding.client_hello.is_none() => {
            format!("The sidecar of {client}")
        }
        (None, _) => client,
    };
    let to = format!("{} port {}", name(&finding.server), finding.server.address.port());
    let surely = match finding.confidence {
        Confidence::Certain => "",
        Confidence::Likely => "most likely ",
        Confidence::Possible => "possibly ",
    };
    match finding.code {
        Code::MtlsToPlaintext => {
            let sends = if finding.client_hello.is_some() { "sends" } else { "probably sends" };
            format!("{who} {sends} mesh mTLS to {to}, and what listens there {surely}speaks plaintext.")
        }
        Code::MtlsRejected => {
            format!("The mesh mTLS between {who} and {to} is {surely}refused by one of the two.")
        }
        Code::PlaintextToMtls => {
            format!("{who} sends plaintext to {to}, and the proxy there {surely}takes mesh mTLS only.")
        }
        Code::TlsToPlaintext => {
            format!("{who} originates TLS to {to}, and what listens there {surely}speaks plaintext.")
        }
        Code::DoubleTls => {
            format!(
                "{who} wraps an application's TLS into TLS of its own to {to}, which {surely}unwraps only one."
            )
        }
        Code::TlsToHttpPort => {
            format!("{who} sends TLS to {to}, and a proxy takes that port for plain HTTP.")
        }
        Code::ServerFirstDeadlock => {
            format!("{who} and the proxy before {to} {surely}wait for each other to speak first.")
        }
    }
}

/// Pod, workload, address, container and process of a party.
struct Who<'a>(&'a Party);

impl Display for Who<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(party) = self;
        if party.pod.is_some() {
            write!(out, "{}", name(party))?;
            if let Some(workload) = &party.workload {
                write!(out, " ({})", visible(workload))?;
            }
            write!(out, ", ")?;
        }
        write!(out, "{}", party.address)?;
        if let Some(container) = &party.container {
            write!(out, ", container {}", visible(container))?;
        }
        if let Some(process) = &party.process {
            write!(out, ", process {}", visible(process))?;
        }
        match party.pid {
            Some(pid) => write!(out, ", pid {pid}"),
            None => Ok(()),
        }
    }
}

/// What the cluster says of a destination.
struct Place<'a>(&'a Party);

impl Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |fact| match fact {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        let service = self.0.service.as_deref().map_or("not known".into(), visible);
        write!(
            out,
            "service: {service}, headless: {}, sidecar: {}",
            known(self.0.headless),
            known(self.0.sidecar)
        )
    }
}

struct VictimWords<'a>(&'a Victim);

impl Display for VictimWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(victim) = self;
        write!(out, "process {}", victim.process.as_deref().map_or("not known".into(), visible))?;
        if let Some(pid) = victim.pid {
            write!(out, ", pid {pid}")?;
        }
        if let Some(container) = &victim.container {
            write!(out, ", container {}", visible(container))?;
        }
        write!(out, ", its connection from port {} failed", victim.port)
    }
}

struct HelloWords<'a>(&'a Hello);

impl Display for HelloWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(hello) = self;
        write!(out, "ClientHello")?;
        if let Some(mesh) = hello.mesh {
            write!(out, " as {mesh} writes it")?;
        }
        match &hello.sni {
            Some(sni) => write!(out, ", SNI {}", visible(sni))?,
            None => write!(out, ", no SNI")?,
        }
        match hello.alpn.split_first() {
            Some((first, others)) => {
                write!(out, ", ALPN {}", visible(first))?;
                others.iter().try_for_each(|protocol| write!(out, " {}", visible(protocol)))
            }
            None => write!(out, ", no ALPN"),
        }
    }
}

struct ListenerWords<'a>(&'a ListenerSeen);

impl Display for ListenerWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(listener) = self;
        out.write_str(match listener.behaviour {
            Some(Behaviour::Tls) => "a TLS handshake",
            Some(Behaviour::TlsAlert) => "a TLS alert",
            Some(Behaviour::Plaintext) => "plaintext",
            Some(Behaviour::SpokeFirst) => "none, but a greeting that does not wait for a hello",
            Some(Behaviour::Silent) => "none: it took the bytes and stayed silent",
            Some(Behaviour::Closed) => "none: it closed the connection",
            Some(Behaviour::Reset) => "none: it reset the connection",
            Some(Behaviour::Refused) => "none: nobody listens there",
            Some(Behaviour::Unreachable) => "none: there is no way to it",
            Some(Behaviour::Timeout) => "none: the connect was not answered",
            None => "not known",
        })?;
        if let Some(protocol) = listener.protocol {
            write!(out, ", as {} does", protocol.name())?;
        }
        if listener.first_bytes.is_empty() {
            return Ok(());
        }
        write!(out, ": \"{}\"", listener.first_bytes.escape_ascii())
    }
}

struct OutcomeWords<'a>(&'a Outcome);

impl Display for OutcomeWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(outcome) = self;
        let who = match outcome.ended_by {
            EndedBy::Client => "the client",
            EndedBy::Server => "the server",
            EndedBy::Both => "both ends",
            EndedBy::Network => "the network",
        };
        match outcome.how {
            EndedHow::Fin => write!(out, "{who} closed the connection")?,
            EndedHow::Reset => write!(out, "{who} reset the connection")?,
            EndedHow::GivenUp => write!(out, "{who} gave the connect up")?,
            EndedHow::Error => write!(out, "{who} broke the connection")?,
        }
        let since = if outcome.bytes_sent > 0 { "the client's last bytes" } else { "the connect" };
        if let Some(after_ns) = outcome.after_ns {
            write!(out, " {} after {since}", duration(after_ns))?;
        }
        if let Some(error) = outcome.error.and_then(|error| i32::try_from(error).ok()) {
            write!(out, " ({})", Errno::from_raw(error).desc())?;
        }
        write!(out, "; {} bytes sent, {} received", outcome.bytes_sent, outcome.bytes_received)
    }
}
