//! Starts the servers that the tests of other languages need, and says where they are.
//!
//! It writes one line, `KV_SERVERS=one=127.0.0.1:7000 cluster=…`, as `tests/conformance/README.md` explains it, and ends
//! the servers when its input ends. They are those of the tests of this crate; whoever starts it holds its input, so no
//! server outlives him.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

// The tests use more of it.
#[allow(dead_code)]
#[path = "../tests/remote/servers.rs"]
mod servers;

fn main() {
    let places = servers::Places::start();
    let named: Vec<String> =
        places.named().iter().map(|(name, place)| format!("{name}={place}")).collect();
    println!("KV_SERVERS={}", named.join(" "));
    // Nothing comes: only its end is waited for.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}
