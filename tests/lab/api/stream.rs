//! Bodies of answers that are made while they are sent; it must not know what is in them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use futures::stream::unfold;
use tokio::sync::mpsc::Receiver;

use super::accept::Form;
use super::list::{self, Listed};
use super::request_log::Record;
use super::route::Objects;
use super::store::Stored;

/// About as much as is made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Counts what is sent; the request is over when this is dropped, also when the client left early.
struct Counting(Arc<Record>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.over();
    }
}

/// The state of a list that is being sent.
struct Sending {
    objects: Objects,
    form: Form,
    beginning: Option<String>,
    items: std::vec::IntoIter<Stored>,
    is_first: bool,
    is_over: bool,
    counting: Counting,
}

/// A list.
pub(crate) fn list(objects: Objects, form: Form, listed: Listed, record: Arc<Record>) -> HttpBody {
    let sending = Sending {
        objects,
        form,
        beginning: Some(listed.beginning),
        items: listed.items.into_iter(),
        is_first: true,
        is_over: false,
        counting: Counting(record),
    };
    HttpBody::from_stream(unfold(sending, |mut sending| async {
        let chunk = sending.next_chunk()?;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), sending))
    }))
}

impl Sending {
    fn next_chunk(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let mut chunk = self.beginning.take().unwrap_or_default();
        while chunk.len() < CHUNK_BYTES {
            let Some(stored) = self.items.next() else {
                chunk.push_str("]}\n");
                self.is_over = true;
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                chunk.push(',');
            }
            chunk.push_str(&list::item(&self.objects, self.form, &stored).to_string());
        }
        self.counting.0.sent(chunk.len());
        Some(chunk)
    }
}

/// A watch, line by line. An error breaks the stream off.
pub(crate) fn watch(lines: Receiver<Result<Bytes, io::Error>>, record: Arc<Record>) -> HttpBody {
    HttpBody::from_stream(unfold((lines, Counting(record)), |(mut lines, counting)| async {
        let line = lines.recv().await?;
        if let Ok(line) = &line {
            counting.0.sent(line.len());
        }
        Some((line, (lines, counting)))
    }))
}
