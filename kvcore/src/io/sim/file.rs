//! An open file and a held lock of the simulated disk. Both are dead after a crash.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tree::NodeId;
use super::{Call, Fault, SimDisk, World, errno};
use crate::io::{DirLock, DiskFile};

/// The life of a lock that was let go.
const RELEASED: u64 = u64::MAX;

/// An open file.
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) node: NodeId,
    pub(super) life: u64,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl SimFile {
    /// Makes a call: counts it, sees whether the handle is still good, and says what it is to fail
    /// with, if it is.
    fn enter(&self, world: &mut World, call: Call) -> io::Result<Option<io::Error>> {
        let failure = world.fate.meet(call, &self.path)?;
        self.check_life(world)?;
        let writes = matches!(call, Call::Write | Call::Allocate | Call::SetLen);
        if writes && !self.writable {
            return Err(errno(libc::EBADF));
        }
        Ok(failure)
    }

    fn check_life(&self, world: &World) -> io::Result<()> {
        if world.life == self.life { Ok(()) } else { Err(errno(libc::EIO)) }
    }

    fn sync(&self, call: Call) -> io::Result<()> {
        let mut guard = self.disk.0.world.lock();
        let failure = self.enter(&mut guard, call)?;
        // Covers what was written before it began; others go on while it runs.
        let from = guard.tree.file(self.node)?.begin_sync();
        guard.held += usize::from(guard.hold_syncs);
        let was_held = guard.hold_syncs;
        while guard.hold_syncs && guard.life == self.life {
            self.disk.0.released.wait(&mut guard);
        }
        guard.held -= usize::from(was_held);
        drop(guard);

        let mut guard = self.disk.0.world.lock();
        let world = &mut *guard;
        self.check_life(world)?;
        if world.fate.is_dark() {
            return Err(errno(libc::EIO));
        }
        world.tree.file(self.node)?.end_sync(from, failure.is_some(), &mut world.random);
        failure.map_or(Ok(()), Err)
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut world = self.disk.0.world.lock();
        match self.enter(&mut world, Call::Len)? {
            Some(failure) => Err(failure),
            None => Ok(world.tree.file(self.node)?.len()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.0.world.lock();
        if let Some(failure) = self.enter(&mut world, Call::Read)? {
            return Err(failure);
        }
        let one_in = world.short_reads;
        let len = world.shorten(buffer.len(), one_in);
        Ok(world.tree.file(self.node)?.read(offset, &mut buffer[..len]))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.0.world.lock();
        let failure = self.enter(&mut world, Call::Write)?;
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(errno(libc::EFBIG));
        }
        let room = world.room();
        let fits = world.tree.file(self.node)?.fits(offset, bytes.len(), room);
        let (failure, len) = match failure {
            Some(failure) if failure.raw_os_error() == Some(Fault::SILENT) => {
                let mut bytes = bytes.to_vec();
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
                world.tree.file(self.node)?.write(offset, &bytes[..fits]);
                return Ok(fits);
            }
            Some(failure) => (Some(failure), world.random.usize(0..=fits)),
            None if fits == 0 && !bytes.is_empty() => (Some(errno(libc::ENOSPC)), 0),
            None => {
                let one_in = world.short_writes;
                (None, world.shorten(fits, one_in))
            }
        };
        world.tree.file(self.node)?.write(offset, &bytes[..len]);
        failure.map_or(Ok(len), Err)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.0.world.lock();
        if let Some(failure) = self.enter(&mut world, Call::Allocate)? {
            return Err(failure);
        }
        let room = world.room();
        let content = world.tree.file(self.node)?;
        if content.wants(len) > room {
            return Err(errno(libc::ENOSPC));
        }
        content.allocate(len);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.0.world.lock();
        if let Some(failure) = self.enter(&mut world, Call::SetLen)? {
            return Err(failure);
        }
        world.tree.file(self.node)?.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Call::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Call::SyncAll)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut world = self.disk.0.world.lock();
        if world.life == self.life {
            world.tree.closed(self.node);
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A held lock.
#[derive(Debug)]
pub(super) struct SimLock {
    pub(super) disk: SimDisk,
    pub(super) node: NodeId,
    /// The life of the disk that the lock was taken in; none any more once it is let go.
    pub(super) life: AtomicU64,
}

impl DirLock for SimLock {
    fn unlock(&self) {
        let mut world = self.disk.0.world.lock();
        if world.life == self.life.swap(RELEASED, Ordering::SeqCst) {
            world.locks.remove(&self.node);
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.unlock();
    }
}
