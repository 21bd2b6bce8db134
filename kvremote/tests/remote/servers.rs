//! Real servers: one, or a cluster of three masters and three replicas.
//!
//! Owns: their processes. Each is the child of a shell that waits for the end of its input, which this process holds:
//! so no server outlives the tests, however they end. Invariant: a server that was killed keeps its ports and
//! its folder, so that it can be started again as the same one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use kvcore::Options;
use kvremote::RemoteStore;

/// Starts the server, says its number, starts it again at each line of the input, and ends it when nobody
/// holds that any more.
const GUARD: &str = r#"
folder=$0
while :; do
    "$@" > /dev/null 2>&1 & server=$!
    echo $server
    read -r _ || break
    kill -9 $server 2> /dev/null
    wait $server 2> /dev/null
done
kill -9 $server 2> /dev/null
wait $server 2> /dev/null
rm -rf "$folder"
"#;

/// How often something is looked at that takes a while on a busy machine, and how long in between.
const LOOKS: usize = 15_000;
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
    life: Mutex<Life>,
}

/// The process of a server, which may be another one later.
struct Life {
    pid: u32,
    shell: Child,
    numbers: BufReader<ChildStdout>,
}

impl Life {
    fn begin(mut shell: Child) -> Life {
        let numbers = BufReader::new(shell.stdout.take().unwrap());
        let mut life = Life { pid: 0, shell, numbers };
        life.read_number();
        life
    }

    fn read_number(&mut self) {
        let mut line = String::new();
        self.numbers.read_line(&mut line).unwrap();
        self.pid = line.trim().parse().unwrap();
    }
}

impl Server {
    /// Starts `redis-server` or `valkey-server` with more arguments, and waits until it answers.
    pub fn start(arguments: &[&str]) -> Server {
        let program = program();
        Server::start_as(&program, |port, bus, folder| {
            let (port, bus) = (port.to_string(), bus.to_string());
            let usual = [
                ["--port", &port],
                ["--cluster-port", &bus],
                ["--bind", "127.0.0.1"],
                ["--save", ""],
                ["--appendonly", "no"],
                ["--repl-diskless-sync-delay", "0"],
            ];
            let usual = usual.iter().flatten().chain(arguments).map(OsString::from);
            usual.chain(["--dir".into(), folder.into()]).collect()
        })
    }

