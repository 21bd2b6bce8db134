//! What is to go wrong on the simulated disk, and the count of calls that it goes by.

use std::io;
use std::path::Path;

/// The calls of a disk and of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// One directory is made; `create_dir_all` may take several of these and of `Exists`, `SyncDir`.
    CreateDir,
    /// Whether a name is taken.
    Exists,
    /// What is in a directory.
    List,
    /// A file is made.
    Create,
    /// A file is opened.
    Open,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
    /// The names of a directory are synced.
    SyncDir,
    /// A directory is locked.
    Lock,
    /// How much room there is.
    FreeBytes,
    /// The length of a file.
    Len,
    /// A read.
    Read,
    /// A write.
    Write,
    /// Room is made for a file.
    Allocate,
    /// A file is cut or extended.
    SetLen,
    /// A file is synced.
    SyncData,
    /// A file is synced with all that belongs to it.
    SyncAll,
}

/// Every call that makes something survive.
pub const SYNCS: &[Call] = &[Call::SyncData, Call::SyncAll, Call::SyncDir];

/// Kinds of calls.
const CALLS: usize = Call::SyncAll as usize + 1;

/// Makes calls fail.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Calls that still go well, and the one that fails.
    left: u64,
    errno: i32,
    calls: Vec<Call>,
    path: String,
    lasting: bool,
}

impl Fault {
    /// In place of a system's error: a write is said to go well, and one bit of it is another one.
    pub const SILENT: i32 = 0;

    /// The `n`-th call from now on that this is about, counted from 1, fails with a system's error.
    pub fn at(n: u64, errno: i32) -> Fault {
        Fault { left: n.max(1), errno, calls: Vec::new(), path: String::new(), lasting: false }
    }

    /// Is about these calls only.
    #[must_use]
    pub fn of(mut self, calls: &[Call]) -> Fault {
        self.calls = calls.to_vec();
        self
    }

    /// Is about paths only that have this in them.
    #[must_use]
    pub fn on(mut self, part: &str) -> Fault {
        self.path = part.to_owned();
        self
    }

    /// Every later call fails as well.
    #[must_use]
    pub fn lasting(mut self) -> Fault {
        self.lasting = true;
        self
    }

    /// Counts a call, and says whether it fails.
    fn meets(&mut self, call: Call, path: &Path) -> bool {
        let kind = self.calls.is_empty() || self.calls.contains(&call);
        if !kind || self.left == 0 || !path.to_string_lossy().contains(&self.path) {
            return false;
        }
        self.left -= 1;
        if self.left == 0 && self.lasting {
            self.left = 1;
            return true;
        }
        self.left == 0
    }
}

/// What becomes of each call.
#[derive(Clone, Default)]
pub(super) struct Fate {
    faults: Vec<Fault>,
    count: u64,
    count_of: [u64; CALLS],
    /// Calls until the power fails.
    until_cut: Option<u64>,
    dark: bool,
}

impl Fate {
    /// Counts a call. An error if the power is off, or the error to fail with.
    pub(super) fn meet(&mut self, call: Call, path: &Path) -> io::Result<Option<io::Error>> {
        self.count += 1;
        self.count_of[call as usize] += 1;
        match &mut self.until_cut {
            Some(0) => self.dark = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.dark {
            return Err(super::errno(libc::EIO));
        }
        let mut failure = None;
        for fault in &mut self.faults {
            if fault.meets(call, path) && failure.is_none() {
                failure = Some(super::errno(fault.errno));
            }
        }
        self.faults.retain(|fault| fault.left > 0);
        Ok(failure)
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn cut_after(&mut self, calls: u64) {
        self.until_cut = Some(calls);
    }

    pub(super) fn is_dark(&self) -> bool {
        self.dark
    }

    /// The power comes back.
    pub(super) fn light(&mut self) {
        self.dark = false;
        self.until_cut = None;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn count_of(&self, call: Call) -> u64 {
        self.count_of[call as usize]
    }
}
