//! One call of the disk fails, once or from then on.

use kvcore::Status;
use kvcore::simulation::Fault;

use crate::runs::World;
use crate::script::{Op, script};

/// What a disk may say.
pub const ERRORS: [i32; 14] = [
    libc::EIO,
    libc::ENOSPC,
    libc::EDQUOT,
    libc::EINTR,
    libc::EAGAIN,
    libc::EACCES,
    libc::EPERM,
    libc::EROFS,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOMEM,
    libc::EBADF,
    libc::ENOENT,
    libc::EFBIG,
];

/// Lets one call of a script fail, and looks what the next life finds. `false` if the script makes fewer
/// calls than that.
pub fn fail_at(mode: &[(&str, &str)], call: u64, errno: i32, lasting: bool, seed: u64) -> bool {
    let what = format!("{mode:?}, seed {seed}, call {call} fails with {errno}, lasting {lasting}");
    let mut world = World::new(seed, mode);
    let fault = Fault::at(call, errno);
    world.disk.inject(if lasting { fault.lasting() } else { fault });
    let before = world.disk.calls();
    if let Ok(store) = world.open() {
        let mut refused = None;
        for op in &script(seed, 30) {
            match world.run_one(&store, op) {
                // Once poisoned, nothing is acknowledged any more.
                Ok(()) => assert!(
                    refused != Some(Status::Poisoned)
                        || matches!(op, Op::Advance(_) | Op::Snapshot),
                    "{what}: {op:?} was acknowledged by a poisoned store"
                ),
                Err(status) => refused = Some(status),
            }
        }
        // A store that was poisoned has nothing to close well.
        let _ = store.shutdown();
    }
    let reached = world.disk.calls() - before >= call;
    world.disk.clear_faults();
    world.disk.crash();
    let store = world.reopen(&what);
    assert_eq!(world.run(&store, &script(seed + 1, 5)), None, "{what}");
    reached
}
