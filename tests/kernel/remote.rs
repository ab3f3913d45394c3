//! The handles on a peer's process and its sockets: the tracer leaves out sockets of its own process, so others hold them.

use std::{
    cell::RefCell,
    fmt::Display,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::HEXLOWER;
use mtlsnoop_tests::{netns::Netns, program};

/// As the kernel names the process.
pub(crate) const NAME: &str = "lab-peer";

/// A process that holds sockets. It ends with the last handle on it.
#[derive(Clone)]
pub(crate) struct Peer(Rc<RefCell<Remote>>);

struct Remote {
    child: Child,
    /// Taken only when the process is to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    sockets: u32,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.orders.take();
        // It fails only when it has ended already.
        let _ = self.child.wait();
    }
}

/// The peer's system call failed, with this errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) i32);

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}

impl std::error::Error for Refused {}

impl Peer {
    /// Starts one in a network namespace.
    pub(crate) fn start(netns: &Netns) -> Result<Self> {
        let program = program::helper(NAME)?;
        let mut child = netns.enter(|| {
            Command::new(program)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("could not start a peer")
        })?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self(Rc::new(RefCell::new(Remote { child, orders, answers, sockets: 0 }))))
    }

    /// Moves it into a control group; sockets that it makes from now on belong there.
    pub(crate) fn enter_cgroup(&self, group: &Path) -> Result<()> {
        Ok(fs::write(group.join("cgroup.procs"), self.pid().to_string())?)
    }

    /// Makes it an ordinary user's.
    pub(crate) fn become_user(&self, id: u32) -> Result<()> {
        self.order(&format_args!("user {id}")).map(drop)
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.borrow().child.id()
    }

    /// Listens; port 0 is a free one.
    pub(crate) fn listen(&self, address: &str) -> Result<Listener> {
        let socket = self.socket();
        let address = socket.order("listen", &address)?.parse()?;
        Ok(Listener { socket, address })
    }

    /// A socket that can connect to such an address.
    pub(crate) fn open(&self, remote: SocketAddr) -> Result<End> {
        let socket = self.socket();
        socket.order("open", &remote)?;
        Ok(End { socket })
    }

    fn socket(&self) -> Socket {
        let mut remote = self.0.borrow_mut();
        remote.sockets += 1;
        Socket { peer: self.clone(), name: remote.sockets }
    }

    fn order(&self, order: &impl Display) -> Result<String> {
        let mut remote = self.0.borrow_mut();
        let orders = remote.orders.as_mut().context("the peer is about to end")?;
        writeln!(orders, "{order}").context("the peer ended; its standard error says why")?;
        let mut answer = String::new();
        remote.answers.read_line(&mut answer)?;
        match answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), "")) {
            ("ok", value) => Ok(value.to_owned()),
            ("error", errno) => bail!(Refused(errno.parse()?)),
            _ => bail!("the peer ended at `{order}`; its standard error says why"),
        }
    }
}

#[derive(Clone)]
struct Socket {
    peer: Peer,
    name: u32,
}

impl Socket {
    fn order(&self, verb: &str, argument: &impl Display) -> Result<String> {
        self.peer.order(&format_args!("{verb} {} {argument}", self.name))
    }

    fn tell(&self, verb: &str) -> Result<String> {
        self.peer.order(&format_args!("{verb} {}", self.name))
    }
}

/// A listening socket.
pub(crate) struct Listener {
    socket: Socket,
    /// Where.
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Takes the next connection.
    pub(crate) fn accept(&self) -> Result<End> {
        let socket = self.socket.peer.socket();
        socket.order("accept", &self.socket.name)?;
        Ok(End { socket })
    }

    /// Listens no more.
    pub(crate) fn close(&self) -> Result<()> {
        self.socket.tell("close").map(drop)
    }
}

/// One end of a connection.
pub(crate) struct End {
    socket: Socket,
}

impl End {
    /// Announces and sends segments of at most so many bytes.
    pub(crate) fn limit_segments(&self, bytes: u32) -> Result<()> {
        self.socket.order("segments", &bytes).map(drop)
    }

    /// Gives up when nothing is acknowledged for so long.
    pub(crate) fn limit_patience(&self, ms: u32) -> Result<()> {
        self.socket.order("patience", &ms).map(drop)
    }

    /// Begins to connect, and does not wait.
    pub(crate) fn start(&self, remote: SocketAddr) -> Result<()> {
        self.socket.order("start", &remote).map(drop)
    }

    /// Waits until it is connected, and gives its own address.
    pub(crate) fn finish(&self) -> Result<SocketAddr> {
        Ok(self.socket.tell("finish")?.parse()?)
    }

    /// Connects, and gives its own address.
    pub(crate) fn connect(&self, remote: SocketAddr) -> Result<SocketAddr> {
        self.start(remote)?;
        self.finish()
    }

    /// Connects in vain, and gives the errno.
    pub(crate) fn connect_in_vain(&self, remote: SocketAddr) -> Result<i32> {
        let error = self.connect(remote).err().context("it was connected")?;
        let Refused(errno) = error.downcast()?;
        Ok(errno)
    }

    /// Sends with one write.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<()> {
        self.socket.order("send", &HEXLOWER.encode(bytes)).map(drop)
    }

    /// Sends each piece with a write of its own, and only after the one before was acknowledged.
    pub(crate) fn send_apart<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        for piece in pieces {
            self.send(piece)?;
            self.socket.tell("settle")?;
        }
        Ok(())
    }

    /// Waits until exactly these bytes have come.
    pub(crate) fn receive(&self, expected: &[u8]) -> Result<()> {
        let received = self.socket.order("receive", &expected.len())?;
        ensure!(received == HEXLOWER.encode(expected), "other bytes came than were sent: {received}");
        Ok(())
    }

    /// Waits until the other end has closed, and gives what came before that.
    pub(crate) fn receive_rest(&self) -> Result<Vec<u8>> {
        Ok(HEXLOWER.decode(self.socket.tell("rest")?.as_bytes())?)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shutdown(&self) -> Result<()> {
        self.socket.tell("shutdown").map(drop)
    }

    /// Closes.
    pub(crate) fn close(&self) -> Result<()> {
        self.socket.tell("close").map(drop)
    }

    /// Closes with a reset, whatever was sent or read.
    pub(crate) fn abort(&self) -> Result<()> {
        self.socket.tell("abort").map(drop)
    }
}
