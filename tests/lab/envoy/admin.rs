//! Asks Envoy's admin interface, over its Unix socket or at its port in the pod; it must not know what the answers mean.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::voice::ADMIN_PORT;
use crate::netns::Netns;

const PATIENCE: Duration = Duration::from_secs(5);

/// The body of the answer, over the Unix socket.
pub(super) fn get(socket: &Path, path: &str) -> Result<String> {
    let stream =
        UnixStream::connect(socket).with_context(|| format!("could not connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream, path)
}

/// The body of the answer, at the port in the pod.
pub(super) fn get_in_pod(netns: &Netns, path: &str) -> Result<String> {
    netns.enter(|| {
        let stream =
            TcpStream::connect(("127.0.0.1", ADMIN_PORT)).context("nobody listens at the admin port")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        ask(stream, path)
    })
}

fn ask(mut stream: impl Read + Write, path: &str) -> Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("Envoy's admin interface did not answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its headers")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "Envoy's admin interface says: {head}");
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        joined(body)
    } else {
        Ok(body.to_owned())
    }
}

/// RFC 9112, section 7.1: each chunk after its length in hexadecimal digits, the last one is empty.
fn joined(mut chunks: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n").context("a chunk has no length")?;
        let length = usize::from_str_radix(length, 16).context("a chunk's length is no number")?;
        if length == 0 {
            return Ok(body);
        }
        let (chunk, rest) = rest.split_at_checked(length).context("a chunk is cut short")?;
        body.push_str(chunk);
        chunks = rest.strip_prefix("\r\n").context("a chunk has no end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn chunks_are_joined() {
        assert_eq!(joined("4\r\nabcd\r\nA\r\n0123456789\r\n0\r\n\r\n").unwrap(), "abcd0123456789");
        for broken in ["", "4\r\nab", "x\r\n", "2\r\nabcd"] {
            assert!(joined(broken).is_err(), "{broken}");
        }
    }
}