    /// Starts a program that speaks the protocol on a port, with the arguments that are made of the port, another
    /// one and a folder, and waits until it answers.
    pub fn start_as(
        program: &Path,
        arguments: impl Fn(u16, u16, &Path) -> Vec<OsString>,
    ) -> Server {
        for _ in 0..5 {
            let (port, bus) = (free_port(), free_port());
            let folder =
                std::env::temp_dir().join(format!("kvremote-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let arguments = arguments(port, bus, &folder);
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(GUARD).arg(&folder).arg(program).args(arguments);
            shell.stdin(Stdio::piped()).stdout(Stdio::piped());
            let life = Mutex::new(Life::begin(shell.spawn().unwrap()));
            let server = Server { port, bus, life };
            for _ in 0..LOOKS {
                if server.is_itself() {
                    return server;
                }
                if server.has_ended() {
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
        panic!("no server answers, five times in a row");
    }

    /// Starts it again after it was killed, and waits until it answers.
    pub fn restart(&self) {
        let mut life = self.life.lock().unwrap();
        life.shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        life.read_number();
        drop(life);
        wait_until("the server is back", || self.try_connect().is_some());
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
        // A server that is stopped takes connections and answers nothing.
        connection.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        // A server that asks for a password answers as well.
        let ping = redis::cmd("PING").query::<String>(&mut connection);
        ping.is_ok_and(|pong| pong == "PONG").then_some(connection)
    }

    /// Whether it answers, and not another server that took the port before it.
    fn is_itself(&self) -> bool {
        let Some(mut connection) = self.try_connect() else { return false };
        let told: Option<String> = redis::cmd("INFO").arg("server").query(&mut connection).ok();
        let own = format!("process_id:{}\r", self.life.lock().unwrap().pid);
        told.is_some_and(|told| told.contains(&own))
    }

    /// Whether its process is over, and only its shell has not asked after it yet.
    fn has_ended(&self) -> bool {
        let pid = self.life.lock().unwrap().pid;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
    }

    /// A connection beside the store's, once the server is not loading any more.
    pub fn connection(&self) -> redis::Connection {
        let mut connection = None;
        wait_until("the server answers", || {
            connection = self.try_connect();
            connection.is_some()
        });
        connection.unwrap()
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

    /// Whether it is a master, as far as it knows.
    pub fn is_master(&self) -> bool {
        self.say(&["INFO", "replication"]).contains("role:master")
    }

    /// Ends the connections on which it tells near caches of changes.
    pub fn kill_listeners(&self) {
        for client in self.say(&["CLIENT", "LIST"]).lines() {
            let field = |name: &str| client.split(' ').find_map(|field| field.strip_prefix(name));
            if let (Some(id), Some(flags)) = (field("id="), field("flags="))
                && flags.contains('B')
            {
                // It may be gone already.
                self.say(&["CLIENT", "KILL", "ID", id]);
            }
        }
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: &str) {
        let pid = self.life.lock().unwrap().pid.to_string();
        let kill = format!("kill {signal} {pid}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Ok(life) = self.life.get_mut() else { return };
        // A server that was stopped does not see its end otherwise.
        drop(life.shell.stdin.take());
        let _ = life.shell.wait();
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

/// Masters, each with a replica.
pub const PAIRS: usize = 3;

/// Three masters and three replicas.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster that no busy machine upsets.
    pub fn start() -> Cluster {
        Cluster::start_with("10000")
    }

    /// Starts a cluster whose masters are missed soon.
    pub fn to_be_killed() -> Cluster {
        Cluster::start_with("1500")
    }

    /// Starts a cluster in which a master that is silent for so many ms counts as lost, and waits until every
    /// replica has what its master has: a master that goes before that takes everything with it.
    fn start_with(node_timeout: &str) -> Cluster {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", node_timeout];
        let events = ["--notify-keyspace-events", "KA"];
        let all: Vec<&str> = arguments.into_iter().chain(events).collect();
        let servers: Vec<Server> = (0..6).map(|_| Server::start(&all)).collect();
        let slots = [("0", "5461"), ("5462", "10922"), ("10923", "16383")];
        for (number, server) in servers.iter().enumerate() {
            server.say(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            if let Some((from, to)) = slots.get(number) {
                server.say(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
            }
        }
        let cluster = Cluster { servers };
        cluster.meet();
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

    /// Makes all known to each other. A server that does not answer in time is forgotten, so all are named again
    /// until everybody knows everybody.
    fn meet(&self) {
        let knows_all = |server: &Server| {
            server.say(&["CLUSTER", "INFO"]).contains("cluster_known_nodes:6")
                && !server.say(&["CLUSTER", "NODES"]).contains("handshake")
        };
        wait_until("everybody knows everybody", || {
            for server in &self.servers[1..] {
                let (port, bus) = (server.port.to_string(), server.bus.to_string());
                if !self.servers[0].say(&["CLUSTER", "NODES"]).contains(&format!(":{port}@")) {
                    self.servers[0].say(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
                }
            }
            self.servers.iter().all(knows_all)
        });
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

    /// The two servers of a pair, of which one is a master and the other its replica: first who is the master now.
    pub fn pair(&self, number: usize) -> [&Server; 2] {
        let (first, second) = (&self.servers[number], &self.servers[number + 3]);
        if first.is_master() { [first, second] } else { [second, first] }
    }

    /// Kills the master of a pair, waits until its replica is promoted, and says which one is down.
    pub fn kill_master(&self, pair: usize) -> &Server {
        let [master, replica] = self.pair(pair);
        master.signal("-KILL");
        wait_until("the replica is promoted", || replica.is_master());
        master
    }

    /// Starts a server again that was killed, and waits until everybody has everything.
    pub fn heal(&self, killed: &Server) {
        killed.restart();
        let has_all = |server: &Server| {
            server.say(&["INFO", "replication"]).contains("master_link_status:up")
        };
        wait_until("the server is a replica that has everything", || has_all(killed));
        self.wait_for("the cluster is whole", |info| info.contains("cluster_state:ok"));
    }

    /// Empties every master.
    pub fn flush(&self) {
        (0..PAIRS).for_each(|pair| drop(self.pair(pair)[0].say(&["FLUSHALL"])));
    }

    /// Moves the slot of a key, with everything in it, from its master to the next one. Stores may go on meanwhile.
    pub fn move_slot(&self, key: &str) {
        let masters: Vec<&Server> = (0..PAIRS).map(|pair| self.pair(pair)[0]).collect();
        let has = |server: &&Server| {
            redis::cmd("EXISTS").arg(key).query::<i64>(&mut server.connection()).is_ok()
        };
        let from = masters.iter().position(has).unwrap();
        let (from, to) = (masters[from], masters[(from + 1) % PAIRS]);
        let name = |server: &Server| server.say(&["CLUSTER", "MYID"]);
        let slot = from.say(&["CLUSTER", "KEYSLOT", key]);
        to.say(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &name(from)]);
        from.say(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &name(to)]);
        loop {
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("GETKEYSINSLOT").arg(&slot).arg(100);
            let keys: Vec<String> = ask.query(&mut from.connection()).unwrap();
            if keys.is_empty() {
                break;
            }
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(to.port).arg("").arg(0).arg(5000).arg("KEYS").arg(keys);
            migrate.exec(&mut from.connection()).unwrap();
        }
        // The new owner first: it takes a higher epoch, by which the others believe it.
        for server in [to, from].into_iter().chain(masters) {
            server.say(&["CLUSTER", "SETSLOT", &slot, "NODE", &name(to)]);
        }
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
            // Nobody but the system itself may listen there.
            ("nobody", "127.0.0.1:1".into()),
        ]
    }
}
