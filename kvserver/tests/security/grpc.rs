//! A client of gRPC, whose calls wait for their answers.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

#[allow(missing_docs, clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("kv.v1");
}

use v1::key_value_client::KeyValueClient;

/// A client with these credentials, on a connection of its own.
pub struct Client {
    // Before the runtime, which it needs to take its leave.
    calls: KeyValueClient<Channel>,
    authorization: String,
    runtime: Runtime,
}

impl Client {
    pub fn new(address: SocketAddr, authorization: &str) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        Client::of(runtime, channel, authorization)
    }

    pub fn with_tls(address: SocketAddr, config: Arc<ClientConfig>, authorization: &str) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_static("http://localhost");
        let connect = endpoint.connect_with_connector(Tls { address, config });
        let channel = runtime.block_on(connect).unwrap();
        Client::of(runtime, channel, authorization)
    }

    fn of(runtime: Runtime, channel: Channel, authorization: &str) -> Client {
        let calls = KeyValueClient::new(channel);
        Client { calls, authorization: authorization.to_owned(), runtime }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.authorization.is_empty() {
            let value = self.authorization.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// The value of a key.
    pub fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Status> {
        let request = self.request(v1::GetRequest { key: key.into() });
        let answer = self.runtime.block_on(self.calls.get(request))?;
        Ok(answer.into_inner().entry.map(|entry| entry.value))
    }

    /// Sets a key and deletes another one, in one batch.
    pub fn batch(&mut self, set: &str, delete: &str) -> Result<(), Status> {
        use v1::change::What;
        let set = v1::SetRequest { key: set.into(), ..v1::SetRequest::default() };
        let delete = v1::DeleteRequest { key: delete.into(), ..v1::DeleteRequest::default() };
        let changes = [What::Set(set), What::Delete(delete)];
        let changes = changes.map(|what| v1::Change { what: Some(what) }).into();
        let request = self.request(v1::BatchRequest { changes });
        self.runtime.block_on(self.calls.batch(request)).map(drop)
    }

    /// The keys that a scan in order finds, in this direction.
    pub fn scan(
        &mut self,
        prefix: &str,
        limit: u64,
        order: v1::Order,
    ) -> Result<Vec<String>, Status> {
        let request = self.request(v1::ScanRequest {
            prefix: prefix.into(),
            limit,
            order: order.into(),
            ..v1::ScanRequest::default()
        });
        self.runtime.block_on(async {
            let mut answers = self.calls.scan(request).await?.into_inner();
            let mut keys = Vec::new();
            while let Some(answer) = answers.message().await? {
                let found = answer.entries.into_iter();
                keys.extend(found.map(|entry| String::from_utf8(entry.key).unwrap()));
            }
            Ok(keys)
        })
    }

    /// Begins to watch everything, lets something be done, and answers the keys that were seen until one that
    /// is named `end`, or why the watch ended.
    pub fn watch(&mut self, act: impl FnOnce()) -> Result<Vec<String>, Status> {
        use v1::watch_response::What;
        let request = self.request(v1::WatchRequest::default());
        self.runtime.block_on(async {
            let mut answers = self.calls.watch(request).await?.into_inner();
            let started = answers.message().await?.and_then(|answer| answer.what);
            assert!(matches!(started, Some(What::Started(_))));
            act();
            let mut keys = Vec::new();
            while let Some(answer) = answers.message().await? {
                let Some(What::Event(event)) = answer.what else { panic!("{answer:?}") };
                keys.push(String::from_utf8(event.key).unwrap());
                if keys.last().is_some_and(|key| key.ends_with("end")) {
                    break;
                }
            }
            Ok(keys)
        })
    }
}

/// Connects with TLS, wherever the call is to.
struct Tls {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Service<Uri> for Tls {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (address, connector) = (self.address, TlsConnector::from(Arc::clone(&self.config)));
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            Ok(TokioIo::new(connector.connect(name, stream).await?))
        })
    }
}
