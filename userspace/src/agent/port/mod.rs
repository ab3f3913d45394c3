//! The one port: metrics and probes, answered by a thread of its own so that no scraper is in the way of the ring. It must not know how
//! the agent works.

mod bounded;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    sync::Arc,
    thread,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};
use tokio::runtime;

use crate::{
    agent::{
        port::bounded::Bounded,
        status::{Answer, Status},
    },
    sink::metrics::{Form, Metrics},
};

/// The port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen at {address}: {error}. Is another agent running on this node? `--listen ADDRESS:PORT` chooses another port"
)]
pub(super) struct PortError {
    address: SocketAddr,
    error: io::Error,
}

#[derive(Clone)]
struct Told {
    metrics: Metrics,
    status: Arc<Status>,
}

/// Opens the port, and answers from now on. Tells where.
pub(super) fn open(
    address: SocketAddr,
    metrics: Metrics,
    status: Arc<Status>,
) -> Result<SocketAddr, PortError> {
    let refused = |error| PortError { address, error };
    let listener = listening(address).map_err(refused)?;
    let opened = listener.local_addr().map_err(refused)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let told = Told { metrics, status };
    thread::Builder::new()
        .name("port".to_owned())
        .spawn(move || runtime.block_on(serve(listener, told)))
        .map_err(refused)?;
    Ok(opened)
}

async fn serve(listener: TcpListener, told: Told) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    // It goes on for as long as the process does.
    let _ = axum::serve(Bounded::new(listener), router(told)).await;
}

fn router(told: Told) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|State(told): State<Told>| async move { answer(&told.status.live()) }))
        .route("/readyz", get(|State(told): State<Told>| async move { answer(&told.status.ready()) }))
        .fallback(|| async { (StatusCode::NOT_FOUND, CLOSE, "there are /metrics, /livez and /readyz\n") })
        .with_state(told)
}

/// One request a connection, so that no connection waits for another request.
const CLOSE: [(header::HeaderName, &str); 1] = [(header::CONNECTION, "close")];

async fn metrics(State(told): State<Told>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let form = Form::accepted(accept);
    (CLOSE, [(header::CONTENT_TYPE, form.content_type())], told.metrics.text(form)).into_response()
}

fn answer(answer: &Answer) -> Response {
    let status = if answer.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Text alone: it has an encoding.
    let body = serde_json::to_string(answer).unwrap_or_default() + "\n";
    (status, CLOSE, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Listens at an address; at `[::]` also for IPv4, and at 0.0.0.0 where a node has no IPv6.
fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let is_any = address.ip().is_unspecified() && address.is_ipv6();
    match listening_at(address) {
        Err(error) if is_any && error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) => {
            listening_at(SocketAddr::from(([0, 0, 0, 0], address.port())))
        }
        listening => listening,
    }
}

fn listening_at(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(128)?)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::listening;

    #[test]
    fn any_address_is_of_both_families() {
        let listener = listening("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            if host == "::1" && listener.local_addr().unwrap().is_ipv4() {
                eprintln!("skipped: this machine has no IPv6");
                continue;
            }
            TcpStream::connect((host, port)).unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let taken = listening("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listening(taken.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }
}
