//! The listeners of the near cache: one connection to each master, on which it tells of every changed key.
//!
//! Owns: [`run`], the task that keeps a listener at each master, and the parts of the cache that they vouch
//! for. Invariants: a part is sealed only after its server confirmed that it tracks; a listener that is lost,
//! or silent for [`SILENCE`], breaks its part's seal; a server whose slots changed has its part emptied. So a
//! value is never shown for longer than that after its server stopped telling.
//!
//! Servers are asked who has which slots every [`LOOK`], and are pinged as often. A server tells of all keys
//! with the prefix, whoever read them (`BCAST`): it keeps no table of readers that could overflow, and a
//! key that moves to a server with a listener is told of there.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{Near, PARTS};
use crate::address::Endpoint;
use crate::link::Link;
use crate::slot;
use crate::topology::Topology;

/// How long a server may be silent before its part is emptied.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// Time between two pings of a server, and two looks at the cluster.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Time before a listener is connected again.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest such time, after a server refused to tell again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One master with its part.
struct Listener {
    part: u16,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps a listener at every master, until the cache is gone.
pub(crate) async fn run(link: Arc<Link>, near: Weak<Near>, prefix: Vec<u8>) {
    let mut listeners: HashMap<Endpoint, Listener> = HashMap::new();
    let mut before: Option<Arc<Topology>> = None;
    loop {
        let topology = link.refresh_topology().await;
        let Some(near) = near.upgrade() else { return };
        if let Ok(topology) = topology
            && before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &topology))
        {
            follow(&link, &near, &prefix, &mut listeners, before.as_deref(), &topology);
            before = Some(topology);
        }
        drop(near);
        sleep(LOOK).await;
    }
}

/// Fits the listeners and the parts to a new picture of the cluster.
fn follow(
    link: &Arc<Link>,
    near: &Arc<Near>,
    prefix: &[u8],
    listeners: &mut HashMap<Endpoint, Listener>,
    before: Option<&Topology>,
    now: &Topology,
) {
    let mut changed = Vec::new();
    listeners.retain(|server, listener| {
        let stays = now.masters().contains(server);
        if !stays {
            listener.task.abort();
            near.break_seal(listener.part);
        } else if before.is_some_and(|before| !before.serves_the_same(server, now)) {
            changed.push(listener.part);
        }
        stays
    });
    for server in now.masters() {
        if listeners.contains_key(server) {
            continue;
        }
        let taken = |part| listeners.values().any(|listener| listener.part == part);
        // A cluster has fewer masters than there are parts; one too many would have no near cache.
        let Some(part) = (0..PARTS as u16).find(|part| !taken(*part)) else { break };
        let listening =
            listen(Arc::clone(link), Arc::downgrade(near), part, server.clone(), prefix.to_vec());
        let task = tokio::spawn(listening).abort_handle();
        listeners.insert(server.clone(), Listener { part, task });
    }
    let part_of = |slot| Some(listeners.get(now.master(slot)?)?.part);
    near.assign(part_of, &changed);
}

/// Listens to one server for as long as it is a master, connecting again whenever that is needed.
async fn listen(link: Arc<Link>, near: Weak<Near>, part: u16, server: Endpoint, prefix: Vec<u8>) {
    let mut pause = PAUSE;
    loop {
        // Whatever went wrong, the next attempt may go better: the cache is bypassed meanwhile.
        let _ = listen_once(&link, &near, part, &server, &prefix, &mut pause).await;
        match near.upgrade() {
            Some(near) => near.break_seal(part),
            None => return,
        }
        sleep(pause).await;
    }
}

/// Listens on one connection until it is lost or silent. `None` is all that it ends with. `pause` becomes longer if the
/// server refuses to tell.
async fn listen_once(
    link: &Link,
    near: &Weak<Near>,
    part: u16,
    server: &Endpoint,
    prefix: &[u8],
    pause: &mut Duration,
) -> Option<()> {
    let lost = Arc::new(Notify::new());
    let heard = {
        let (near, lost, prefix) = (Weak::clone(near), Arc::clone(&lost), prefix.to_vec());
        move |push: PushInfo| hear(&near, part, &prefix, &lost, push)
    };
    let connected = timeout(SILENCE, link.listener(server, heard)).await;
    let mut connection = connected.ok()?.ok()?;
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    if !prefix.is_empty() {
        track.arg("PREFIX").arg(prefix);
    }
    let confirmed = timeout(SILENCE, connection.send_packed_command(&track)).await;
    if !matches!(confirmed, Ok(Ok(Value::Okay))) {
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        return None;
    }
    *pause = PAUSE;
    near.upgrade()?.seal(part);
    loop {
        tokio::select! {
            () = lost.notified() => return None,
            () = sleep(LOOK) => {}
        }
        // Since it was heard last, at most `SILENCE` passes.
        let ping = redis::cmd("PING");
        let answer = timeout(SILENCE - LOOK, connection.send_packed_command(&ping));
        tokio::select! {
            () = lost.notified() => return None,
            answer = answer => match answer {
                Ok(Ok(Value::SimpleString(_))) => {}
                _ => return None,
            },
        }
    }
}

/// What a server tells. Runs where the connection is read, so that nothing overtakes it.
fn hear(near: &Weak<Near>, part: u16, prefix: &[u8], lost: &Notify, push: PushInfo) {
    match push.kind {
        PushKind::Invalidate => {
            let Some(near) = near.upgrade() else { return };
            match push.data.into_iter().next() {
                Some(Value::Array(keys)) => {
                    for key in keys {
                        let Value::BulkString(key) = key else { continue };
                        if let Some(known) = key.strip_prefix(prefix) {
                            near.invalidate(slot::of(&key), known);
                        }
                    }
                }
                // Nothing instead of keys: the server was flushed.
                _ => near.empty(part),
            }
        }
        PushKind::Disconnection => lost.notify_one(),
        _ => {}
    }
}
