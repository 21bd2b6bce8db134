//! The system's disk, in a directory of its own for each test.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use super::super::{read_exact_at, write_all_at};
use super::*;

/// A new directory, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("kvcore-io-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn os_code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn directories_are_made_for_their_owner_and_may_be_there() {
    let folder = Folder::new();
    let dir = folder.path("a/b/c");
    RealDisk.create_dir_all(&dir).unwrap();
    for name in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&folder.path(name)), 0o700, "{name}");
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    RealDisk.create_dir_all(&dir).unwrap();
    assert_eq!(mode(&dir), 0o755);
    // A link in the path is the owner's choice.
    symlink(folder.path("a"), folder.path("link")).unwrap();
    RealDisk.create_dir_all(&folder.path("link/b/d/")).unwrap();
    assert_eq!(mode(&folder.path("a/b/d")), 0o700);

    RealDisk.create(&folder.path("file")).unwrap();
    assert_eq!(os_code(RealDisk.create_dir_all(&folder.path("file"))), Some(libc::ENOTDIR));
    assert_eq!(os_code(RealDisk.create_dir_all(&folder.path("file/x"))), Some(libc::ENOTDIR));
    RealDisk.create_dir_all(Path::new("/")).unwrap();
    RealDisk.create_dir_all(Path::new("")).unwrap();
    RealDisk.create_dir_all(Path::new(".")).unwrap();
}

#[test]
fn files_are_private_and_new() {
    let folder = Folder::new();
    let path = folder.path("file");
    assert!(!RealDisk.exists(&path).unwrap());
    let file = RealDisk.create(&path).unwrap();
    assert!(RealDisk.exists(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(kind(RealDisk.create(&path)), Some(ErrorKind::AlreadyExists));

    write_all_at(&*file, b"hello", 3).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    let mut bytes = [7; 8];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0hello");
    assert_eq!(file.read_at(&mut bytes, 8).unwrap(), 0);
    let short = read_exact_at(&*file, &mut bytes, 1);
    assert_eq!(kind(short), Some(ErrorKind::UnexpectedEof));
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    RealDisk.sync_dir(&folder.0).unwrap();
    RealDisk.sync_dir(Path::new("")).unwrap();
    assert_eq!(os_code(RealDisk.sync_dir(&path)), Some(libc::ENOTDIR));
}

#[test]
fn an_opened_file_can_be_synced_and_not_written() {
    let folder = Folder::new();
    let path = folder.path("file");
    RealDisk.create(&path).unwrap().write_at(b"abc", 0).unwrap();
    let file = RealDisk.open(&path).unwrap();
    assert_eq!(file.len().unwrap(), 3);
    assert_eq!(os_code(file.write_at(b"x", 0)), Some(libc::EBADF));
    assert!(file.set_len(0).is_err());
    assert_eq!(os_code(file.allocate(10)), Some(libc::EBADF));
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.len().unwrap(), 3);
}

#[test]
fn only_plain_files_are_opened() {
    let folder = Folder::new();
    let (path, link, pipe) = (folder.path("file"), folder.path("link"), folder.path("pipe"));
    drop(RealDisk.create(&path).unwrap());
    symlink(&path, &link).unwrap();
    symlink(folder.path("nowhere"), folder.path("dangling")).unwrap();
    let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: the name ends in a zero and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);

    assert_eq!(os_code(RealDisk.open(&link)), Some(libc::ELOOP));
    assert_eq!(os_code(RealDisk.lock(&link)), Some(libc::ELOOP));
    assert_eq!(os_code(RealDisk.lock(&folder.path("dangling"))), Some(libc::ELOOP));
    assert_eq!(kind(RealDisk.create(&folder.path("dangling"))), Some(ErrorKind::AlreadyExists));
    assert!(!folder.path("nowhere").exists());
    // Neither of these waits for the other end of the pipe.
    assert_eq!(kind(RealDisk.open(&pipe)), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(RealDisk.lock(&pipe)), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(RealDisk.open(&folder.0)), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(RealDisk.open(&folder.path("none"))), Some(ErrorKind::NotFound));
    assert!(RealDisk.exists(&folder.path("dangling")).unwrap());
    assert_eq!(os_code(RealDisk.exists(&path.join("x"))), Some(libc::ENOTDIR));
}

