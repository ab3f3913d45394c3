//! Connections over loopback, one after the other; it must not know the agent.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::program::mesh_hello;

/// Connections until it is dropped.
pub(super) struct Load {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Begins.
    pub(super) fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !of_thread.load(Ordering::Relaxed) {
                exchange(100);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// So many connections with an answer, each closed by both ends.
pub(super) fn exchange(connections: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..connections {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"PING\r\n").unwrap();
        server.read_exact(&mut [0; 6]).unwrap();
        server.write_all(b"+PONG\r\n").unwrap();
        drop(server);
        client.read_to_end(&mut Vec::new()).unwrap();
    }
}

/// So many connections on which a `ClientHello` was sent and nothing was answered, by both ends; they last until they are dropped.
pub(super) fn unanswered_hellos(connections: usize) -> Vec<[TcpStream; 2]> {
    let hello = mesh_hello();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = |_| {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(&hello).unwrap();
        [client, listener.accept().unwrap().0]
    };
    (0..connections).map(connection).collect()
}
