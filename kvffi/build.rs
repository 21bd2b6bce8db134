//! How `libkv.so` is linked.
//!
//! The soname is the ABI's: programs linked today keep working with every `libkv.so.0`. `nodelete`
//! keeps the library mapped after `dlclose`, because threads of the host that ran code of it still
//! run its thread-local destructors when they exit. rustc itself hands the linker a version script
//! that exports the `extern "C"` functions of this crate and hides everything else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target == "macos" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libkv.0.dylib");
    } else {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkv.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
