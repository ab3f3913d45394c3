//! Counts what the client asks for and receives, as a layer under it; changes nothing of either. Knows no object.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::Response;
use http_body::{Frame, SizeHint};
use kube::client::Body;
use tower::{Layer, Service};

use crate::source::kube::{request::Request, state::Board};

/// Puts the counting under a client.
pub(super) struct Counting(pub(super) Arc<Board>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, board: Arc::clone(&self.0) }
    }
}

/// A service whose answers are counted.
pub(super) struct Counted<S> {
    inner: S,
    board: Arc<Board>,
}

impl<S, B> Service<http::Request<Body>> for Counted<S>
where
    S: Service<http::Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = Response<Received<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let asked = Request::of(request.method(), request.uri());
        let board = Arc::clone(&self.board);
        let answer = self.inner.call(request).map(move |answer| {
            board.answered(asked, answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
            answer.map(|answer| answer.map(|inner| Received { inner, request: asked, board }))
        });
        Box::pin(answer)
    }
}

/// The body of an answer, whose bytes are counted as they come.
pub(super) struct Received<B> {
    inner: B,
    request: Request,
    board: Arc<Board>,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Received<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.board.received(self.request, data.len());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
