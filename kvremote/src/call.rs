//! Sends requests, and sends them again as long as that is right.
//!
//! Owns: [`Caller`]. Invariants: no call takes longer than `timeout`; what changes something in a way that a
//! second time would change again, or would answer differently, is never sent twice unless the first time was
//! surely not done; with `ack_replicas` no change counts as made before so many replicas have it.

use std::sync::Arc;
use std::time::Duration;

use kvcore::{Error, Result, Status};
use redis::{Cmd, Pipeline, Value};
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Endpoint;
use crate::commands::Request;
use crate::fault::{self, Failure};
use crate::link::{Lane, Lent, Link};
use crate::settings::Settings;

/// Time before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest time between attempts. A replica is promoted within seconds, and then should serve at once.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Failed attempts after which the shared connection is made anew.
const PATIENCE: u32 = 8;

/// What a request does, which decides whether it may be sent again after its reply was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes nothing.
    Read,
    /// It leaves the same behind, and answers the same, however often it is done.
    Set,
    /// It must not be done twice.
    Once,
}

/// Sends requests over a link.
pub(crate) struct Caller {
    pub(crate) link: Arc<Link>,
    settings: Arc<Settings>,
}

impl Caller {
    pub(crate) fn new(link: Arc<Link>, settings: Arc<Settings>) -> Caller {
        Caller { link, settings }
    }

    /// Sends a request to the server of a slot, and answers the replies of its commands in their order.
    ///
    /// # Errors
    /// `Unavailable` if it could not be done in time; `Io` if a change may have been made; what the server
    /// refuses for good.
    pub(crate) async fn call(
        &self,
        slot: u16,
        request: &Request,
        kind: Kind,
    ) -> Result<Vec<Value>> {
        self.call_until(self.deadline(), slot, request, kind).await
    }

