//! The connections of a handle.
//!
//! Owns: [`Link`]. One connection that all calls share goes to the server, or to the cluster through the
//! client's own routing; a second one takes the changes that wait for replicas, since a server stops reading from a
//! connection while that waits; one each goes to single masters for what cannot be routed (scans, counting, a key
//! on its move); listeners have connections of their own. All of them are made when they are first needed and again
//! after they were lost. Invariant: a connection that is under suspicion is given to no further call, and those that
//! have it let it go at once. So it is closed, and with it goes what the server has not got yet: otherwise a change that
//! was given up could be made after one that came later, on the next connection. That is why every connection is reset
//! when it is closed (`SO_LINGER` of 0): else the system would go on sending what was not acknowledged.
//!
//! The client of the cluster mends lost connections by itself. It does not notice a server that went silent,
//! so a call that timed out has it made anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kvcore::sync::{Mutex, RwLock};
use kvcore::{Error, Result, Status};
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, TlsCertificates, Value,
    io::tcp::TcpSettings,
};

use tokio::sync::watch;

use crate::address::{Address, Endpoint, Login};
use crate::fault::{self, Failure};
use crate::settings::Settings;
use crate::topology::Topology;

/// The shared connection.
#[derive(Clone)]
pub(crate) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A shared connection as a call has it.
pub(crate) struct Lent {
    /// Which of the connections that there were.
    pub(crate) number: u64,
    pub(crate) wire: Wire,
    suspicion: watch::Receiver<bool>,
}

/// A shared connection as the link has it.
struct Held {
    number: u64,
    wire: Wire,
    /// Whether it is under suspicion, which those that have it are told.
    suspicion: watch::Sender<bool>,
}

impl Held {
    fn lend(&self) -> Lent {
        let (number, wire) = (self.number, self.wire.clone());
        Lent { number, wire, suspicion: self.suspicion.subscribe() }
    }
}

impl Lent {
    /// Waits until the connection is under suspicion.
    pub(crate) async fn is_suspected(&mut self) {
        if self.suspicion.wait_for(|suspected| *suspected).await.is_err() {
            // It was made anew without a suspicion, and will never be under one.
            std::future::pending().await
        }
    }
}

/// Which of the two shared connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The one that never waits.
    Quick,
    /// The one on which replicas are waited for.
    Acked,
}

/// A shared connection, as long as there is one.
#[derive(Default)]
struct Shared {
    wire: RwLock<Option<Held>>,
    /// Held while the connection is made, so that many callers make one; counts them.
    making: tokio::sync::Mutex<u64>,
}

/// The connections of a handle.
pub(crate) struct Link {
    address: Address,
    tls: bool,
    tls_ca: Option<Vec<u8>>,
    timeout: Duration,
    quick: Shared,
    acked: Shared,
    nodes: Mutex<HashMap<Endpoint, MultiplexedConnection>>,
    topology: RwLock<Option<Arc<Topology>>>,
}

impl Link {
    pub(crate) fn new(address: Address, settings: &Settings) -> Link {
        Link {
            address,
            tls: settings.tls,
            tls_ca: settings.tls_ca.clone(),
            timeout: settings.timeout,
            quick: Shared::default(),
            acked: Shared::default(),
            nodes: Mutex::new(HashMap::new()),
            topology: RwLock::new(None),
        }
    }

    /// Whether there are several servers.
    pub(crate) fn is_cluster(&self) -> bool {
        self.address.is_cluster
    }

