//! The health of `grpc.health.v1`: serving as long as the store takes reads and writes.
//!
//! It asks the store each time. The service that comes with tonic keeps what it was last told, which somebody
//! would have to tell it when the store is poisoned.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::web::Front;

/// The names that may be asked for; the empty one is the server.
const SERVICES: [&str; 3] = ["", "kvstore.KeyValueStore", "kv.v1.KeyValue"];

/// How often a watch of the health looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The service.
#[derive(Debug)]
pub struct Health {
    front: Arc<Front>,
}

impl Health {
    /// The health of this front end's store.
    pub fn new(front: Arc<Front>) -> Health {
        Health { front }
    }
}

/// How the store does.
async fn status(front: &Front) -> ServingStatus {
    let shared = &front.shared;
    let is_sound = shared.data.last_fault().is_none() && front.check_store().await.is_ok();
    if is_sound && !shared.is_stopping() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!("there is no service '{service}' here")));
        }
        Ok(Response::new(answer(status(&self.front).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_known = SERVICES.contains(&request.get_ref().service.as_str());
        let (sender, receiver) = mpsc::channel(1);
        let front = Arc::clone(&self.front);
        drop(tokio::spawn(async move {
            let mut told = None;
            while !sender.is_closed() {
                // An unknown service may come to be, says the protocol; here none does.
                let now =
                    if is_known { status(&front).await } else { ServingStatus::ServiceUnknown };
                if told != Some(now) && sender.send(Ok(answer(now))).await.is_err() {
                    return;
                }
                told = Some(now);
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = sender.closed() => return,
                    () = front.shared.stopped() => return,
                }
            }
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
