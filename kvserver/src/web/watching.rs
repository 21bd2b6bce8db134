//! A watch as a task reads it.
//!
//! Owns: [`Watching`]. A watch that has read everything waits on its descriptor, so it costs no thread; one of a
//! store on other servers has none, and wakes its task itself. One that begins in the past may have to read the
//! log, so until it has caught up it is read on a thread that may wait for a disk.
//!
//! Invariant: the descriptor is taken out of the event loop before the watch that owns it goes.

use std::collections::VecDeque;
use std::sync::Arc;

use kvcore::{Error, Result, Status, Watch, WatchOptions, Watched};
use kvremote::RemoteWatch;
use libkv::Store;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::OwnedSemaphorePermit;

use super::Front;
use super::fault::Done;
use super::work::elsewhere;

/// Changes that are read from the past at a time.
const PAST_AT_ONCE: usize = 256;

/// A watch under way.
#[derive(Debug)]
pub struct Watching {
    source: Source,
    _place: OwnedSemaphorePermit,
}

/// Where the store is that is watched.
#[derive(Debug)]
enum Source {
    /// In this process.
    Here(Here),
    /// On other servers.
    There(Box<RemoteWatch>),
}

/// A watch of a store of this process.
#[derive(Debug)]
struct Here {
    /// Before `watch`, because it has to go first.
    ready: AsyncFd<i32>,
    /// Away only while another thread reads it.
    watch: Option<Watch>,
    /// Whether it has not caught up yet.
    is_past: bool,
    ahead: VecDeque<Result<Watched>>,
}

impl Front {
    /// Begins to watch, from now on or from a revision. `None` if there are too many watches, or the system
    /// has no descriptor to give.
    ///
    /// # Errors
    /// Those of [`Store::watch`]; `Busy` and `Refused` of a gateway.
    pub async fn watch(&self, options: WatchOptions, is_past: bool) -> Done<Option<Watching>> {
        let Ok(place) = Arc::clone(&self.watches).try_acquire_owned() else { return Ok(None) };
        let source = match &self.shared.data {
            Store::Local(store) => {
                let store = store.clone();
                let begin = move || store.watch(&options);
                let watch = if is_past { elsewhere(begin).await?? } else { begin()? };
                let Some(here) = Here::new(watch, is_past) else { return Ok(None) };
                Source::Here(here)
            }
            Store::Remote(store) => {
                let store = store.clone();
                let watch = self.ask(move || store.watch(&options)).await?;
                Source::There(Box::new(watch))
            }
        };
        Ok(Some(Watching { source, _place: place }))
    }
}

impl Watching {
    /// The next change, whenever it comes. Never `TimedOut`.
    ///
    /// # Errors
    /// Those of [`Watch::next`].
    pub async fn next(&mut self) -> Result<Watched> {
        match &mut self.source {
            Source::Here(here) => here.next().await,
            Source::There(watch) => loop {
                match watch.try_next()? {
                    Watched::TimedOut => watch.changed().await,
                    next => return Ok(next),
                }
            },
        }
    }
}

/// Puts a descriptor into the event loop of this thread.
#[allow(
    deprecated,
    reason = "it is deprecated because it cannot know that the descriptor stays open, which it does: the \
              watch owns it, and goes after the registration. The new function is unsafe."
)]
fn register(fd: i32) -> std::io::Result<AsyncFd<i32>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

impl Here {
    /// `None` if the system has no descriptor to give.
    fn new(mut watch: Watch, is_past: bool) -> Option<Here> {
        let ready = register(watch.fd()?).ok()?;
        Some(Here { ready, watch: Some(watch), is_past, ahead: VecDeque::new() })
    }

    /// The next change, whenever it comes. Never `TimedOut`.
    ///
    /// # Errors
    /// Those of [`Watch::next`].
    async fn next(&mut self) -> Result<Watched> {
        loop {
            if let Some(next) = self.ahead.pop_front() {
                return next;
            }
            if self.is_past {
                self.read_past().await?;
                continue;
            }
            match self.watch.as_mut().ok_or(Status::Closed)?.try_next()? {
                Watched::TimedOut => {}
                next => return Ok(next),
            }
            let ready = self.ready.readable().await;
            // It is cleared before the watch is asked again, so nothing that comes meanwhile is missed.
            ready.map_err(|_| Error::from(Status::Closed))?.clear_ready();
        }
    }

    /// Reads some changes of the past on a thread that may wait.
    async fn read_past(&mut self) -> Result<()> {
        let mut watch = self.watch.take().ok_or(Status::Closed)?;
        let read = move || {
            let mut found = VecDeque::new();
            while found.len() < PAST_AT_ONCE {
                match watch.try_next() {
                    Ok(Watched::TimedOut) => return (watch, found, true),
                    next => {
                        let is_last =
                            !matches!(next, Ok(Watched::Event(_) | Watched::Lagged { .. }));
                        found.push_back(next);
                        if is_last {
                            break;
                        }
                    }
                }
            }
            (watch, found, false)
        };
        let (watch, found, has_caught_up) = elsewhere(read).await?;
        (self.watch, self.ahead, self.is_past) = (Some(watch), found, !has_caught_up);
        Ok(())
    }
}