    /// Who its connections say they are.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.address.login.as_ref()
    }

    fn lane(&self, lane: Lane) -> &Shared {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Acked => &self.acked,
        }
    }

    /// A shared connection, made if there is none.
    ///
    /// # Errors
    /// [`Failure::NotSent`] or [`Failure::Final`].
    pub(crate) async fn wire(&self, lane: Lane) -> Result<Lent, Failure> {
        let shared = self.lane(lane);
        let lend = || shared.wire.read().as_ref().map(Held::lend);
        if let Some(lent) = lend() {
            return Ok(lent);
        }
        let mut made = shared.making.lock().await;
        if let Some(lent) = lend() {
            return Ok(lent);
        }
        let connected = if self.address.is_cluster {
            let client = self.cluster_client().map_err(not_connected)?;
            client.get_async_connection().await.map(Wire::Cluster)
        } else {
            self.connect(&self.address.endpoints[0], self.config()).await.map(Wire::One)
        };
        let wire = connected.map_err(not_connected)?;
        *made += 1;
        let held = Held { number: *made, wire, suspicion: watch::Sender::new(false) };
        let lent = held.lend();
        *shared.wire.write() = Some(held);
        Ok(lent)
    }

    /// Has a connection made anew, and ends all calls on it, unless that has happened.
    pub(crate) fn suspect(&self, lane: Lane, number: u64) {
        if let Some(held) = self.take(lane, number) {
            held.suspicion.send_replace(true);
        }
    }

    /// Has a connection made anew for later calls, unless that has happened. Those on it go on.
    pub(crate) fn renew(&self, lane: Lane, number: u64) {
        drop(self.take(lane, number));
    }

    fn take(&self, lane: Lane, number: u64) -> Option<Held> {
        let mut wire = self.lane(lane).wire.write();
        if wire.as_ref()?.number == number { wire.take() } else { None }
    }

    /// A connection of its own to one server, shared by those who need just that server.
    pub(crate) async fn node(&self, server: &Endpoint) -> Result<MultiplexedConnection, Failure> {
        if let Some(node) = self.nodes.lock().get(server) {
            return Ok(node.clone());
        }
        let node = self.connect(server, self.config()).await.map_err(not_connected)?;
        self.nodes.lock().insert(server.clone(), node.clone());
        Ok(node)
    }

    /// Lets go of the connection to one server.
    pub(crate) fn forget_node(&self, server: &Endpoint) {
        self.nodes.lock().remove(server);
    }

    /// A connection that `pushed` gets every push message of, on the thread of the engine.
    pub(crate) async fn listener(
        &self,
        server: &Endpoint,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Failure> {
        let sender = move |push| {
            pushed(push);
            Ok::<(), ()>(())
        };
        let config = self.config().set_push_sender(sender);
        self.connect(server, config).await.map_err(not_connected)
    }

    /// The last picture of the cluster.
    pub(crate) fn known_topology(&self) -> Option<Arc<Topology>> {
        self.topology.read().clone()
    }

    /// Asks for a picture of the cluster.
    ///
    /// # Errors
    /// `Unavailable`, and those of connecting.
    pub(crate) async fn refresh_topology(&self) -> Result<Arc<Topology>> {
        let first = &self.address.endpoints[0];
        let topology = if self.address.is_cluster {
            let mut command = redis::cmd("CLUSTER");
            command.arg("SLOTS");
            let asked = async {
                let lent = self.wire(Lane::Quick).await?;
                lent.wire.send_anywhere(command).await.map_err(Failure::of)
            };
            let reply = tokio::time::timeout(self.timeout, asked).await;
            let reply = reply
                .map_err(|_| {
                    fault::unavailable("the cluster did not say who has which slots", None)
                })?
                .map_err(into_error)?;
            Topology::read(reply, &first.host)?
        } else {
            Topology::single(first.clone())
        };
        let mut known = self.topology.write();
        if let Some(known) = known.as_ref().filter(|known| ***known == topology) {
            return Ok(Arc::clone(known));
        }
        let topology = Arc::new(topology);
        *known = Some(Arc::clone(&topology));
        Ok(topology)
    }

    async fn connect(
        &self,
        server: &Endpoint,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let info = self.info(server)?;
        let client = match &self.tls_ca {
            Some(_) => Client::build_with_tls(info, self.certificates())?,
            None => Client::open(info)?,
        };
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn cluster_client(&self) -> Result<ClusterClient, RedisError> {
        let mut servers = self.address.endpoints.clone();
        if let Some(topology) = self.known_topology() {
            servers.extend(topology.masters().iter().cloned());
            servers.sort();
            servers.dedup();
        }
        let infos =
            servers.iter().map(|server| self.info(server)).collect::<Result<Vec<_>, _>>()?;
        let builder = ClusterClientBuilder::new(infos)
            .retries(0)
            .tcp_settings(tcp_settings())
            .connection_timeout(self.connection_timeout())
            .response_timeout(self.timeout * 2)
            .use_protocol(ProtocolVersion::RESP3);
        match &self.tls_ca {
            Some(_) => builder.certs(self.certificates()).build(),
            None => builder.build(),
        }
    }

    /// Short enough to try another server before the call is over.
    fn connection_timeout(&self) -> Duration {
        (self.timeout / 4).max(Duration::from_millis(100)).min(self.timeout)
    }

    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connection_timeout()))
            // Calls have deadlines of their own.
            .set_response_timeout(None)
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: self.tls_ca.clone() }
    }

    fn info(&self, server: &Endpoint) -> Result<ConnectionInfo, RedisError> {
        let (host, port) = (server.host.clone(), server.port);
        let address = if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_skip_set_lib_name();
        if let Some(login) = &self.address.login {
            settings = settings.set_password(&login.password);
            if let Some(user) = &login.user {
                settings = settings.set_username(user);
            }
        }
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
    }
}

