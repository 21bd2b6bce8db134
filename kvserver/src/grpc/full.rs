//! The full service `kv.v1.KeyValue`: bytes to bytes.

use std::pin::Pin;
use std::sync::Arc;

use kvcore::{
    Batch, BatchOutcome, Condition, DeleteOutcome, Remaining, SetOptions, SetOutcome, TTL_NONE,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::convert::{self, Deadline};
use super::proto::kv::v1::key_value_server::KeyValue;
use super::proto::kv::v1::{
    BatchRequest, BatchResponse, Change, DeleteRequest, DeleteResponse, ExpireRequest,
    ExpireResponse, GetRequest, GetResponse, IncrRequest, IncrResponse, Outcome, ScanRequest,
    ScanResponse, SetRequest, SetResponse, TtlRequest, TtlResponse, WatchRequest, WatchResponse,
    change,
};
use super::{scan, status, watch};
use crate::web::{Caller, Front};

/// What a call with a stream answers.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The full service.
#[derive(Debug)]
pub struct Full {
    front: Arc<Front>,
}

impl Full {
    /// The service on this front end.
    pub fn new(front: Arc<Front>) -> Full {
        Full { front }
    }

    /// Lets a request in.
    fn permit<T>(&self, request: &Request<T>, args: &[&[u8]]) -> Result<Caller, Status> {
        let caller = super::caller(request)?;
        self.front.permit(&caller, args).map_err(status::of_refusal)?;
        Ok(caller)
    }
}

/// A change of a batch whose parts are known to fit together.
enum Checked {
    Set(Vec<u8>, Vec<u8>, SetOptions),
    Delete(Vec<u8>),
    Expire(Vec<u8>, Deadline),
}

impl Checked {
    fn new(change: Change) -> Result<Checked, Status> {
        match change.what {
            Some(change::What::Set(set)) => {
                let expiry = convert::expiry(set.expiry)?;
                let condition = convert::condition(set.condition);
                Ok(Checked::Set(set.key, set.value, SetOptions { expiry, condition }))
            }
            Some(change::What::Delete(delete)) => match convert::condition(delete.condition) {
                Condition::Any => Ok(Checked::Delete(delete.key)),
                _ => Err(Status::invalid_argument(
                    "a delete in a batch takes no condition: leave it out, or call Delete",
                )),
            },
            Some(change::What::Expire(expire)) => {
                Ok(Checked::Expire(expire.key, convert::deadline(expire.when)?))
            }
            None => Err(Status::invalid_argument("a change is empty: give set, delete or expire")),
        }
    }

    fn permit(&self, front: &Front, caller: &Caller) -> Result<(), Status> {
        let permitted = match self {
            Checked::Set(key, ..) => front.permit(caller, &[b"set", key, b""]),
            Checked::Delete(key) => front.permit(caller, &[b"del", key]),
            Checked::Expire(key, _) => front.permit(caller, &[b"pexpire", key, b"0"]),
        };
        permitted.map_err(status::of_refusal)
    }

    fn put(&self, batch: &mut Batch) {
        match self {
            Checked::Set(key, value, options) => batch.set_with(key, value, options),
            Checked::Delete(key) => batch.del(key),
            Checked::Expire(key, Deadline::In(ttl_ms)) => batch.expire(key, *ttl_ms),
            Checked::Expire(key, Deadline::At(at_ms)) => batch.expire_at(key, *at_ms),
        };
    }
}

fn set_response(outcome: SetOutcome) -> SetResponse {
    let (outcome, version) = match outcome {
        SetOutcome::Stored { version } => (Outcome::Done, version),
        SetOutcome::Exists => (Outcome::Exists, 0),
        SetOutcome::NotFound => (Outcome::NotFound, 0),
        SetOutcome::Conflict => (Outcome::Conflict, 0),
    };
    SetResponse { outcome: outcome.into(), version }
}

#[tonic::async_trait]
impl KeyValue for Full {
    type ScanStream = Answers<ScanResponse>;
    type WatchStream = Answers<WatchResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.permit(&request, &[b"get", &request.get_ref().key])?;
        let key = request.into_inner().key;
        let read = self.front.read(move |store| Ok((store.get(&key)?, key)));
        let (value, key) = read.await.map_err(status::of_fault)?;
        let entry = value.map(|value| convert::entry(key, &value));
        Ok(Response::new(GetResponse { entry }))
    }

    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        self.permit(&request, &[b"set", &request.get_ref().key, b""])?;
        let SetRequest { key, value, expiry, condition } = request.into_inner();
        let expiry = convert::expiry(expiry)?;
        let options = SetOptions { expiry, condition: convert::condition(condition) };
        let change = self.front.change(move |store, changes| {
            let outcome = store.set_with(&key, &value, &options)?;
            if matches!(outcome, SetOutcome::Stored { .. }) {
                changes.set(&key);
            }
            Ok(outcome)
        });
        Ok(Response::new(set_response(change.await.map_err(status::of_fault)?)))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        self.permit(&request, &[b"del", &request.get_ref().key])?;
        let DeleteRequest { key, condition } = request.into_inner();
        let condition = convert::condition(condition);
        if condition == Condition::Absent {
            return Err(Status::invalid_argument(
                "what is absent cannot be deleted: leave the condition out",
            ));
        }
        let deleted = self.front.delete(key, condition).await;
        let outcome = match deleted.map_err(status::of_fault)? {
            DeleteOutcome::Deleted => Outcome::Done,
            DeleteOutcome::NotFound => Outcome::NotFound,
            DeleteOutcome::Conflict => Outcome::Conflict,
        };
        Ok(Response::new(DeleteResponse { outcome: outcome.into() }))
    }

    async fn batch(
        &self,
        request: Request<BatchRequest>,
    ) -> Result<Response<BatchResponse>, Status> {
        let caller = super::caller(&request)?;
        let checked: Result<Vec<Checked>, Status> =
            request.into_inner().changes.into_iter().map(Checked::new).collect();
        let checked = checked?;
        let mut batch = Batch::new();
        for change in &checked {
            change.permit(&self.front, &caller)?;
            change.put(&mut batch);
        }
        let change = self.front.change(move |store, changes| {
            let outcome = store.write(&batch)?;
            if matches!(outcome, BatchOutcome::Applied { .. }) {
                for change in &checked {
                    match change {
                        Checked::Set(key, ..) => changes.set(key),
                        Checked::Delete(key) => changes.deleted(key),
                        Checked::Expire(key, _) => changes.expires(key),
                    }
                }
            }
            Ok(outcome)
        });
        Ok(Response::new(match change.await.map_err(status::of_fault)? {
            BatchOutcome::Applied { applied, missing } => BatchResponse {
                outcome: Outcome::Done.into(),
                applied,
                missing,
                conflict_index: None,
            },
            BatchOutcome::Conflict { index } => BatchResponse {
                outcome: Outcome::Conflict.into(),
                applied: 0,
                missing: 0,
                conflict_index: Some(index as u64),
            },
        }))
    }

    async fn expire(
        &self,
        request: Request<ExpireRequest>,
    ) -> Result<Response<ExpireResponse>, Status> {
        self.permit(&request, &[b"pexpire", &request.get_ref().key, b"0"])?;
        let ExpireRequest { key, when } = request.into_inner();
        let deadline = convert::deadline(when)?;
        let change = self.front.change(move |store, changes| {
            let found = match deadline {
                Deadline::In(TTL_NONE) => store.expire(&key, TTL_NONE)?,
                Deadline::In(ttl_ms) => store.expire(&key, ttl_ms)?,
                Deadline::At(at_ms) => store.expire_at(&key, at_ms)?,
            };
            match deadline {
                _ if !found => {}
                Deadline::In(TTL_NONE) => changes.persists(&key),
                _ => changes.expires(&key),
            }
            Ok(found)
        });
        let found = change.await.map_err(status::of_fault)?;
        Ok(Response::new(ExpireResponse { found }))
    }

    async fn ttl(&self, request: Request<TtlRequest>) -> Result<Response<TtlResponse>, Status> {
        self.permit(&request, &[b"pttl", &request.get_ref().key])?;
        let key = request.into_inner().key;
        let left = self.front.read(move |store| store.ttl(&key)).await.map_err(status::of_fault)?;
        Ok(Response::new(match left {
            None => TtlResponse { found: false, ttl_ms: None },
            Some(Remaining::Never) => TtlResponse { found: true, ttl_ms: None },
            Some(Remaining::Ms(ms)) => TtlResponse { found: true, ttl_ms: Some(ms) },
        }))
    }

    async fn incr(&self, request: Request<IncrRequest>) -> Result<Response<IncrResponse>, Status> {
        self.permit(&request, &[b"incrby", &request.get_ref().key, b"0"])?;
        let IncrRequest { key, delta, expiry } = request.into_inner();
        let expiry = match expiry {
            None => kvcore::Expiry::Keep,
            given => convert::expiry(given)?,
        };
        let change = self.front.change(move |store, changes| {
            let value = store.incr(&key, delta, expiry)?;
            changes.incremented(&key);
            Ok(value)
        });
        let value = change.await.map_err(status::of_fault)?;
        Ok(Response::new(IncrResponse { value }))
    }

    async fn scan(
        &self,
        request: Request<ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        let caller = self.permit(&request, &[b"scan", b"0"])?;
        let answers = scan::answers(Arc::clone(&self.front), caller, request.into_inner()).await?;
        Ok(Response::new(answers))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = self.permit(&request, &[b"scan", b"0"])?;
        let answers = watch::answers(Arc::clone(&self.front), caller, request.into_inner()).await?;
        Ok(Response::new(answers))
    }
}
