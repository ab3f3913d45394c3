//! Finds out whether a server answers; it must not know how the server was started.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use crate::container::Container;
use crate::process::Process;
use crate::wait;

/// How one knows that a server is ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe {
    /// It listens; servers that do not answer by design show no more.
    Listens,
    /// It speaks first.
    Greets,
    /// Its answer to `request` begins with `answer`.
    Answers { request: &'static [u8], answer: &'static [u8] },
}

/// Asks from inside the pod until the right answer comes.
pub(super) fn wait_until_ready(
    process: &mut Process,
    container: &Container,
    address: SocketAddr,
    probe: Probe,
) -> Result<()> {
    let what = format!("the server to answer on {address}");
    let ready = wait::until_true(what, wait::LONG, || {
        process.check_alive()?;
        container.netns().enter(|| Ok(answers(address, probe).unwrap_or(false)))
    });
    ready.map_err(|error| error.context(format!("it says:\n{}{}", process.stdout(), process.stderr())))
}

fn answers(address: SocketAddr, probe: Probe) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut first = [0];
    match probe {
        Probe::Listens => Ok(true),
        Probe::Greets => Ok(stream.read(&mut first)? > 0),
        Probe::Answers { request, answer } => {
            stream.write_all(request)?;
            let mut got = vec![0; answer.len()];
            stream.read_exact(&mut got)?;
            Ok(got == answer)
        }
    }
}
