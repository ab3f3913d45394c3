//! Writes updates for people; must not know whether they come from a live trace, nor what a terminal is.

pub(in crate::sink) mod block;
pub mod logged;
pub mod palette;
mod row;
pub(in crate::sink) mod text;
mod total;

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use crate::{
    sink::{Accounting, Sink, terminal::palette::Palette},
    update::{Confidence, Finding, Update},
};

/// Findings whose block was written are remembered up to this many; the oldest get their block again.
const SAID_MAX: usize = 65_536;

/// Writes text.
#[derive(Debug)]
pub struct Terminal<W> {
    destination: W,
    palette: Palette,
    has_header: bool,
    /// How sure the last block of an incident's findings was, by its number.
    said: BTreeMap<u64, Confidence>,
}

impl<W: Write> Terminal<W> {
    /// Writes to this, with or without colours.
    pub fn new(destination: W, is_colored: bool) -> Self {
        let palette = if is_colored { Palette::colored() } else { Palette::default() };
        Self { destination, palette, has_header: false, said: BTreeMap::new() }
    }

    /// A block the first time, and when it is surer than before; else a line.
    fn finding(&mut self, out: &mut String, finding: &Finding) -> fmt::Result {
        if self.said.get(&finding.incident).is_some_and(|said| *said >= finding.confidence) {
            return block::again(out, finding, self.palette);
        }
        self.said.insert(finding.incident, finding.confidence);
        if self.said.len() > SAID_MAX {
            self.said.pop_first();
        }
        block::finding(out, finding, self.palette)
    }

    fn text(&mut self, out: &mut String, update: &Update) -> fmt::Result {
        match update {
            Update::Connection(connection) => {
                if !self.has_header {
                    self.has_header = true;
                    row::header(out, self.palette)?;
                }
                row::connection(out, connection)
            }
            Update::Finding(finding) => self.finding(out, finding),
            Update::Resolved(resolved) => {
                self.said.remove(&resolved.incident);
                block::resolved(out, resolved, self.palette)
            }
        }
    }
}

