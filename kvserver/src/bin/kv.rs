//! `kv`: a store in a directory or behind a server, from the command line. All of it is in `kvserver::cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kvserver::cli::run(std::env::args_os())
}
