//! The process that is every server of every other node: it answers requests and is silent to hellos. It must not know who
//! its clients are.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::large_cluster::PORT;

use crate::load::Load;

/// Connections that are served at a time; those of clients that wait for an answer to a hello last.
const THREADS: usize = 96;
/// First byte of a TLS record with a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// Says that it listens, and runs until standard input ends.
pub(crate) fn run() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("could not listen")?;
    let listener = Arc::new(listener);
    for _ in 0..THREADS {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes early is no matter for the others.
                let _ = serve(stream);
            }
        });
    }
    writeln!(io::stdout(), "listening")?;
    io::stdin().read_to_end(&mut Vec::new()).context("could not wait for the end")?;
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let (_, answer) = Load::Conn.sizes_bytes();
    let mut request = [0; 2048];
    let mut is_first = true;
    // Until the client closes, which it does first.
    while stream.read(&mut request)? > 0 {
        if is_first && request[0] != HANDSHAKE {
            stream.write_all(&vec![b'a'; answer])?;
        }
        is_first = false;
    }
    Ok(())
}
