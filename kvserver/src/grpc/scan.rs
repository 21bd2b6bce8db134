//! `Scan`: entries as a stream.
//!
//! A task reads some entries at a time and waits for the client to take them, so a client that is slow or
//! gone costs one such group of memory and no thread.

use std::sync::Arc;

use kvcore::{Order, ScanOptions};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::full::Answers;
use super::proto::kv::v1::{self, ScanRequest, ScanResponse};
use super::status;
use crate::web::{Caller, Front};

/// Entries of an answer.
const ENTRIES: usize = 64;

/// Answers that wait for a client, beside the one it is being sent.
const AHEAD: usize = 1;

/// The entries that a request asks for.
///
/// # Errors
/// `INVALID_ARGUMENT` for an order that there is not.
pub async fn answers(
    front: Arc<Front>,
    caller: Caller,
    request: ScanRequest,
) -> Result<Answers<ScanResponse>, Status> {
    let order = match v1::Order::try_from(request.order) {
        Ok(v1::Order::Unspecified) => Order::None,
        Ok(v1::Order::Asc) => Order::Asc,
        Ok(v1::Order::Desc) => Order::Desc,
        Err(_) => {
            let number = request.order;
            return Err(Status::invalid_argument(format!(
                "there is no order {number}: give one of 0 to 2"
            )));
        }
    };
    let options = ScanOptions {
        prefix: request.prefix,
        start: request.start,
        end: request.end,
        limit: request.limit,
        order,
        keys_only: request.keys_only,
        point_in_time: false,
    };
    let mut scanning = front.scan(&caller, options).await.map_err(status::of_fault)?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let send = async move {
        loop {
            let next = tokio::select! {
                next = scanning.next(ENTRIES) => next,
                () = front.shared.stopped() => return,
            };
            let answer = match next {
                Ok(entries) if entries.is_empty() => return,
                Ok(entries) => Ok(shown(entries)),
                Err(error) => Err(status::of_fault(error)),
            };
            let is_over = answer.is_err();
            let is_sent = tokio::select! {
                sent = sender.send(answer) => sent.is_ok(),
                () = front.shared.stopped() => false,
            };
            if is_over || !is_sent {
                return;
            }
        }
    };
    drop(tokio::spawn(send));
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// Entries as they are answered.
fn shown(entries: Vec<kvcore::Entry>) -> ScanResponse {
    let entries = entries.into_iter().map(|entry| v1::Entry {
        key: entry.key().to_vec(),
        value: entry.value().to_vec(),
        version: entry.version(),
        expire_at_ms: entry.expire_at_ms(),
    });
    ScanResponse { entries: entries.collect() }
}