    /// Until when a call that begins now may take.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.timeout
    }

    /// As [`call`](Caller::call), for a part of a call that began before.
    ///
    /// # Errors
    /// As [`call`](Caller::call).
    pub(crate) async fn call_until(
        &self,
        deadline: Instant,
        slot: u16,
        request: &Request,
        kind: Kind,
    ) -> Result<Vec<Value>> {
        let acks = if kind == Kind::Read { 0 } else { self.settings.ack_replicas };
        let lane = if acks == 0 { Lane::Quick } else { Lane::Acked };
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        for attempt in 1u32.. {
            let failure = match timeout_at(deadline, self.link.wire(lane)).await {
                Err(_) => break,
                Ok(Err(failure)) => failure,
                Ok(Ok(lent)) => {
                    let number = lent.number;
                    let sent = self.send(lent, slot, request, acks);
                    match timeout_at(self.attempt_until(kind, lane, deadline), sent).await {
                        Ok(Ok((replies, confirmed))) => {
                            return check_confirmed(replies, confirmed, acks);
                        }
                        Ok(Err(failure)) => {
                            let is_lost = matches!(failure, Failure::Lost(_));
                            if (is_lost && !self.link.is_cluster())
                                || attempt.is_multiple_of(PATIENCE)
                            {
                                self.link.renew(lane, number);
                            }
                            failure
                        }
                        Err(_) => {
                            self.link.suspect(lane, number);
                            if kind == Kind::Once {
                                return Err(fault::outcome_unknown(None));
                            }
                            continue;
                        }
                    }
                }
            };
            last = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Lost(error) if kind == Kind::Once => {
                    return Err(fault::outcome_unknown(Some(&error)));
                }
                Failure::Ask(server) => {
                    match self.ask(&server, request, kind, acks, deadline).await? {
                        Some((replies, confirmed)) => {
                            return check_confirmed(replies, confirmed, acks);
                        }
                        None => last,
                    }
                }
                Failure::NotNow(error) | Failure::NotSent(error) | Failure::Lost(error) => {
                    Some(error)
                }
            };
            if Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let what = format!("the remote store did not answer within {:?}", self.settings.timeout);
        Err(fault::unavailable(&what, last.as_ref()))
    }

    /// Sends a request for several slots that one server was last seen with, once, and leaves time to send it again.
    /// `None` if it has to be, slot by slot.
    ///
    /// # Errors
    /// What the server refuses for good, and too few replicas.
    pub(crate) async fn call_once(
        &self,
        deadline: Instant,
        (slot, request): (u16, Request),
        kind: Kind,
    ) -> Result<Option<Vec<Value>>> {
        let acks = if kind == Kind::Read { 0 } else { self.settings.ack_replicas };
        let sent = async {
            let lane = if acks == 0 { Lane::Quick } else { Lane::Acked };
            let lent = self.link.wire(lane).await?;
            self.send(lent, slot, &request, acks).await
        };
        match timeout_at(deadline - self.settings.timeout / 2, sent).await {
            Ok(Ok((replies, confirmed))) => check_confirmed(replies, confirmed, acks).map(Some),
            Ok(Err(Failure::Final(error))) => Err(error),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Sends a command to one server, again if it may be, and answers its reply.
    ///
    /// # Errors
    /// As [`call`](Caller::call).
    pub(crate) async fn call_node(
        &self,
        server: &Endpoint,
        commands: &[Cmd],
        kind: Kind,
    ) -> Result<Vec<Value>> {
        let deadline = self.deadline();
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        while Instant::now() < deadline {
            let sent = async {
                let mut node = self.link.node(server).await?;
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                let replies = node.send_packed_commands(&pipeline, 0, commands.len()).await;
                let replies = replies.map_err(Failure::of)?;
                match passing(&replies) {
                    Some(failure) => Err(failure),
                    None => Ok(replies),
                }
            };
            let until = self.attempt_until(kind, Lane::Quick, deadline);
            let failure = match timeout_at(until, sent).await {
                Ok(Ok(replies)) => return Ok(replies),
                Ok(Err(failure)) => Some(failure),
                Err(_) => None,
            };
            self.link.forget_node(server);
            last = match failure {
                None if kind == Kind::Once => return Err(fault::outcome_unknown(None)),
                Some(Failure::Lost(error)) if kind == Kind::Once => {
                    return Err(fault::outcome_unknown(Some(&error)));
                }
                Some(Failure::Final(error)) => return Err(error),
                Some(Failure::NotNow(error) | Failure::NotSent(error) | Failure::Lost(error)) => {
                    Some(error)
                }
                Some(Failure::Ask(_)) | None => last,
            };
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let what = format!("the server {server} did not answer within {:?}", self.settings.timeout);
        Err(fault::unavailable(&what, last.as_ref()))
    }

    /// Until when one attempt may take: where there may be another one, it leaves time for that. Where changes wait
    /// behind each other for replicas, waiting long is no reason to try again.
    fn attempt_until(&self, kind: Kind, lane: Lane, deadline: Instant) -> Instant {
        match (kind, lane) {
            (Kind::Once, _) | (_, Lane::Acked) => deadline,
            (Kind::Read | Kind::Set, Lane::Quick) => {
                deadline.min(Instant::now() + self.settings.timeout / 2)
            }
        }
    }

    /// Sends a request on a connection, for as long as nobody suspects that.
    async fn send(
        &self,
        mut lent: Lent,
        slot: u16,
        request: &Request,
        acks: u64,
    ) -> Result<(Vec<Value>, u64), Failure> {
        let wire = lent.wire.clone();
        let sending = async move {
            match request.single(acks) {
                Some(command) => wire.send(slot, command).await.map(|reply| vec![reply]),
                None => wire.send_all(slot, request.pipeline(acks, self.ack_ms())).await,
            }
        };
        let sent = tokio::select! {
            biased;
            sent = sending => sent,
            () = lent.is_suspected() => {
                let what = "another call on the same connection was not answered";
                Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, what).into())
            }
        };
        let (replies, confirmed) =
            sent.and_then(|all| request.replies(all, acks)).map_err(Failure::of)?;
        match passing(&replies) {
            Some(failure) => Err(self.if_cluster(failure)),
            None => Ok((replies, confirmed)),
        }
    }

    /// A server that sends its callers elsewhere is one of a cluster.
    fn if_cluster(&self, failure: Failure) -> Failure {
        match failure {
            Failure::NotNow(error) if error.code() == Some("MOVED") && !self.link.is_cluster() => {
                Failure::Final(Error::new(
                    Status::Unsupported,
                    "this server is part of a cluster: open it as valkey-cluster://",
                ))
            }
            failure => failure,
        }
    }

    /// How long the server waits for replicas: less than an attempt may take.
    fn ack_ms(&self) -> u64 {
        u64::try_from(self.settings.timeout.as_millis() / 4).unwrap_or(u64::MAX).max(1)
    }

    /// Asks the server to which a key is on its way. `None` if it is not there either at this moment.
    async fn ask(
        &self,
        server: &str,
        request: &Request,
        kind: Kind,
        acks: u64,
        deadline: Instant,
    ) -> Result<Option<(Vec<Value>, u64)>> {
        let Some((pipeline, server)) = request.asking(acks, self.ack_ms()).zip(endpoint(server))
        else {
            return Ok(None);
        };
        let asked = async {
            let mut node = self.link.node(&server).await?;
            let count = pipeline.len();
            node.send_packed_commands(&pipeline, 0, count).await.map_err(Failure::of)
        };
        match timeout_at(self.attempt_until(kind, Lane::Quick, deadline), asked).await {
            Ok(Ok(all)) => {
                let (replies, confirmed) = request.asked(all, acks);
                Ok(passing(&replies).is_none().then_some((replies, confirmed)))
            }
            Ok(Err(Failure::Final(error))) => Err(error),
            lost => {
                self.link.forget_node(&server);
                let not_sent = matches!(lost, Ok(Err(Failure::NotSent(_))));
                if kind == Kind::Once && !not_sent {
                    return Err(fault::outcome_unknown(None));
                }
                Ok(None)
            }
        }
    }
}

