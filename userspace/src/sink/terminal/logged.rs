//! A finding that was written as a JSON line, for people; must not know who wrote it, nor what was found of it since.

use std::fmt::{self, Display, Write};

use serde::Deserialize;

use crate::sink::terminal::{palette::Palette, text::visible};

/// Of a line, what is shown: the rest is in the JSON. Lines of newer versions may have less of it, and more of other things.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Logged {
    /// Which kind of line it is.
    pub kind: String,
    time: String,
    /// Name of the node whose agent wrote it.
    node: String,
    code: String,
    confidence: String,
    cause: Cause,
    client: End,
    server: End,
    evidence: Vec<String>,
    fix: Fix,
    count: u64,
    first_seen: String,
    incomplete: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Cause {
    code: String,
    text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Fix {
    text: String,
    manifest: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct End {
    address: String,
    port: u16,
    namespace: String,
    pod: String,
    workload: String,
    service: String,
    container: String,
    process: String,
}

/// Tells findings of one log apart: one that goes on is written again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([String; 4]);

impl Logged {
    /// What stays the same as long as a finding lasts.
    pub fn key(&self) -> Key {
        Key([&self.node, &self.first_seen, &self.code, &self.cause.code].map(Clone::clone))
    }

    /// When it was written; as text it has the order of time.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// One of its ends is in this namespace.
    pub fn is_of(&self, namespace: &str) -> bool {
        [&self.client, &self.server].iter().any(|end| end.namespace == namespace)
    }

    /// All that is shown of a finding.
    pub fn block(&self, out: &mut dyn Write, palette: Palette) -> fmt::Result {
        let style = if self.confidence == "certain" { palette.bad } else { palette.doubtful };
        writeln!(
            out,
            "{style}FINDING  {}  {}{style:#}  {}{}",
            visible(&self.code),
            visible(&self.confidence),
            visible(&self.time),
            Node(&self.node)
        )?;
        let mut field = |label: &str, text: &dyn Display| {
            let style = palette.label;
            writeln!(out, "  {style}{label:<8}{style:#}  {text}")
        };
        field("client", &self.client)?;
        field("server", &self.server)?;
        if self.count > 1 {
            field("failed", &format_args!("{} attempts since {}", self.count, visible(&self.first_seen)))?;
        }
        for (index, evidence) in self.evidence.iter().enumerate() {
            field(if index == 0 { "evidence" } else { "" }, &visible(evidence))?;
        }
        field("cause", &format_args!("{}: {}", visible(&self.cause.code), visible(&self.cause.text)))?;
        if self.incomplete {
            field("but", &"events were lost in the time of this attempt, so the picture may be incomplete")?;
        }
        field("fix", &visible(&self.fix.text))?;
        writeln!(out)?;
        for line in self.fix.manifest.lines() {
            writeln!(out, "            {}", visible(line))?;
        }
        if self.fix.manifest.is_empty() { Ok(()) } else { writeln!(out) }
    }

    /// One line of a finding that goes on.
    pub fn again(&self, out: &mut dyn Write, palette: Palette) -> fmt::Result {
        let style = palette.doubtful;
        write!(out, "{}  {style}again{style:#}  {}: ", visible(&self.time), visible(&self.code))?;
        let (client, server) = (self.client.name(), self.server.name());
        let port = self.server.port;
        writeln!(out, "{client} to {server} port {port}, {} failed attempts{}", self.count, Node(&self.node))
    }

    /// One line of what works again.
    pub fn resolved(&self, out: &mut dyn Write, palette: Palette) -> fmt::Result {
        let style = palette.good;
        let (client, server, port) = (self.client.name(), self.server.name(), self.server.port);
        writeln!(
            out,
            "{}  {style}resolved  {}: {client} reaches {server} port {port} now{style:#}, after {} failed attempts{}",
            visible(&self.time),
            visible(&self.code),
            self.count,
            Node(&self.node)
        )
    }
}

/// Where it was seen, if that was said.
struct Node<'a>(&'a str);

impl Display for Node<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(out, "  (node {})", visible(self.0)) }
    }
}

impl End {
    /// `NAMESPACE/POD`, or the address.
    fn name(&self) -> String {
        let name = match (self.namespace.as_str(), self.pod.as_str()) {
            (_, "") => self.address.clone(),
            ("", pod) => pod.to_owned(),
            (namespace, pod) => format!("{namespace}/{pod}"),
        };
        visible(&name).into_owned()
    }
}

impl Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name())?;
        if !self.workload.is_empty() {
            write!(out, " ({})", visible(&self.workload))?;
        }
        write!(out, ", {} port {}", visible(&self.address), self.port)?;
        let more = [("service", &self.service), ("container", &self.container), ("process", &self.process)];
        for (label, text) in more.into_iter().filter(|(_, text)| !text.is_empty()) {
            write!(out, ", {label} {}", visible(text))?;
        }
        Ok(())
    }
}
