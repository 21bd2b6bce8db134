//! One connection: reads, serves, writes, until one side goes.
//!
//! Owns: the task of a connection, and when it reads, serves (`pipeline`), waits and writes. All requests that a
//! read brought are served before anything is written, in one go, so a pipeline costs one write; their changes
//! wait for the log once.
//!
//! Invariants: what a client has not read is bounded: above `reply_bytes_max` its requests are left
//! unread, and TCP makes it wait; nothing is sent before the changes it speaks of are as safe as `sync`
//! promises; a connection that waits holds no buffer, since reads go to one that its thread shares, and replies
//! that were written give theirs back to it; what a client asks for beyond one read is served in turns with others
//! that do (`shared::turns`), so that those who ask for little wait for none of it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kvcore::Ticket;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Session;
use super::execute;
use super::pipeline::{LOOK_AGAIN, Pipeline, Stop};
use crate::commands::After;
use crate::resp::make_room;
use crate::shared::clients::{ClientHandle, End};
use crate::shared::{ServedTurn, Shared};
use crate::tls::Stream;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 << 10;

/// Bytes of requests before `AUTH`.
const QUERY_BYTES_BEFORE_AUTH: usize = 1 << 20;

/// How long a client that goes has to take its last replies.
const LINGER: Duration = Duration::from_secs(1);

/// How often a client lets others pass in a row. Mostly once is enough; but who was told to go may wait for a disk, and
/// nobody waits for that.
const PASSES_MAX: u32 = 32;

/// Bytes of last replies that are waited for even where clients take too much memory.
const LINGER_BYTES: usize = 4 << 10;