/// The first error among replies that is no answer, since it passes.
fn passing(replies: &[Value]) -> Option<Failure> {
    replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) => match Failure::of(error.clone().into()) {
            // An error of one command is the answer of that command.
            Failure::Final(_) => None,
            failure => Some(failure),
        },
        _ => None,
    })
}

/// Refuses a change that too few replicas have. Where nothing was changed the answer stands: replicas have nothing to
/// confirm.
fn check_confirmed(replies: Vec<Value>, confirmed: u64, acks: u64) -> Result<Vec<Value>> {
    let changed = |reply: &Value| !matches!(reply, Value::ServerError(_) | Value::Nil);
    if confirmed >= acks || !replies.iter().any(changed) {
        return Ok(replies);
    }
    Err(Error::new(
        Status::Io,
        format!(
            "the change was made, but only {confirmed} of {acks} replicas confirmed it in time: \
             a failover may lose it"
        ),
    ))
}

/// Reads `HOST:PORT` as servers write it, an IPv6 address without brackets.
fn endpoint(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    Some(Endpoint { host: host.to_string(), port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Value {
        redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn replicas_confirm_changes_alone() {
        let refused = |reply: &str| check_confirmed(vec![said(reply)], 0, 1).is_err();
        for changed in ["+OK", ":0", ":1"] {
            assert!(refused(changed), "{changed}");
        }
        for unchanged in ["_", "-WRONGTYPE x"] {
            assert!(!refused(unchanged), "{unchanged}");
        }
        assert!(check_confirmed(vec![said("_"), said("+OK")], 0, 1).is_err());
        assert!(check_confirmed(vec![said("+OK")], 1, 1).is_ok());
    }

    #[test]
    fn an_answer_of_one_command_does_not_pass() {
        assert!(passing(&[said("+OK"), said("-WRONGTYPE x")]).is_none());
        let failure = passing(&[said("-WRONGTYPE x"), said("-LOADING x")]);
        assert!(matches!(failure, Some(Failure::NotNow(_))));
    }
}
