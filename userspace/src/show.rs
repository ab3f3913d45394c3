//! `show`: what agents wrote as JSON lines, for people, or only what is asked for of it; must not know how it was found.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, BufRead, Read as _, Write},
    mem,
};

use anyhow::{Context as _, Result};

use crate::{
    config::{Format, Show},
    outcome::{Outcome, OutputError},
    output,
    sink::terminal::{
        logged::{Key, Logged},
        palette::Palette,
    },
};

/// A line of an agent is never longer; what is, is no line of one.
const LINE_BYTES: u64 = 1 << 20;

/// Lines that are sorted are sorted in pieces of this size: it may run where there is little memory.
const SORTED_BYTES: usize = 32 << 20;

/// Findings whose block was written are remembered up to this many; others get their block again.
const SHOWN_MAX: usize = 65_536;

/// Shows what comes by standard input.
pub fn show(config: &Show) -> Result<Outcome> {
    let palette = output::palette(config.color);
    let mut shown = Shown::new(config, palette);
    match shown.all(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Err(Stopped::Read(error)) => Err(error).context("cannot read standard input"),
        Err(Stopped::Write(error)) if !error.is_reader_gone() => Err(error.into()),
        Ok(()) | Err(Stopped::Write(_)) => Ok(Outcome::Done),
    }
}

/// Why it ended before the input did.
#[derive(Debug)]
enum Stopped {
    Read(io::Error),
    Write(OutputError),
}

struct Shown<'a> {
    config: &'a Show,
    palette: Palette,
    /// Findings whose block was written.
    blocks: BTreeSet<Key>,
    /// Lines with their times, not sorted yet.
    held: Vec<(Box<str>, Box<[u8]>)>,
    held_bytes: usize,
}

impl<'a> Shown<'a> {
    fn new(config: &'a Show, palette: Palette) -> Self {
        Self { config, palette, blocks: BTreeSet::new(), held: Vec::new(), held_bytes: 0 }
    }

    fn all(&mut self, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Stopped> {
        let mut line = Vec::new();
        while read_line(input, &mut line).map_err(Stopped::Read)? {
            let Some(logged) = self.asked_for(&line) else { continue };
            if self.config.is_sorted {
                self.held_bytes += line.len();
                self.held.push((logged.time().into(), line.as_slice().into()));
                if self.held_bytes > SORTED_BYTES {
                    self.release(out)?;
                }
            } else {
                self.write(&logged, &line, out)?;
            }
        }
        self.release(out)
    }

    /// None for what is not shown: logs have other lines too, such as those of standard error.
    fn asked_for(&self, line: &[u8]) -> Option<Logged> {
        let logged: Logged = serde_json::from_slice(line).ok()?;
        let namespaces = &self.config.namespaces;
        let is_in = namespaces.is_empty() || namespaces.iter().any(|namespace| logged.is_of(namespace));
        (is_in && matches!(logged.kind.as_str(), "finding" | "resolved")).then_some(logged)
    }

    /// Writes what is held, by its time.
    fn release(&mut self, out: &mut dyn Write) -> Result<(), Stopped> {
        self.held_bytes = 0;
        let mut held = mem::take(&mut self.held);
        held.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, line) in held {
            if let Some(logged) = self.asked_for(&line) {
                self.write(&logged, &line, out)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, logged: &Logged, line: &[u8], out: &mut dyn Write) -> Result<(), Stopped> {
        let mut text = String::new();
        match self.config.format {
            Format::Json => {
                text.push_str(&String::from_utf8_lossy(line));
                text.push('\n');
            }
            // Writing to a String cannot fail.
            Format::Text => self.text(logged, &mut text).unwrap_or_default(),
        }
        // Each by itself, because somebody waits for it.
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Stopped::Write(error.into()))
    }

    /// A block the first time, else a line.
    fn text(&mut self, logged: &Logged, out: &mut String) -> fmt::Result {
        let key = logged.key();
        if logged.kind == "resolved" {
            self.blocks.remove(&key);
            return logged.resolved(out, self.palette);
        }
        if !self.blocks.insert(key) {
            return logged.again(out, self.palette);
        }
        if self.blocks.len() > SHOWN_MAX {
            self.blocks.pop_first();
        }
        logged.block(out, self.palette)
    }
}

/// Reads a line without its end, or what there is of one that is too long; false when there are no more.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.take(LINE_BYTES).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LINE_BYTES {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, Shown};
    use crate::{
        config::{Color, Format, Show},
        sink::{Sink as _, json::JsonLines, samples, terminal::palette::Palette},
        update::{Finding, Update},
    };