thread_local! {
    /// What all connections of a thread read into.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection being served.
struct Connection {
    stream: Stream,
    shared: Arc<Shared>,
    pipeline: Pipeline,
    /// What was read and is not served: part of a request, or whole ones that have to wait.
    query: Vec<u8>,
    /// Whether `query` begins with something that can be served.
    is_ready: bool,
    /// Whether TLS may hold back some of what was written.
    is_unflushed: bool,
    /// How often others had their turn before the next read.
    passes: u32,
}

/// What a connection has waited for.
enum Event {
    /// So many bytes came into the scratch buffer of the thread.
    Bytes(usize),
    /// Something can go on: replies were taken, or mail came.
    Progress,
    /// The other side has closed.
    Closed,
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: Stream, shared: Arc<Shared>, session: Session) {
    let mut connection = Connection {
        stream,
        shared: Arc::clone(&shared),
        pipeline: Pipeline::new(Arc::clone(&shared), session),
        query: Vec::new(),
        is_ready: false,
        is_unflushed: false,
        passes: 0,
    };
    // An error of the connection concerns nobody else, and there is nobody left to be told.
    let _ = connection.run().await;
    let session = &mut connection.pipeline.session;
    session.leave(&shared);
    shared.clients.remove(&session.client);
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            self.let_pass().await;
            if let Some(end) = self.pipeline.take_mail() {
                return self.end(end).await;
            }
            let stop = match self.is_ready && !self.pipeline.is_full() {
                true => match self.take_turn().await? {
                    Some(turn) => self.serve_query(turn).await?,
                    // It is to go.
                    None => continue,
                },
                false => Stop::Idle,
            };
            match stop {
                Stop::Idle => {}
                Stop::Full => {
                    self.flush_some().await?;
                    // It may be among those who take too much long before it has to wait by itself.
                    self.note_memory();
                }
                Stop::Paused => self.rest().await?,
                Stop::After(after) => self.follow(after).await?,
                Stop::Close => return self.end(End::AfterReplies).await,
            }
            if self.is_ready && !self.pipeline.is_full() {
                continue;
            }
            match self.wait().await? {
                Event::Bytes(count) => {
                    if let Stop::Close = self.take_in(count).await? {
                        return self.end(End::AfterReplies).await;
                    }
                }
                Event::Progress => {}
                Event::Closed => return self.end(End::Now).await,
            }
        }
    }

    /// Gives way to those who were told to go, so that their memory is free before this client takes more. Each asks
    /// again right before it goes on: if all went on at once, they would take what a few have left.
    async fn let_pass(&self) {
        let client = &self.pipeline.session.client;
        for _ in 0..PASSES_MAX {
            // It may be one of them.
            if !self.shared.are_clients_leaving() || client.has_mail() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits for its turn among those clients of the thread that ask for much. `None` if it is to go meanwhile.
    async fn take_turn(&mut self) -> io::Result<Option<ServedTurn>> {
        // What it has asked for so far does not wait for that.
        self.flush_some().await?;
        let Pipeline { session, .. } = &self.pipeline;
        Ok(tokio::select! {
            turn = self.shared.turns.wait(session.thread) => turn,
            () = told_to_go(&session.client) => None,
        })
    }

    /// Waits until something can be done, and does it: reads, or writes.
    async fn wait(&mut self) -> io::Result<Event> {
        if !self.pipeline.may_be_held_up() {
            return poll_fn(|cx| self.poll(cx)).await;
        }
        match tokio::time::timeout(LOOK_AGAIN, poll_fn(|cx| self.poll(cx))).await {
            Ok(event) => event,
            Err(_) => {
                self.pipeline.looked();
                Ok(Event::Progress)
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(error));
        }
        self.note_memory();
        self.pipeline.session.client.wait_for_mail(cx.waker());
        // Replies were taken, or memory is not tight any more.
        let goes_on = self.is_ready && !self.pipeline.is_full();
        if self.pipeline.takes_mail() || goes_on {
            return Poll::Ready(Ok(Event::Progress));
        }
        if self.pipeline.is_full() {
            return Poll::Pending;
        }
        if self.passes < PASSES_MAX && self.shared.are_clients_leaving() {
            // As `let_pass`: nothing is read before they have gone.
            self.passes += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.passes = 0;
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => Poll::Ready(Ok(match buffer.filled().len() {
                    0 => Event::Closed,
                    count => Event::Bytes(count),
                })),
            }
        })
    }

    /// Writes as much as the other side takes. Ready if nothing is left.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Pipeline { session, out, written, .. } = &mut self.pipeline;
        if *written == out.len() && !self.is_unflushed {
            return Poll::Ready(Ok(()));
        }
        self.is_unflushed = self.stream.is_tls();
        while *written < out.len() {
            let rest = &out.as_bytes()[*written..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    *written += count;
                    let counters = self.shared.counters.thread(session.thread);
                    counters.output_bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        }
        out.clear();
        *written = 0;
        if self.is_unflushed {
            // TLS has taken the bytes, and may not have sent them yet.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Serves what came, without copying it if nothing came before. What belongs to something earlier, or comes from a
    /// client that does not take its replies, is kept until it is the client's turn.
    async fn take_in(&mut self, count: usize) -> io::Result<Stop> {
        let session = &self.pipeline.session;
        session.client.active_ms.store(self.shared.store.now_ms(), Ordering::Relaxed);
        let counters = self.shared.counters.thread(session.thread);
        counters.input_bytes.fetch_add(count as u64, Ordering::Relaxed);
        if !self.query.is_empty() || self.pipeline.waiting() > 0 {
            make_room(&mut self.query, count);
            SCRATCH.with_borrow(|scratch| self.query.extend_from_slice(&scratch[..count]));
            self.is_ready = true;
            return Ok(self.check_query());
        }
        let (stop, ticket) = SCRATCH.with_borrow(|scratch| {
            let input = &scratch[..count];
            let (taken, stop, ticket) = self.serve_bytes(input);
            self.query.extend_from_slice(&input[taken..]);
            (stop, ticket)
        });
        self.settle(ticket).await?;
        self.is_ready = !matches!(stop, Stop::Idle);
        match stop {
            Stop::After(after) => self.follow(after).await?,
            Stop::Close => return Ok(Stop::Close),
            Stop::Idle | Stop::Full | Stop::Paused => {}
        }
        Ok(self.check_query())
    }

    /// Refuses to keep more than a client may send ahead.
    fn check_query(&self) -> Stop {
        let most = match self.pipeline.session.is_authenticated {
            true => self.shared.settings.query_bytes_max.load(Ordering::Relaxed),
            false => QUERY_BYTES_BEFORE_AUTH,
        };
        if self.query.len() > most { Stop::Close } else { Stop::Idle }
    }

    /// Serves what was kept.
    async fn serve_query(&mut self, turn: ServedTurn) -> io::Result<Stop> {
        let query = std::mem::take(&mut self.query);
        let (taken, stop, ticket) = self.serve_bytes(&query);
        // Nobody has to wait for its disk.
        drop(turn);
        self.query = query;
        if taken == self.query.len() {
            self.query = Vec::new();
        } else {
            self.query.drain(..taken);
        }
        self.settle(ticket).await?;
        self.is_ready = !matches!(stop, Stop::Idle);
        Ok(stop)
    }

    /// Waits for the log on behalf of what was just served.
    async fn settle(&mut self, ticket: Ticket) -> io::Result<()> {
        let settled = match ticket.waits_for_disk() {
            true => self.shared.committer.wait(ticket).await,
            false => ticket.wait(),
        };
        if let Err(error) = settled {
            // Nobody knows what of it will survive, so none of the replies may be believed.
            let Pipeline { out, written, .. } = &mut self.pipeline;
            out.truncate(*written);
            out.error(&format!("MISCONF {}", error.message()));
            self.end(End::AfterReplies).await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let session = &mut self.pipeline.session;
        if !session.effects.is_empty() {
            execute::tell(&self.shared, session);
        }
        Ok(())
    }

    /// Serves requests in `input` and says how many bytes of it they took.
    fn serve_bytes(&mut self, input: &[u8]) -> (usize, Stop, Ticket) {
        let Connection { shared, pipeline, .. } = self;
        pipeline.session.client.query_bytes.store(input.len(), Ordering::Relaxed);
        let ((taken, stop), ticket) = shared.store.defer(|| pipeline.serve(input));
        (taken, stop, ticket)
    }

    /// Lets some time pass, unless the server is stopped or this client is to go.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = told_to_go(&self.pipeline.session.client) => {}
            () = self.shared.stopped() => {}
        }
    }

    /// Does what a command has left to be done.
    async fn follow(&mut self, after: After) -> io::Result<()> {
        match after {
            After::Sleep(time, answer) => {
                self.flush_some().await?;
                self.pause(time).await;
                answer(&mut self.pipeline.out);
            }
            After::Delay(time) => self.pause(time).await,
            After::Again(time, queued) => {
                self.flush_some().await?;
                self.pause(time).await;
                let Pipeline { session, out, .. } = &mut self.pipeline;
                if session.client.is_ended() {
                    // The wait was cut short, and nobody gets the answer.
                    return Ok(());
                }
                session.has_turn = true;
                execute::execute(&self.shared, session, queued.request(), out);
            }
            After::Work(work) => {
                self.flush_some().await?;
                let (done, outcome) = tokio::sync::oneshot::channel();
                let shared = Arc::clone(&self.shared);
                let thread = kvcore::spawn_thread("kv-work", move || {
                    // The client may have gone.
                    let _ = done.send(work(&shared));
                });
                let outcome = outcome.await;
                let out = &mut self.pipeline.out;
                match (thread, outcome) {
                    (Ok(_), Ok(Ok(()))) => out.ok(),
                    (Ok(_), Ok(Err(failure))) => out.error(&failure.text()),
                    _ => out.error("ERR no thread could do this"),
                }
            }
            After::Close => {
                self.end(End::AfterReplies).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            After::Shutdown => {
                self.shared.stop();
            }
        }
        Ok(())
    }

    /// Waits until clients need not wait any more, or something comes for this one.
    async fn rest(&mut self) -> io::Result<()> {
        self.flush_some().await?;
        let (client, shared) = (&self.pipeline.session.client, &self.shared);
        let mail = poll_fn(|cx| {
            client.wait_for_mail(cx.waker());
            if client.has_mail() { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            () = shared.pause.wait(shared.store.now_ms()) => {}
            () = mail => {}
            () = shared.stopped() => {}
        }
        // Of those who wait until the end of the time, the first one ends the pause.
        shared.resume_clients_in_time().map_err(io::Error::other)
    }

    /// Writes what the other side takes at once.
    async fn flush_some(&mut self) -> io::Result<()> {
        poll_fn(|cx| match self.poll_write(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Ends the connection.
    async fn end(&mut self, end: End) -> io::Result<()> {
        // Whoever sees the last reply finds the client gone: it subscribes to nothing, and nobody is told
        // through it any more.
        self.pipeline.session.leave(&self.shared);
        self.shared.clients.remove(&self.pipeline.session.client);
        self.query = Vec::new();
        let Pipeline { out, written, .. } = &self.pipeline;
        let rest = &out.as_bytes()[*written..];
        let may_linger = rest.len() <= LINGER_BYTES || !self.shared.are_clients_crowded();
        if end == End::AfterReplies && may_linger {
            let _lingering = self.shared.clients.linger(out.capacity());
            let take_leave = async {
                self.stream.write_all(rest).await?;
                self.stream.shutdown().await
            };
            // Who does not take its last replies in time does without.
            if let Ok(Ok(())) = tokio::time::timeout(LINGER, take_leave).await {
                return Ok(());
            }
        }
        self.stream.socket().shutdown().await
    }

    /// Tells how much memory this client takes.
    fn note_memory(&mut self) {
        let Pipeline { session, reader, out, .. } = &mut self.pipeline;
        let client = &session.client;
        client.query_bytes.store(self.query.len(), Ordering::Relaxed);
        client.reply_bytes.store(out.len(), Ordering::Relaxed);
        reader.give_back();
        let buffers = self.query.capacity() + reader.capacity() + out.capacity();
        self.shared.clients.account(client, buffers + session.kept_bytes());
        self.shared.shed_clients();
    }
}

/// Waits until a client is told to go. For its own task.
async fn told_to_go(client: &ClientHandle) {
    poll_fn(|cx| {
        client.wait_for_mail(cx.waker());
        if client.is_ended() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
