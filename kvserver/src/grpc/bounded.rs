//! The bytes of a message on their way in, counted against the room that all bodies share.
//!
//! Owns: [`Bounded`]. What tonic gathers of a message is held by the server before the service sees it, so it
//! is counted while it comes, and its next piece has a time in which it has to come. The room is not the body's
//! alone: tonic drops that once it has read the message, which then is in the hands of the call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use tokio::time::Sleep;
use tonic::Status;

use crate::web::{Front, PIECE_TIMEOUT, SharedRoom};

/// A body that takes room as it comes.
#[derive(Debug)]
pub struct Bounded {
    front: Arc<Front>,
    inner: Body,
    room: SharedRoom,
    /// Over when the next piece is late. Made only if it has to be waited for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Bounded {
    /// This body, on this front end, which takes its room in here.
    pub fn new(front: Arc<Front>, room: SharedRoom, inner: Body) -> Bounded {
        Bounded { front, inner, room, patience: None }
    }
}

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        if frame.is_pending() {
            let patience =
                this.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PIECE_TIMEOUT)));
            return patience.as_mut().poll(context).map(|()| {
                Some(Err(Status::deadline_exceeded("the rest of the message did not come")))
            });
        }
        this.patience = None;
        frame.map(|frame| {
            let frame = frame?.map_err(|error| Status::cancelled(error.to_string()));
            let frame = frame.and_then(|frame| {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match this.room.lock().grow(&this.front, bytes) {
                    Ok(()) => Ok(frame),
                    Err(_) => Err(Status::resource_exhausted(
                        "other requests hold all the room for messages: retry later",
                    )),
                }
            });
            Some(frame)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
