//! Which library this is. Owns the version numbers; a test holds them against `Cargo.toml`.

use std::ffi::c_char;

/// The version that this header belongs to, as a number: 1002003 for 1.2.3. Compare
/// kv_version_number.
pub const KV_VERSION_NUMBER: u32 = 1000;

/// The revision of the interface in this header. It grows by one whenever a function, a constant
/// or a field is added; nothing is ever taken away or changed under the soname libkv.so.0.
pub const KV_ABI_VERSION: u32 = 7;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library in use, as "1.2.3". The text belongs to the library.
#[unsafe(no_mangle)]
pub extern "C" fn kv_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// The version of the library in use as a number. Compare KV_VERSION_NUMBER.
#[unsafe(no_mangle)]
pub extern "C" fn kv_version_number() -> u32 {
    KV_VERSION_NUMBER
}

/// The revision of the interface that the library in use has. A program may run with a library
/// whose answer is at least the KV_ABI_VERSION the program was compiled with.
#[unsafe(no_mangle)]
pub extern "C" fn kv_abi_version() -> u32 {
    KV_ABI_VERSION
}
