//! A server that behaves in one chosen way, for IPv4 and IPv6; it must not know who connects to it.
//!
//! `lab-listener answers|closes|resets|never-answers|never-reads|websocket PORT`, and
//! `lab-listener late|smtp PORT TO`, which passes on what comes to port `TO` of the same pod: after a while, or once
//! the client has said STARTTLS.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};

#[derive(Clone, Copy)]
enum Behaviour {
    Answers,
    Closes,
    Resets,
    NeverAnswers,
    NeverReads,
    Websocket,
    Late(u16),
    Smtp(u16),
}

/// How late an answer comes by `late`: most clients wait for seconds.
const LATE: Duration = Duration::from_millis(600);

impl Behaviour {
    fn parse(name: &str, to: Option<u16>) -> Option<Self> {
        match name {
            "late" => to.map(Self::Late),
            "smtp" => to.map(Self::Smtp),
            "websocket" => Some(Self::Websocket),
            "answers" => Some(Self::Answers),
            "closes" => Some(Self::Closes),
            "resets" => Some(Self::Resets),
            "never-answers" => Some(Self::NeverAnswers),
            "never-reads" => Some(Self::NeverReads),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(std::io::stderr(), "lab-listener: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [behaviour, port, to @ ..] = arguments.as_slice() else {
        bail!("usage: lab-listener BEHAVIOUR PORT [TO]")
    };
    let number = |port: &String| port.parse::<u16>().with_context(|| format!("{port} is no port"));
    let to = to.first().map(number).transpose()?;
    let behaviour =
        Behaviour::parse(behaviour, to).with_context(|| format!("unknown behaviour {behaviour}"))?;
    let port = number(port)?;
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).context("could not listen")?;
    for stream in listener.incoming() {
        let stream = stream.context("could not accept")?;
        // What goes wrong with one client (a reset, say) is no matter for the others.
        thread::spawn(move || serve(behaviour, stream));
    }
    Ok(())
}

fn serve(behaviour: Behaviour, mut stream: TcpStream) -> Result<()> {
    // Larger than any ClientHello: with nothing left unread, closing is a FIN and not a reset.
    let mut buffer = vec![0; 1 << 16];
    match behaviour {
        // As memcached answers what it does not know (doc/protocol.txt, "Error strings").
        Behaviour::Answers => {
            while stream.read(&mut buffer)? > 0 {
                stream.write_all(b"ERROR\r\n")?;
            }
        }
        Behaviour::Closes => drop(stream.read(&mut buffer)?),
        Behaviour::Resets => {
            let _ = stream.read(&mut buffer)?;
            // socket(7), tcp(7): closing with a linger time of 0 sends a reset.
            setsockopt(&stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
        }
        Behaviour::NeverAnswers => while stream.read(&mut buffer)? > 0 {},
        Behaviour::NeverReads => loop {
            thread::park();
        },
        Behaviour::Websocket => websocket(stream)?,
        Behaviour::Late(to) => {
            // What is shown is a server that takes its time; there is nothing to wait for.
            thread::sleep(LATE);
            pass_on(stream, to)?;
        }
        Behaviour::Smtp(to) => smtp(stream, to)?,
    }
    Ok(())
}

/// RFC 6455, section 1.3: agrees to anything, and then sends back what comes.
fn websocket(mut stream: TcpStream) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    read_until(&mut lines, |line| line.trim().is_empty())?;
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    std::io::copy(&mut lines, &mut stream)?;
    Ok(())
}

/// RFC 3207: a greeting, EHLO, STARTTLS, and then what TLS server `to` says.
fn smtp(mut stream: TcpStream, to: u16) -> Result<()> {
    let mut lines = BufReader::with_capacity(1, stream.try_clone()?);
    stream.write_all(b"220 mail.example ESMTP\r\n")?;
    read_until(&mut lines, |line| line.starts_with("EHLO"))?;
    stream.write_all(b"250-mail.example\r\n250 STARTTLS\r\n")?;
    read_until(&mut lines, |line| line.starts_with("STARTTLS"))?;
    stream.write_all(b"220 2.0.0 Ready to start TLS\r\n")?;
    pass_on(stream, to)
}

fn read_until(lines: &mut BufReader<TcpStream>, is_last: impl Fn(&str) -> bool) -> Result<()> {
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            bail!("the client has left");
        }
        if is_last(&line) {
            return Ok(());
        }
    }
}

/// Copies both ways until both ends have said all.
fn pass_on(stream: TcpStream, to: u16) -> Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    let (back, forth) = ((server.try_clone()?, stream.try_clone()?), (stream, server));
    let one_way = |(mut from, mut to): (TcpStream, TcpStream)| {
        let copied = std::io::copy(&mut from, &mut to);
        // Fails when the other end has gone, which is what it would say.
        let _ = to.shutdown(Shutdown::Write);
        copied
    };
    let other = thread::spawn(move || one_way(back));
    one_way(forth)?;
    other.join().ok().context("a thread panicked")??;
    Ok(())
}
