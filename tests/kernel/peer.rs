//! A process that holds sockets and does with them what its standard input says; it must not know why.
//!
//! Each line is a verb, a socket's name and arguments; each is answered with `ok VALUE` or `error ERRNO`. It ends when its
//! input does, so it cannot outlive who started it.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    str::FromStr,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use data_encoding::HEXLOWER;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt},
    unistd::{Gid, Uid, setgid, setgroups, setuid},
};

/// No exchange of a test takes as long; what takes longer fails with `EAGAIN`.
const PATIENCE: Duration = Duration::from_secs(20);

mod request {
    //! The system call behind `settle`.
    use nix::libc;

    // tcp(7): SIOCOUTQ counts the bytes that are not acknowledged yet; it has the number of TIOCOUTQ.
    nix::ioctl_read_bad!(unacknowledged, libc::TIOCOUTQ, libc::c_int);
}

fn main() -> Result<()> {
    let mut sockets = Sockets::default();
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match sockets.obey(&words) {
            Ok(value) => writeln!(output, "ok {value}")?,
            Err(error) => {
                let errno = errno(&error).with_context(|| format!("{line}: {error:#}"))?;
                writeln!(output, "error {errno}")?;
            }
        }
        output.flush()?;
    }
    Ok(())
}

/// The number of a failed system call; anything else is a mistake in the test.
fn errno(error: &anyhow::Error) -> Option<i32> {
    let of_io = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    of_io.or_else(|| error.downcast_ref::<Errno>().map(|errno| *errno as i32))
}

#[derive(Default)]
struct Sockets {
    listeners: HashMap<String, TcpListener>,
    streams: HashMap<String, TcpStream>,
}

impl Sockets {
    fn obey(&mut self, words: &[&str]) -> Result<String> {
        let done = |()| String::new();
        match *words {
            ["user", id] => become_user(number(id)?).map(done),
            ["listen", name, address] => self.listen(name, address),
            ["open", name, address] => self.open(name, address).map(done),
            ["segments", name, bytes] => {
                Ok(setsockopt(self.stream(name)?, sockopt::TcpMaxSeg, &number(bytes)?).map(done)?)
            }
            ["patience", name, ms] => {
                Ok(setsockopt(self.stream(name)?, sockopt::TcpUserTimeout, &number(ms)?).map(done)?)
            }
            ["start", name, address] => self.start(name, address).map(done),
            ["finish", name] => self.finish(name),
            ["accept", name, listener] => self.accept(name, listener),
            ["send", name, hex] => Ok(self.stream(name)?.write_all(&bytes(hex)?).map(done)?),
            ["settle", name] => settle(self.stream(name)?).map(done),
            ["receive", name, count] => receive(self.stream(name)?, number(count)?),
            ["rest", name] => rest(self.stream(name)?),
            ["shutdown", name] => Ok(self.stream(name)?.shutdown(std::net::Shutdown::Write).map(done)?),
            ["abort", name] => self.abort(name).map(done),
            ["close", name] => self.close(name).map(done),
            _ => bail!("unknown"),
        }
    }

    fn stream(&mut self, name: &str) -> Result<&mut TcpStream> {
        self.streams.get_mut(name).context("no such connection")
    }

    fn listen(&mut self, name: &str, address: &str) -> Result<String> {
        let listener = TcpListener::bind(address)?;
        let local = listener.local_addr()?;
        self.listeners.insert(name.to_owned(), listener);
        Ok(local.to_string())
    }

    /// A socket for connections to such an address.
    fn open(&mut self, name: &str, address: &str) -> Result<()> {
        let family = if address_of(address)?.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let descriptor: OwnedFd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        self.streams.insert(name.to_owned(), TcpStream::from(descriptor));
        Ok(())
    }

    /// Begins to connect, and does not wait.
    fn start(&mut self, name: &str, address: &str) -> Result<()> {
        let address = SockaddrStorage::from(address_of(address)?);
        let stream = self.stream(name)?;
        stream.set_nonblocking(true)?;
        match connect(stream.as_raw_fd(), &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the end of connecting, and gives the socket's own address.
    fn finish(&mut self, name: &str) -> Result<String> {
        let stream = self.stream(name)?;
        let timeout = PollTimeout::try_from(PATIENCE)?;
        if poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], timeout)? == 0 {
            return Err(Errno::EAGAIN.into());
        }
        if let Some(error) = stream.take_error()? {
            return Err(error.into());
        }
        stream.set_nonblocking(false)?;
        prepare(stream)?;
        Ok(stream.local_addr()?.to_string())
    }

    fn accept(&mut self, name: &str, listener: &str) -> Result<String> {
        let (stream, remote) = self.listeners.get(listener).context("no such listener")?.accept()?;
        prepare(&stream)?;
        self.streams.insert(name.to_owned(), stream);
        Ok(remote.to_string())
    }

    /// Closes with a reset: socket(7), a linger time of 0.
    fn abort(&mut self, name: &str) -> Result<()> {
        setsockopt(self.stream(name)?, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
        self.close(name)
    }

    fn close(&mut self, name: &str) -> Result<()> {
        let is_closed = self.streams.remove(name).is_some() | self.listeners.remove(name).is_some();
        if is_closed { Ok(()) } else { bail!("no such socket") }
    }
}

/// Each write is a packet of its own, and nothing waits for ever.
fn prepare(stream: &TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream.set_write_timeout(Some(PATIENCE))?)
}

fn become_user(id: u32) -> Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(id))?;
    Ok(setuid(Uid::from_raw(id))?)
}

/// Waits until the peer's kernel has acknowledged all that was sent.
fn settle(stream: &TcpStream) -> Result<()> {
    loop {
        let mut count = 0;
        // SAFETY: the descriptor is open for as long as `stream` lives, and SIOCOUTQ writes one int to `count`.
        unsafe { request::unacknowledged(stream.as_raw_fd(), &raw mut count) }?;
        if count == 0 {
            return Ok(());
        }
        // No call waits for an acknowledgement.
        thread::sleep(Duration::from_micros(100));
    }
}

fn receive(stream: &mut TcpStream, count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}

fn rest(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}

fn address_of(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("{text} is no address"))
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse().ok().with_context(|| format!("{text} is no number"))
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    HEXLOWER.decode(hex.as_bytes()).with_context(|| format!("{hex} is not hexadecimal"))
}
