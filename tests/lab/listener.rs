//! A server that behaves badly in one chosen way, for IPv4 and IPv6; it must not know who connects to it.
//!
//! `lab-listener answers|closes|resets|never-answers|never-reads PORT`

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};

#[derive(Clone, Copy)]
enum Behaviour {
    Answers,
    Closes,
    Resets,
    NeverAnswers,
    NeverReads,
}

impl Behaviour {
    fn parse(name: &str) -> Option<Self> {
        match name {
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
    let [behaviour, port] = arguments.as_slice() else { bail!("usage: lab-listener BEHAVIOUR PORT") };
    let behaviour = Behaviour::parse(behaviour).with_context(|| format!("unknown behaviour {behaviour}"))?;
    let port: u16 = port.parse().with_context(|| format!("{port} is no port"))?;
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
    }
    Ok(())
}
