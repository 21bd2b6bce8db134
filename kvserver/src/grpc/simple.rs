//! The small service `kvstore.KeyValueStore`: text to text.
//!
//! Its description is that of another server, and is kept as it was: what goes wrong with a key is told in
//! the field `error` of an answer that is otherwise fine. Only who may not ask at all gets a status.

use std::sync::Arc;

use kvcore::{Expiry, SetOptions};
use tonic::{Request, Response, Status};

use super::proto::kvstore::key_value_store_server::KeyValueStore;
use super::proto::kvstore::{
    DeleteRequest, DeleteResponse, GetRequest, GetResponse, SetRequest, SetResponse,
};
use super::status;
use crate::web::Front;

/// The small service.
#[derive(Debug)]
pub struct Simple {
    front: Arc<Front>,
}

impl Simple {
    /// The service on this front end.
    pub fn new(front: Arc<Front>) -> Simple {
        Simple { front }
    }

    /// Lets a request in.
    fn permit<T>(&self, request: &Request<T>, args: &[&[u8]]) -> Result<(), Status> {
        let caller = super::caller(request)?;
        self.front.permit(&caller, args).map_err(status::of_refusal)
    }
}

/// When a key expires that is to live for so many seconds; 0 is never.
fn expiry(ttl_seconds: i64) -> Result<Expiry, String> {
    match u64::try_from(ttl_seconds) {
        Ok(0) => Ok(Expiry::Never),
        Ok(seconds) => Ok(Expiry::AfterMs(seconds.saturating_mul(1000))),
        Err(_) => Err(format!(
            "ttl_seconds is {ttl_seconds}, and cannot be negative: give 0 for a key that never expires"
        )),
    }
}

#[tonic::async_trait]
impl KeyValueStore for Simple {
    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        self.permit(&request, &[b"set", request.get_ref().key.as_bytes(), b""])?;
        let SetRequest { key, value, ttl_seconds } = request.into_inner();
        let expiry = match expiry(ttl_seconds) {
            Ok(expiry) => expiry,
            Err(error) => return Ok(Response::new(SetResponse { success: false, error })),
        };
        let change = self.front.change(move |store, changes| {
            let options = SetOptions { expiry, ..SetOptions::default() };
            store.set_with(key.as_bytes(), value.as_bytes(), &options)?;
            changes.set(key.as_bytes());
            Ok(())
        });
        let error = change.await.err().map(|error| error.to_string());
        Ok(Response::new(SetResponse {
            success: error.is_none(),
            error: error.unwrap_or_default(),
        }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.permit(&request, &[b"get", request.get_ref().key.as_bytes()])?;
        let key = request.into_inner().key;
        let answer = match self.front.read(move |store| store.get(key.as_bytes())).await {
            Ok(None) => GetResponse::default(),
            Ok(Some(value)) => match std::str::from_utf8(&value) {
                Ok(text) => {
                    GetResponse { found: true, value: text.to_owned(), error: String::new() }
                }
                Err(_) => GetResponse {
                    found: true,
                    value: String::new(),
                    error: "the value is not UTF-8: read it with kv.v1.KeyValue/Get".to_owned(),
                },
            },
            Err(error) => GetResponse { error: error.to_string(), ..GetResponse::default() },
        };
        Ok(Response::new(answer))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        self.permit(&request, &[b"del", request.get_ref().key.as_bytes()])?;
        let key = request.into_inner().key;
        let change = self.front.change(move |store, changes| {
            if store.del(key.as_bytes())? {
                changes.deleted(key.as_bytes());
            }
            Ok(())
        });
        let error = change.await.err().map(|error| error.to_string());
        Ok(Response::new(DeleteResponse {
            success: error.is_none(),
            error: error.unwrap_or_default(),
        }))
    }
}
