//! What a store can do, told beforehand, in C. Owns the `KV_CAN_…` constants.

use kvcore::Status;
use libkv::Capabilities;

use crate::arguments::Out;
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;

/// versions: KV_IF_VERSION, kv_del_if
pub const KV_CAN_VERSIONS: u64 = 1;
/// batches of any keys; without it those of one slot, else KV_ERR_CROSS_SLOT
pub const KV_CAN_BATCH_ANY_KEYS: u64 = 2;
/// scans in order, and of a range
pub const KV_CAN_SCAN_IN_ORDER: u64 = 4;
/// scans that give each key exactly once; without it at least once
pub const KV_CAN_SCAN_EXACTLY: u64 = 8;
/// watches; a server must have its notify-keyspace-events on as well
pub const KV_CAN_WATCH: u64 = 16;
/// watches that tell values and revisions, and begin in the past
pub const KV_CAN_WATCH_HISTORY: u64 = 32;
/// kv_sync, kv_snapshot, kv_restore, kv_recovery_report
pub const KV_CAN_SNAPSHOT: u64 = 64;
/// limits and eviction of the store's own
pub const KV_CAN_EVICT: u64 = 128;
/// kv_clear
pub const KV_CAN_CLEAR: u64 = 256;
/// a near cache is in front of the servers
pub const KV_CAN_READ_NEAR: u64 = 512;

/// Tells what a store can do, as the sum of KV_CAN_ numbers. A store of this process can do all but
/// KV_CAN_READ_NEAR, whatever its options; one on a server or cluster less, and answers
/// KV_ERR_UNSUPPORTED to the rest before it sends anything. It also answers after kv_shutdown.
///
/// Answers KV_OK and the sum in `*out_capabilities`; KV_ERR_INVALID, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_capabilities(
    store: *mut kv_store_t,
    out_capabilities: *mut u64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_capabilities) = unsafe { (store.as_ref(), Out::required(out_capabilities)) };
    guard::call("kv_capabilities", store, |store| {
        let out_capabilities = out_capabilities?;
        if store.is_forked() {
            return Err(Status::Forked.into());
        }
        out_capabilities.put(bits(&store.capabilities()));
        Ok(Status::Ok)
    })
}

fn bits(capabilities: &Capabilities) -> u64 {
    let each = [
        (capabilities.versions, KV_CAN_VERSIONS),
        (capabilities.cross_slot_batches, KV_CAN_BATCH_ANY_KEYS),
        (capabilities.ordered_scans, KV_CAN_SCAN_IN_ORDER),
        (capabilities.exact_scans, KV_CAN_SCAN_EXACTLY),
        (capabilities.watches, KV_CAN_WATCH),
        (capabilities.watch_history, KV_CAN_WATCH_HISTORY),
        (capabilities.snapshots, KV_CAN_SNAPSHOT),
        (capabilities.eviction, KV_CAN_EVICT),
        (capabilities.clear, KV_CAN_CLEAR),
        (capabilities.near_cache, KV_CAN_READ_NEAR),
    ];
    each.iter().filter(|(can, _)| *can).map(|(_, bit)| bit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_store_can_do_all_but_one() {
        assert_eq!(bits(&Capabilities::embedded()), 511);
    }
}
