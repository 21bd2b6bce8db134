//! Compiles the descriptions of the gRPC services. `protox` reads them, so that no `protoc` is needed.

use std::path::PathBuf;

use prost::Message;

#[allow(clippy::disallowed_methods, reason = "a build has no store, whose files would need a seam")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/kvstore.proto", "proto/kv/v1/key_value.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let described = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Reflection serves what was described.
    std::fs::write(out.join("described.bin"), described.encode_to_vec())?;
    // The tests bring a connection for the clients.
    tonic_prost_build::configure().build_transport(false).compile_fds(described)?;
    Ok(())
}