#[test]
fn a_list_is_in_order_and_tells_files_from_the_rest() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    for name in ["b", "c", "a"] {
        RealDisk.create(&folder.path(name)).unwrap().write_at(name.as_bytes(), 9).unwrap();
    }
    fs::create_dir(folder.path("dir")).unwrap();
    symlink(folder.path("a"), folder.path("link")).unwrap();
    fs::write(folder.0.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let listed = RealDisk.list(&folder.0).unwrap();
    let names: Vec<_> = listed.iter().map(|one| (&one.name[..], one.is_file)).collect();
    assert_eq!(names, [("a", true), ("b", true), ("c", true), ("dir", false), ("link", false)]);
    assert_eq!(listed[0].len, 10);
    assert_eq!(kind(RealDisk.list(&folder.path("none"))), Some(ErrorKind::NotFound));
}

#[test]
fn names_change_in_one_step_and_go() {
    let folder = Folder::new();
    let (from, to) = (folder.path("from"), folder.path("to"));
    RealDisk.create(&from).unwrap().write_at(b"new", 0).unwrap();
    let old = RealDisk.create(&to).unwrap();
    old.write_at(b"old", 0).unwrap();
    RealDisk.rename(&from, &to).unwrap();
    assert!(!RealDisk.exists(&from).unwrap());
    assert_eq!(fs::read(&to).unwrap(), b"new");
    let mut bytes = [0; 3];
    read_exact_at(&*old, &mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
    RealDisk.remove(&to).unwrap();
    assert_eq!(kind(RealDisk.remove(&to)), Some(ErrorKind::NotFound));
    assert_eq!(kind(RealDisk.rename(&from, &to)), Some(ErrorKind::NotFound));
}

#[test]
fn allocated_room_is_there_and_reads_as_zeros() {
    let folder = Folder::new();
    let path = folder.path("file");
    let file = RealDisk.create(&path).unwrap();
    file.allocate(0).unwrap();
    assert_eq!(file.len().unwrap(), 0);
    file.write_at(b"kept", 0).unwrap();
    file.allocate(1_000_000).unwrap();
    let data = fs::metadata(&path).unwrap();
    assert_eq!(data.len(), 1_000_000);
    assert!(data.blocks() * 512 >= 1_000_000, "{} blocks", data.blocks());
    file.allocate(10).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[..4]), (1_000_000, &b"kept"[..]));
    assert!(bytes[4..].iter().all(|&byte| byte == 0));
    assert!(file.allocate(u64::MAX).is_err());
    assert!(file.allocate(i64::MAX as u64).is_err());
    assert_eq!(file.len().unwrap(), 1_000_000);
}

#[test]
fn room_made_by_writing_leaves_no_holes_and_what_is_there() {
    let folder = Folder::new();
    let path = folder.path("file");
    let file = RealFile(options().write(true).create_new(true).open(&path).unwrap());
    // Holes before, between and behind.
    let at = (CHUNK + 5) as u64;
    file.write_at(b"kept", at).unwrap();
    file.set_len(at + 100_000).unwrap();
    let len = 3 * CHUNK as u64 + 17;
    fill(&file, at + 100_000, len).unwrap();
    let data = fs::metadata(&path).unwrap();
    assert_eq!(data.len(), len);
    assert!(data.blocks() * 512 >= len, "{} blocks", data.blocks());
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[at as usize..][..4], b"kept");
    assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 4);
}

/// To meet a disk that is full, the directory for temporary files must be on a small one: taking all
/// of a large one would be felt by others.
#[test]
fn no_room_leaves_the_length_as_it_was() {
    const SMALL: u64 = 64 << 20;
    let folder = Folder::new();
    let file = RealDisk.create(&folder.path("file")).unwrap();
    file.write_at(b"abc", 0).unwrap();
    let free = RealDisk.free_bytes(&folder.0).unwrap();
    assert!(free > 0);
    if free < SMALL {
        assert_eq!(os_code(file.allocate(free + (1 << 20))), Some(libc::ENOSPC));
        assert_eq!(file.len().unwrap(), 3);
        let result =
            fill(&RealFile(options().write(true).open(folder.path("file")).unwrap()), 3, SMALL);
        assert_eq!(os_code(result), Some(libc::ENOSPC));
        file.set_len(3).unwrap();
        // All of it came back.
        let left = RealDisk.free_bytes(&folder.0).unwrap();
        assert!(left + (1 << 16) > free, "{left} of {free}");
    }
    let refused = os_code(file.allocate(i64::MAX as u64));
    assert!(matches!(refused, Some(libc::ENOSPC | libc::EFBIG)), "{refused:?}");
    assert_eq!(file.len().unwrap(), 3);
    assert_eq!(kind(RealDisk.free_bytes(&folder.path("none"))), Some(ErrorKind::NotFound));
}

