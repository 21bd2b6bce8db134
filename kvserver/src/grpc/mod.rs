//! The gRPC front end: two services on one store, with health and reflection.
//!
//! Owns: [`router`]. `simple` is the small service whose names and numbers are frozen, `full` the one with
//! everything, `scan` and `watch` its streams; `status` words errors, `convert` reads messages,
//! `bounded` limits them. The
//! descriptions are in `kvserver/proto`.
//!
//! Invariant: every call of both services is judged by the permissions of its user before the store is
//! touched. Health and reflection tell nothing of the store, and answer everybody.

mod bounded;
mod convert;
mod full;
mod health;
mod scan;
mod simple;
mod status;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tonic::service::Routes;
use tonic::{Request, Status};

use crate::web::{Caller, Front, Peer, SharedRoom, holding};
use bounded::Bounded;
use full::Full;
use health::Health;
use proto::kv::v1::key_value_server::KeyValueServer;
use proto::kvstore::key_value_store_server::KeyValueStoreServer;
use simple::Simple;
use tonic_health::pb::health_server::HealthServer;

/// What is made of the descriptions.
#[allow(
    missing_docs,
    dead_code,
    clippy::all,
    reason = "generated, with clients that only tests use"
)]
mod proto {
    pub mod kvstore {
        tonic::include_proto!("kvstore");
    }
    pub mod kv {
        pub mod v1 {
            tonic::include_proto!("kv.v1");
        }
    }
}

/// The paths of the services that need a user.
const GUARDED: [&str; 2] = ["/kvstore.", "/kv.v1."];

/// The descriptions themselves, for reflection.
const DESCRIBED: &[u8] = tonic::include_file_descriptor_set!("described");

/// All services.
pub fn router(front: &Arc<Front>) -> Router {
    let bytes_max = front.body_bytes_max();
    let simple = KeyValueStoreServer::new(Simple::new(Arc::clone(front)));
    let full = KeyValueServer::new(Full::new(Arc::clone(front)));
    let mut routes = Routes::new(simple.max_decoding_message_size(bytes_max))
        .add_service(full.max_decoding_message_size(bytes_max))
        .add_service(HealthServer::new(Health::new(Arc::clone(front))));
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIBED)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // They fail only for descriptions that cannot be read, and these were written by the build.
    if let Ok(service) = described().build_v1() {
        routes = routes.add_service(service);
    }
    if let Ok(service) = described().build_v1alpha() {
        routes = routes.add_service(service);
    }
    routes.into_axum_router().layer(from_fn_with_state(Arc::clone(front), guard))
}

/// Lets a request to the services in before anything of its message is taken.
async fn guard(
    State(front): State<Arc<Front>>,
    mut request: axum::extract::Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if !GUARDED.iter().any(|service| path.starts_with(service)) {
        return next.run(request).await;
    }
    let admitted = match request.extensions().get::<Arc<Peer>>().cloned() {
        Some(peer) => {
            let header =
                request.headers().get(AUTHORIZATION).map(|header| header.as_bytes().to_vec());
            front.admit(header.as_deref(), &peer).await.map_err(status::of_refusal)
        }
        None => Err(Status::internal("the connection has no address")),
    };
    match admitted {
        Ok(caller) => {
            front.counts.grpc.answered.fetch_add(1, Ordering::Relaxed);
            request.extensions_mut().insert(caller.clone());
            let (room, to) = (SharedRoom::default(), Arc::clone(&front));
            let taken = Arc::clone(&room);
            let request = request.map(|inner| Body::new(Bounded::new(to, taken, inner)));
            let response = holding(room, next.run(request)).await;
            let status = Status::from_header_map(response.headers());
            front.count_calls(&caller, status.is_some_and(|status| status::is_fault(&status)));
            response
        }
        Err(status) => {
            front.counts.grpc.refused.fetch_add(1, Ordering::Relaxed);
            status.into_http()
        }
    }
}

/// Who a request comes from, which was found out when it came.
///
/// # Errors
/// `INTERNAL` if it was not.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("the request was let in without a user"))
}