impl Wire {
    /// Sends one command to the server of a slot.
    pub(crate) async fn send(&self, slot: u16, command: &Cmd) -> Result<Value, RedisError> {
        match self.clone() {
            Wire::One(mut connection) => connection.send_packed_command(command).await,
            Wire::Cluster(mut cluster) => {
                let routing = RoutingInfo::SingleNode(route(slot));
                cluster.route_command(command.clone(), routing).await
            }
        }
    }

    /// Sends several commands to the server of a slot, and answers all their replies, errors among them.
    pub(crate) async fn send_all(
        &self,
        slot: u16,
        pipeline: Pipeline,
    ) -> Result<Vec<Value>, RedisError> {
        let count = pipeline.len();
        match self.clone() {
            Wire::One(mut connection) => connection.send_packed_commands(&pipeline, 0, count).await,
            Wire::Cluster(mut cluster) => {
                cluster.route_pipeline(pipeline, 0, count, route(slot)).await
            }
        }
    }

    /// Sends a command that any server can answer.
    async fn send_anywhere(&self, command: Cmd) -> Result<Value, RedisError> {
        match self.clone() {
            Wire::One(mut connection) => connection.send_packed_command(&command).await,
            Wire::Cluster(mut cluster) => {
                let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                cluster.route_command(command, routing).await
            }
        }
    }
}

/// A command goes out at once, however small, and what was not sent when a socket is closed never is.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_linger_time(Duration::ZERO).set_nodelay(true)
}

/// To the master of a slot.
fn route(slot: u16) -> SingleNodeRoutingInfo {
    let slot = Slot::new(slot).map(|slot| Route::with_slot(slot, SlotAddr::Master));
    slot.into()
}

/// What a failure to connect means: what may pass by itself was not sent, the rest is final.
fn not_connected(error: RedisError) -> Failure {
    let said = error.to_string();
    if said.contains("cluster support disabled") {
        return Failure::Final(Error::new(
            Status::Unsupported,
            "this server is not part of a cluster: open it as valkey://",
        ));
    }
    if said.contains("invalid peer certificate") {
        return Failure::Final(Error::new(
            Status::Invalid,
            format!("the certificate of the server is not trusted, see tls_ca_file: {said}"),
        ));
    }
    if error.kind() == redis::ErrorKind::InvalidClientConfig {
        return Failure::Final(Error::new(Status::Invalid, format!("cannot connect: {said}")));
    }
    match Failure::of(error.clone()) {
        Failure::Final(error)
            if matches!(error.status(), Status::Invalid | Status::Unsupported) =>
        {
            Failure::Final(error)
        }
        _ => Failure::NotSent(error),
    }
}

/// The error of a failure that is not tried again.
pub(crate) fn into_error(failure: Failure) -> Error {
    match failure {
        Failure::Final(error) => error,
        Failure::NotNow(error) | Failure::NotSent(error) | Failure::Lost(error) => {
            fault::unavailable("the remote store did not answer", Some(&error))
        }
        Failure::Ask(_) => fault::unavailable("the key is being moved to another server", None),
    }
}
