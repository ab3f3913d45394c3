//! Connections: TLS, HTTP/1.1 and HTTP/2, on a thread of its own that can be ended and started again; it must not know
//! what is asked for.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use axum::body::Body as HttpBody;
use axum::http::Request;
use axum::{Router, routing::any};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::answer::answer;
use super::state::State;
use crate::netns::Netns;

/// Where to listen.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) netns: Option<Netns>,
}

/// A server that runs. Dropping it ends it as SIGKILL ends a process: all connections break.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) address: SocketAddr,
}

impl Serving {
    pub(crate) fn start(place: &Place, tls: Arc<ServerConfig>, state: Arc<State>) -> Result<Self> {
        let bind = || {
            TcpListener::bind(place.address)
                .with_context(|| format!("could not listen on {}; is something else there?", place.address))
        };
        let listener = match &place.netns {
            Some(netns) => netns.enter(bind)?,
            None => bind()?,
        };
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("lab-api".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept_all(listener, tls, state) => {}
                    // Also when the sender is dropped.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), address })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the API server's thread panicked");
        }
    }
}

async fn accept_all(listener: TcpListener, tls: Arc<ServerConfig>, state: Arc<State>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let acceptor = TlsAcceptor::from(tls);
    loop {
        // A connection that is gone before it is taken is nothing to end the server for.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let mut broken = state.broken.subscribe();
            broken.mark_unchanged();
            tokio::select! {
                () = serve(stream, acceptor, Arc::clone(&state)) => {}
                _ = broken.changed() => {}
            }
        });
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    // Events are small, and each is to be seen at once.
    let _ = stream.set_nodelay(true);
    // Clients with another idea of TLS are the client's matter.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let handler = any(move |request: Request<HttpBody>| answer(Arc::clone(&state), request));
    let service = TowerToHyperService::new(Router::new().fallback_service(handler));
    // How a connection ended is told by its requests.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}