impl<W: Write> Sink for Terminal<W> {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        let mut out = String::new();
        self.text(&mut out, update).map_err(io::Error::other)?;
        self.destination.write_all(out.as_bytes())
    }

    fn account(&mut self, accounting: &Accounting) -> io::Result<()> {
        let mut out = String::new();
        total::accounting(&mut out, accounting, self.palette).map_err(io::Error::other)?;
        self.destination.write_all(out.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.destination.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::Terminal;
    use crate::{
        sink::{Sink as _, samples},
        update::{
            Confidence, Connection, EndedBy, EndedHow, Finding, Hello, ListenerSeen, Outcome, Party, Role,
            Update,
        },
    };

    fn finding(finding: Finding) -> Update {
        Update::Finding(Box::new(finding))
    }

    fn written(updates: &[Update], is_colored: bool) -> String {
        let mut terminal = Terminal::new(Vec::new(), is_colored);
        for update in updates {
            terminal.update(update).unwrap();
        }
        String::from_utf8(terminal.destination).unwrap()
    }

    #[test]
    fn a_finding_is_understood_without_the_manual() {
        insta::assert_snapshot!(written(&[finding(samples::finding())], false), @r#"
        FINDING  mtls-to-plaintext  likely  2020-05-14 07:30:01.000 UTC
          The istio sidecar of default/redis-client-6d9f7c5b8-x2x9q sends mesh mTLS to default/redis-0 port 6379, and what listens there most likely speaks plaintext.

          client    default/redis-client-6d9f7c5b8-x2x9q (Deployment/redis-client), 10.1.1.25:50714, container istio-proxy, process envoy, pid 4242
          victim    process redis-cli, pid 4300, container app, its connection from port 45940 failed
          server    default/redis-0 (StatefulSet/redis), 10.1.1.24:6379, process redis-server
                    service: redis, headless: yes, sidecar: no
          sent      ClientHello as istio writes it, SNI outbound_.6379_._.redis.default.svc.cluster.local, ALPN istio-peer-exchange istio
          answer    none: it took the bytes and stayed silent
          outcome   the client closed the connection 998.2ms after the client's last bytes; 205 bytes sent, 0 received
          evidence  The sidecar sent a ClientHello of 205 bytes.
                    Nothing came back for 998 ms.
          cause     headless-unconditional-mtls: redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar.
          fix       Tell clients to speak plaintext to this host.

                    apiVersion: networking.istio.io/v1
                    kind: DestinationRule
        "#);
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        insta::assert_snapshot!(written(&[finding(samples::bare_finding())], false), @r#"
        FINDING  mtls-to-plaintext  likely  2020-05-14 07:30:01.000 UTC
          fd00::25 sends mesh mTLS to fd00::24 port 6379, and what listens there most likely speaks plaintext.

          client    [fd00::25]:50714
          server    [fd00::24]:6379
                    service: not known, headless: not known, sidecar: not known
          sent      ClientHello, no SNI, no ALPN
          answer    plaintext, as redis does: "-ERR\r\n"
          outcome   the connection is still open
          cause     headless-unconditional-mtls: redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar.
          but       events were lost in the time of this attempt, so the picture may be incomplete
          fix       Look at the listener.
        "#);
    }

    #[test]
    fn a_repetition_is_one_line_unless_it_is_surer_or_was_resolved_between() {
        let again = Finding { count: 2, ..samples::finding() };
        let surer = Finding { count: 3, confidence: Confidence::Certain, ..samples::finding() };
        let less_sure = Finding { count: 4, ..samples::finding() };
        let text = written(
            &[
                finding(samples::finding()),
                finding(again),
                finding(surer),
                finding(less_sure),
                Update::Resolved(Box::new(samples::resolved())),
                finding(samples::finding()),
            ],
            false,
        );
        let heads: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
        insta::assert_snapshot!(heads.join("\n"), @r#"
        FINDING  mtls-to-plaintext  likely  2020-05-14 07:30:01.000 UTC
        07:30:01.000  again  mtls-to-plaintext: default/redis-client-6d9f7c5b8-x2x9q to default/redis-0:6379, 2 failed attempts since 07:30:01.000 (likely)
        FINDING  mtls-to-plaintext  certain  2020-05-14 07:30:01.000 UTC
        07:30:01.000  again  mtls-to-plaintext: default/redis-client-6d9f7c5b8-x2x9q to default/redis-0:6379, 4 failed attempts since 07:30:01.000 (likely)
        07:31:00.000  resolved  mtls-to-plaintext: default/redis-client-6d9f7c5b8-x2x9q reaches default/redis-0:6379 now, after 3 failed attempts from 07:30:01.000 to 07:30:31.000. A plaintext connection was answered with 5 bytes.
        FINDING  mtls-to-plaintext  likely  2020-05-14 07:30:01.000 UTC
        "#);
    }

    #[test]
    fn connections_are_rows_under_one_header() {
        let refused = Connection {
            role: Role::Acceptor,
            client: Party::at(samples::address("[fd00:1234:5678:9abc:def0:1234:5678:9abc]:65535")),
            client_hello: None,
            listener: ListenerSeen { behaviour: None, protocol: None, first_bytes: Box::default() },
            outcome: Outcome {
                ended_by: EndedBy::Network,
                how: EndedHow::Error,
                error: Some(110),
                bytes_sent: 123_456_789,
                ..samples::connection().outcome
            },
            opened: None,
            began_before: true,
            incomplete: true,
            ..samples::connection()
        };
        let updates =
            [samples::connection(), refused].map(|connection| Update::Connection(Box::new(connection)));
        insta::assert_snapshot!(written(&updates, false), @r#"
        TIME (UTC)    ROLE       PROCESS          CLIENT                          SERVER                          SPOKE         LISTENER     ENDED            DURATION      SENT  RECEIVED
        07:30:01.000  connector  envoy            default/redis-client-6d…:50714  default/redis-0:6379            istio mtls    silent       client fin           1.0s       205         0
        07:30:01.000  acceptor   redis-server     [fd00:1234:5678:9abc:de…:65535  default/redis-0:6379            -             -            network error           -    117MiB         0  began before tracing  incomplete
        "#);
    }

    #[test]
    fn the_accounting_is_aligned() {
        let mut terminal = Terminal::new(Vec::new(), false);
        terminal.account(&samples::accounting()).unwrap();
        insta::assert_snapshot!(String::from_utf8(terminal.destination).unwrap(), @r#"
        SUMMARY  2020-05-14 07:31:30.000 UTC
          findings                       1
            resolved                     1
          connection ends seen          15
            reported                    10
            filtered                     2  the tracer's own, or not asked for
            still open                   1
            lost                         2  lost_opened 2
          older ones ended               4  they began before tracing did
          lost of the others             1  lost_hello 1
        "#);
    }

    /// Every text that a stranger chooses, made to take the terminal over.
    fn hostile() -> Vec<Update> {
        let evil = || -> Box<str> { "\x1b[2J\x1b]0;pwned\x07\r\u{9b}31m\u{202e}".into() };
        let party = || Party {
            pod: Some(evil()),
            namespace: Some(evil()),
            container: Some(evil()),
            workload: Some(evil()),
            process: Some(evil()),
            service: Some(evil()),
            ..samples::client()
        };
        let mut hostile = samples::finding();
        (hostile.client, hostile.server) = (party(), party());
        let hello = Hello { sni: Some(evil()), alpn: vec![evil(), evil()], ..samples::hello() };
        hostile.client_hello = Some(hello);
        hostile.listener.first_bytes = Box::from(*b"\x1b[2J\r\n");
        hostile.evidence = vec![evil()];
        hostile.cause.text = evil();
        hostile.fix.text = evil();
        hostile.fix.manifest = Some(evil());
        if let Some(victim) = &mut hostile.victim {
            (victim.container, victim.process) = (Some(evil()), Some(evil()));
        }
        let again = Finding { count: 2, ..hostile.clone() };
        let mut resolved = samples::resolved();
        (resolved.client, resolved.server, resolved.evidence) = (party(), party(), vec![evil()]);
        let connection = Connection { client: party(), server: party(), ..samples::connection() };
        vec![
            finding(hostile),
            finding(again),
            Update::Resolved(Box::new(resolved)),
            Update::Connection(Box::new(connection)),
        ]
    }

    #[test]
    fn no_name_reaches_the_terminal_raw() {
        let text = written(&hostile(), false);
        assert!(text.contains(r"\u{1b}[2J"), "{text:?}");
        let raw: Vec<_> =
            text.chars().filter(|char| char.is_control() && *char != '\n' || *char == '\u{202e}').collect();
        assert!(raw.is_empty(), "{raw:?} in {text:?}");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let updates = hostile();
        let (plain, colored) = (written(&updates, false), written(&updates, true));
        assert!(!plain.contains('\x1b'));
        assert!(colored.contains("\x1b[32m"), "resolved is green: {colored:?}");
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
    }
}
