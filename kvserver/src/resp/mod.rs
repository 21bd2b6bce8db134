//! The Redis protocol: requests in, replies out. What a command means is not known here.

mod reply;
mod request;
mod words;

pub use reply::{Protocol, Replies, make_room};
pub use request::{Limits, ProtocolError, Read, Reader, Request};
