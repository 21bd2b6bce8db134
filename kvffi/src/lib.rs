//! The C interface of libkv.
//!
//! Every `extern "C"` function of this crate is guard, convert, call the store, convert back; there
//! is no logic here. `include/kv.h` is generated from these files by `cargo xtask header`: one file
//! per noun, one section of the header per file, and the comments of the functions are the header's.
//!
//! Pointers come from foreign code. A function trusts what the header asks of its caller and no
//! more: a pointer is NULL or valid, a length is true, a handle is alive. Everything else (NULL,
//! absurd lengths, sizes of structs, text that is no UTF-8, unknown numbers) is checked.
//!
//! `unsafe` is confined to [`arguments`] and [`structs`], which turn pointers into values that are
//! safe to use, to the few handle functions that take ownership back, and to one unsafe block at the
//! head of each exported function that calls them.

// The types and constants carry the names they have in C.
#![allow(non_camel_case_types)]
// What a caller must keep is said once, at the head of kv.h, and not under each function.
#![allow(clippy::missing_safety_doc)]

mod arguments;
mod batch;
mod capabilities;
mod error;
mod files;
mod foreign;
mod guard;
mod key;
mod many;
mod options;
mod packed;
#[cfg(feature = "planted-panics")]
mod plant;
mod progress;
mod removals;
mod scan;
mod stats;
mod status;
mod store;
mod structs;
mod ttl;
mod value;
mod verify;
mod version;
mod watch;

pub use batch::*;
pub use capabilities::*;
pub use error::{kv_error_free, kv_error_message, kv_error_os_code, kv_error_status, kv_error_t};
pub use files::*;
pub use key::*;
pub use many::*;
pub use options::{kv_options_free, kv_options_new, kv_options_set, kv_options_t};
pub use packed::*;
#[cfg(feature = "planted-panics")]
pub use plant::kv_test_plant_panic;
pub use progress::*;
pub use removals::*;
pub use scan::*;
pub use stats::*;
pub use status::*;
pub use store::*;
pub use ttl::*;
pub use value::*;
pub use verify::*;
pub use version::*;
pub use watch::*;

// Built with dynamic thread-local storage (see Cargo.toml): a static-TLS build cannot be loaded
// by dlopen once the process has used up its small reserve of static TLS.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
