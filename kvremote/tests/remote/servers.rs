//! Real servers: one, or a cluster of three masters and three replicas.
//!
//! Owns: their processes. Each is the child of a shell that waits for the end of its input, which this process holds:
//! so no server outlives the tests, however they end.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use kvcore::Options;
use kvremote::RemoteStore;

/// Starts the server, says its number, and ends it when nobody holds the input any more.
const GUARD: &str = r#"
"$@" > /dev/null 2>&1 & server=$!
echo $server
read -r _
kill -9 $server 2> /dev/null
wait $server 2> /dev/null
rm -rf "$0"
"#;

/// How often something is looked at that takes a while, and how long in between.
const LOOKS: usize = 600;
const LOOK: Duration = Duration::from_millis(20);

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    panic!("in {:?} it did not come to this: {what}", LOOK * LOOKS as u32);
}

/// One server.
pub struct Server {
    pub port: u16,
    bus: u16,
    pid: u32,
    shell: Child,
}

impl Server {
    /// Starts a server with more arguments, and waits until it answers.
    pub fn start(arguments: &[&str]) -> Server {
        for _ in 0..5 {
            let server = Server::spawn(arguments);
            for _ in 0..100 {
                if server.try_connect().is_some() {
                    return server;
                }
                std::thread::sleep(LOOK);
            }
        }
        panic!("no server answers, five times in a row");
    }

    fn spawn(arguments: &[&str]) -> Server {
        let (port, bus) = (free_port(), free_port());
        let folder = std::env::temp_dir().join(format!("kvremote-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = program();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(GUARD).arg(&folder).arg(&program);
        shell.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string()]);
        shell.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        shell.args(["--repl-diskless-sync-delay", "0", "--dir"]).arg(&folder);
        shell.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { port, bus, pid: line.trim().parse().unwrap(), shell }
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
        // A server that asks for a password answers as well.
        let ping = redis::cmd("PING").query::<String>(&mut connection);
        ping.is_ok_and(|pong| pong == "PONG").then_some(connection)
    }

    /// A connection beside the store's.
    pub fn connection(&self) -> redis::Connection {
        self.try_connect().unwrap()
    }

    /// Sends one command and answers its reply as text.
    pub fn say(&self, words: &[&str]) -> String {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let reply: redis::Value = command.query(&mut self.connection()).unwrap();
        match reply {
            redis::Value::Okay => "OK".into(),
            redis::Value::Int(number) => number.to_string(),
            reply => redis::from_redis_value(reply).unwrap_or_default(),
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Opens a store on this server alone.
    pub fn open(&self, query: &str) -> RemoteStore {
        let location = format!("valkey://{}/?{query}", self.address());
        RemoteStore::open(&location, Options::new()).unwrap()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that was stopped does not see its end otherwise.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = ["valkey-server", "redis-server"].iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    });
    found.unwrap_or_else(|| {
        panic!(
            "these tests need redis-server: install it with `apt-get install redis-server`, \
             or run them by `cargo xtask test tools rust`, which does"
        )
    })
}

/// Three masters and three replicas.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster, and waits until every replica has what its master has: a master that goes before that
    /// takes everything with it.
    pub fn start() -> Cluster {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let events = ["--notify-keyspace-events", "KA"];
        let all: Vec<&str> = arguments.into_iter().chain(events).collect();
        let servers: Vec<Server> = (0..6).map(|_| Server::start(&all)).collect();
        let slots = [("0", "5461"), ("5462", "10922"), ("10923", "16383")];
        for (number, server) in servers.iter().enumerate() {
            server.say(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            if let Some((from, to)) = slots.get(number) {
                server.say(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
            }
            let (port, bus) = (server.port.to_string(), server.bus.to_string());
            servers[0].say(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Cluster { servers };
        cluster
            .wait_for("everybody knows everybody", |info| info.contains("cluster_known_nodes:6"));
        for number in 0..3 {
            let master = cluster.servers[number].say(&["CLUSTER", "MYID"]);
            let replica = &cluster.servers[number + 3];
            wait_until("the replica knows its master", || {
                replica.say(&["CLUSTER", "NODES"]).contains(&master)
            });
            replica.say(&["CLUSTER", "REPLICATE", &master]);
        }
        cluster.wait_for("the cluster is whole", |info| info.contains("cluster_state:ok"));
        for replica in &cluster.servers[3..] {
            wait_until("a replica has everything", || {
                replica.say(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        cluster
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        for server in &self.servers {
            wait_until(what, || holds(&server.say(&["CLUSTER", "INFO"])));
        }
    }

    /// Opens a store on the cluster.
    pub fn open(&self, query: &str) -> RemoteStore {
        let first: Vec<String> = self.servers[..2].iter().map(Server::address).collect();
        let location = format!("valkey-cluster://{}/?{query}", first.join(","));
        RemoteStore::open(&location, Options::new()).unwrap()
    }

    /// The masters as they began.
    pub fn masters(&self) -> &[Server] {
        &self.servers[..3]
    }
}

/// A server for tests that leave it as it was.
pub fn one() -> &'static Server {
    static ONE: OnceLock<Server> = OnceLock::new();
    ONE.get_or_init(|| Server::start(&["--notify-keyspace-events", "KA"]))
}

/// A cluster for tests that leave it as it was.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

/// The servers that the cases about servers name.
pub struct Places {
    one: Server,
    cluster: Cluster,
    silent: Server,
    slotless: Server,
}

impl Places {
    /// Starts them.
    pub fn start() -> Places {
        let silent = Server::start(&[]);
        silent.say(&["CONFIG", "SET", "requirepass", "right"]);
        Places {
            one: Server::start(&["--notify-keyspace-events", "KA"]),
            cluster: Cluster::start(),
            silent,
            slotless: Server::start(&["--cluster-enabled", "yes"]),
        }
    }

    /// Their names, and where they are. At `nobody` nobody listens.
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let first: Vec<String> = self.cluster.servers[..2].iter().map(Server::address).collect();
        vec![
            ("one", self.one.address()),
            ("cluster", first.join(",")),
            ("silent", self.silent.address()),
            ("slotless", self.slotless.address()),
            ("nobody", format!("127.0.0.1:{}", free_port())),
        ]
    }
}