    fn shown(config: &Show, input: &[u8]) -> String {
        let mut out = Vec::new();
        Shown::new(config, Palette::default()).all(&mut &*input, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn config(format: Format, namespaces: &[&str]) -> Show {
        let namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
        Show { format, color: Color::Never, namespaces, is_sorted: false }
    }

    fn lines(updates: &[Update]) -> Vec<u8> {
        let mut written = Vec::new();
        let mut lines = JsonLines::new(&mut written);
        for update in updates {
            lines.update(update).unwrap();
        }
        written
    }

    fn finding(count: u64) -> Update {
        Update::Finding(Box::new(Finding { count, ..samples::finding() }))
    }

    #[test]
    fn a_finding_is_a_block_once_then_a_line_until_it_is_resolved() {
        let resolved = Update::Resolved(Box::new(samples::resolved()));
        let input = lines(&[finding(1), finding(9), resolved, finding(10)]);
        let text = shown(&config(Format::Text, &[]), &input);
        let heads: Vec<&str> = text.lines().filter(|line| line.contains("mtls-to-plaintext")).collect();
        assert_eq!(
            heads,
            [
                "FINDING  mtls-to-plaintext  likely  2020-05-14T07:30:01.000000000Z",
                "2020-05-14T07:30:01.000000000Z  again  mtls-to-plaintext: default/redis-client-6d9f7c5b8-x2x9q to default/redis-0 \
                 port 6379, 9 failed attempts",
                "2020-05-14T07:31:00.000000000Z  resolved  mtls-to-plaintext: default/redis-client-6d9f7c5b8-x2x9q reaches \
                 default/redis-0 port 6379 now, after 3 failed attempts",
                "FINDING  mtls-to-plaintext  likely  2020-05-14T07:30:01.000000000Z",
            ]
        );
    }

    /// Whatever a finding tells people is shown of its JSON line.
    #[test]
    fn a_block_has_what_the_finding_tells() {
        let text = shown(&config(Format::Text, &[]), &lines(&[finding(1)]));
        insta::assert_snapshot!(text, @r"
        FINDING  mtls-to-plaintext  likely  2020-05-14T07:30:01.000000000Z
          client    default/redis-client-6d9f7c5b8-x2x9q (Deployment/redis-client), 10.1.1.25 port 50714, container istio-proxy, process envoy
          server    default/redis-0 (StatefulSet/redis), 10.1.1.24 port 6379, service redis, process redis-server
          evidence  The sidecar sent a ClientHello of 205 bytes.
                    Nothing came back for 998 ms.
          cause     headless-unconditional-mtls: redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar.
          fix       Tell clients to speak plaintext to this host.

                    apiVersion: networking.istio.io/v1
                    kind: DestinationRule
        ");
    }

    #[test]
    fn a_line_tells_its_node() {
        let line = br#"{"kind":"finding","code":"c","confidence":"likely","time":"now","node":"worker-1"}"#;
        assert!(
            shown(&config(Format::Text, &[]), line).starts_with("FINDING  c  likely  now  (node worker-1)\n")
        );
    }

    #[test]
    fn json_goes_through_as_it_is_and_everything_else_stays() {
        let input = lines(&[finding(1), Update::Connection(Box::new(samples::connection()))]);
        let mut mixed = b"mtlsnoop: 3 hooks\n\n{\"kind\":\"summary\"}\n{\"kind\":\"finding\n[1]\n".to_vec();
        mixed.extend_from_slice(&input);
        let first = input.split_inclusive(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(shown(&config(Format::Json, &[]), &mixed).as_bytes(), first);
    }

    #[test]
    fn only_what_has_an_end_in_a_namespace_is_shown() {
        for (namespaces, is_shown) in [
            (&["default"] as &[&str], true),
            (&["other", "default"], true),
            (&["other"], false),
            (&["def"], false),
        ] {
            for format in [Format::Json, Format::Text] {
                let text = shown(&config(format, namespaces), &lines(&[finding(1)]));
                assert_eq!(!text.is_empty(), is_shown, "{namespaces:?}");
            }
        }
    }

    #[test]
    fn several_logs_become_one_in_the_order_of_time() {
        let at = |time: &str, node: &str| {
            format!("{{\"kind\":\"finding\",\"time\":\"2026-11-23T02:0{time}Z\",\"node\":\"{node}\"}}\n")
        };
        let logs = [at("1", "a"), at("4", "a"), "no JSON\n".to_owned(), at("2", "b"), at("3", "b")];
        let sorted = Show { is_sorted: true, ..config(Format::Json, &[]) };
        let expected = [at("1", "a"), at("2", "b"), at("3", "b"), at("4", "a")].concat();
        assert_eq!(shown(&sorted, logs.concat().as_bytes()), expected);
    }

    #[test]
    fn a_line_without_end_stays_within_memory_and_costs_no_other() {
        let mut input = vec![b'x'; usize::try_from(LINE_BYTES).unwrap() + 5];
        input.push(b'\n');
        input.extend(lines(&[finding(1)]));
        assert_eq!(shown(&config(Format::Json, &[]), &input).lines().count(), 1);
    }

    #[test]
    fn what_could_command_a_terminal_is_escaped() {
        let line = "{\"kind\":\"finding\",\"code\":\"a\\u001b[2J\",\"client\":{\"pod\":\"\\u001b\"},\"evidence\":[\"\\u001b\"]}";
        assert!(!shown(&config(Format::Text, &[]), line.as_bytes()).contains('\u{1b}'));
    }
}
