//! `kv ping`: whether a store can be opened, or a server answers. For health checks.

use clap::Args;
use redis::RedisError;
use serde_json::json;

use super::Operation;
use super::outcome::{Outcome, Result};
use super::output::Output;
use super::session::Session;

/// `kv ping`.
#[derive(Debug, Args)]
pub struct PingArgs {}

impl Operation for PingArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        if let Session::Server(remote) = session {
            let answer = redis::cmd("PING").exec(remote.connection());
            answer.or_else(|error| if asks_who(&error) { Ok(()) } else { Err(error) })?;
        }
        output.answer("PONG", json!({ "alive": true }))?;
        Ok(Outcome::Done)
    }
}

/// Whether the server wants a password first: it is alive, and a health check needs none for that.
fn asks_who(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH")
}