#[test]
fn one_opener_has_the_directory() {
    let folder = Folder::new();
    let path = folder.path("LOCK");
    let lock = RealDisk.lock(&path).unwrap().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(RealDisk.lock(&path).unwrap().is_none());
    // Neither a refused opener nor another descriptor takes it away, as `fcntl` locks would.
    drop(RealDisk.open(&path).unwrap());
    assert!(RealDisk.lock(&path).unwrap().is_none());
    lock.unlock();
    let next = RealDisk.lock(&path).unwrap().unwrap();
    lock.unlock();
    drop(lock);
    assert!(RealDisk.lock(&path).unwrap().is_none());
    drop(next);
    assert!(RealDisk.lock(&path).unwrap().is_some());
    assert!(RealDisk.exists(&path).unwrap());
}

/// Forks a child that does `act`, says so over a pipe and waits; then runs `meanwhile` in the parent.
/// `act` may allocate nothing.
fn beside_a_child(act: impl Fn() -> bool, meanwhile: impl FnOnce()) {
    let mut ends = [0; 2];
    // SAFETY: `ends` is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the child calls `act`, which keeps to what is allowed, and the system.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Whoever ends it may have failed before that.
        // SAFETY: takes a number.
        unsafe { libc::alarm(600) };
        let said = [u8::from(act())];
        loop {
            // SAFETY: writes one byte, and waits for the signal that ends the child.
            unsafe {
                libc::write(ends[1], said.as_ptr().cast(), 1);
                libc::pause();
            }
        }
    }
    assert!(child > 0);
    let mut heard = [9u8];
    // SAFETY: reads one byte into `heard`.
    assert_eq!(unsafe { libc::read(ends[0], heard.as_mut_ptr().cast(), 1) }, 1);
    meanwhile();
    // SAFETY: ends and awaits the child, closes what was opened here, and writes nothing.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
        libc::close(ends[0]);
        libc::close(ends[1]);
    }
    assert_eq!(heard, [1]);
}

#[test]
fn a_forked_child_neither_keeps_the_lock_nor_lets_it_go() {
    let _alone = crate::fork::alone();
    let folder = Folder::new();
    let path = folder.path("LOCK");
    let lock = RealDisk.lock(&path).unwrap().unwrap();
    let act = || {
        lock.unlock();
        true
    };
    beside_a_child(act, || assert!(RealDisk.lock(&path).unwrap().is_none()));
    drop(lock);
    // What the end of a process does to its lock: the file is closed, and nothing is unlocked. A
    // child that lives on must not have it.
    let open = || options().write(true).open(&path);
    let file = Uninherited::open(open).unwrap();
    file.with(File::try_lock).unwrap().unwrap();
    assert!(RealDisk.lock(&path).unwrap().is_none());
    beside_a_child(
        || true,
        move || {
            drop(file);
            assert!(RealDisk.lock(&path).unwrap().is_some());
        },
    );
}

#[test]
fn interrupted_calls_are_repeated_but_not_for_ever() {
    let mut left = 3;
    let some = uninterrupted(|| {
        left -= 1;
        if left == 0 { Ok(5) } else { Err(io::Error::from_raw_os_error(libc::EINTR)) }
    });
    assert_eq!(some.unwrap(), 5);
    let mut calls = 0;
    let never: io::Result<()> = uninterrupted(|| {
        calls += 1;
        Err(io::Error::from_raw_os_error(libc::EINTR))
    });
    assert_eq!((os_code(never), calls), (Some(libc::EINTR), ATTEMPTS));
}
