//! What a rescue saves of directories that are sound, robbed of files, or damaged.

use super::*;

#[test]
fn a_rescue_of_a_sound_directory_has_everything() {
    let (disk, map) = lived();
    let before: Vec<_> = disk.paths().iter().map(|path| disk.contents(path)).collect();
    let report =
        super::super::salvage(disk.disk(), Path::new(DIR), Path::new("/new"), 4000).unwrap();
    assert!(report.findings.is_empty() && !report.may_be_back, "{report:?}");
    assert_eq!(report.entries, map.len() as u64);
    let dir = Directory::open(disk.disk(), Path::new("/new"), 4000).unwrap();
    let (clock, _) = Clock::manual(4000);
    assert_eq!(recovered(&dir, &clock).unwrap().1, map);
    disk.erase(Path::new("/new")).ok();
    let kept: Vec<_> = disk.paths().into_iter().filter(|path| path.starts_with(DIR)).collect();
    let after: Vec<_> = kept.iter().map(|path| disk.contents(path)).collect();
    assert_eq!(after, before);
    let again = super::super::salvage(disk.disk(), Path::new(DIR), Path::new("/new"), 4000);
    assert_eq!(status(&again), Some(Status::Invalid));
}

#[test]
fn a_rescue_without_a_file_still_has_the_rest() {
    let (disk, map) = lived();
    for path in disk.paths() {
        let robbed = disk.duplicate(2);
        robbed.erase(&path).unwrap();
        let report =
            super::super::salvage(robbed.disk(), Path::new(DIR), Path::new("/new"), 4000).unwrap();
        assert!(report.entries >= map.len() as u64 - 2, "{} {report:?}", path.display());
        let dir = Directory::open(robbed.disk(), Path::new("/new"), 4000).unwrap();
        let (clock, _) = Clock::manual(4000);
        assert_eq!(recovered(&dir, &clock).unwrap().1.len() as u64, report.entries);
    }
}

/// A log of 50 keys in one segment that was not closed, and the offset of each group in it.
pub(super) fn long_log() -> (SimDisk, PathBuf, Vec<usize>) {
    let disk = SimDisk::new(5);
    let mut store = Small::open(&disk, 1000).unwrap();
    for number in 0..50 {
        store.set(&format!("key {number}"), "value").unwrap();
    }
    let path = store.dir.segment_path(1);
    disk.kill();
    drop(store);
    let bytes = disk.contents(&path).unwrap();
    let groups = bytes.windows(8).enumerate().filter(|(_, eight)| *eight == b"\xf7kvgroup");
    let groups: Vec<usize> = groups.map(|(at, _)| at).collect();
    assert_eq!(groups.len(), 50);
    (disk, path, groups)
}

/// Rescues what a disk has. Returns the report and the keys.
fn rescued(disk: &SimDisk) -> (SalvageReport, Vec<String>) {
    let report =
        super::super::salvage(disk.disk(), Path::new(DIR), Path::new("/new"), 4000).unwrap();
    let dir = Directory::open(disk.disk(), Path::new("/new"), 4000).unwrap();
    let map = recovered(&dir, &Clock::manual(4000).0).unwrap().1;
    assert_eq!(map.len() as u64, report.entries);
    let keys = map.into_keys().map(|key| String::from_utf8(key).unwrap()).collect();
    (report, keys)
}

#[test]
fn a_rescue_goes_on_behind_damage_in_a_segment() {
    let (disk, path, groups) = long_log();
    let bytes = disk.contents(&path).unwrap();
    // In the head of a group, in its records, and in two groups that follow each other.
    for hurt in [vec![groups[7] + 20], vec![groups[7] + 70], vec![groups[7] + 3, groups[8] + 70]] {
        let disk = disk.duplicate(1);
        let mut changed = bytes.clone();
        hurt.iter().for_each(|&at| changed[at] ^= 1);
        disk.put(&path, &changed).unwrap();
        let (report, keys) = rescued(&disk);
        let lost: Vec<String> = (7..7 + hurt.len()).map(|number| format!("key {number}")).collect();
        assert_eq!(keys.len(), 50 - lost.len());
        assert!(lost.iter().all(|lost| !keys.contains(lost)));
        assert!(report.may_be_back);
        let [found] = &report.findings[..] else { panic!("{report:?}") };
        assert_eq!(found.offset, groups[7] as u64);
        let next = groups[7 + hurt.len()];
        assert_eq!(found.lost, format!("the records from there to offset {next}"));
        assert!(!found.harmless);
    }
}

#[test]
fn a_rescue_reads_a_segment_whose_header_is_gone() {
    let (disk, path, groups) = long_log();
    let mut bytes = disk.contents(&path).unwrap();
    bytes[30] ^= 1;
    disk.put(&path, &bytes).unwrap();
    let (report, keys) = rescued(&disk);
    assert_eq!((keys.len(), report.findings.len()), (50, 1));
    assert_eq!(report.findings[0].lost, format!("the records from there to offset {}", groups[0]));
}

#[test]
fn a_rescue_takes_nothing_from_behind_the_stated_end_of_a_segment() {
    let (disk, path, groups) = long_log();
    let flip = |at: usize| {
        let mut bytes = disk.contents(&path).unwrap();
        bytes[at] ^= 1;
        disk.put(&path, &bytes).unwrap();
    };
    // A crash tore the last group off, and the next life began in front of it.
    flip(groups[49] + 70);
    let mut store = Small::open(&disk, 1000).unwrap();
    store.set("later", "value").unwrap();
    store.close().unwrap();
    // Whatever is there by now, and however whole, was never a part of the log.
    flip(groups[49] + 70);
    flip(groups[48] + 70);
    let (report, keys) = rescued(&disk);
    let gone = ["key 48", "key 49"];
    assert!(gone.iter().all(|gone| !keys.iter().any(|key| key == gone)), "{keys:?}");
    assert_eq!((keys.len(), report.findings.len()), (49, 1));
}

#[test]
fn a_rescue_passes_over_a_snapshot_that_is_another_than_its_name_says() {
    let (disk, map) = lived();
    let mut snapshots = disk.paths();
    snapshots.retain(|path| path.extension().is_some_and(|end| end == "kvs"));
    let own = disk.contents(snapshots.last().unwrap()).unwrap();
    let stranger = SimDisk::new(9);
    let mut other = Small::open(&stranger, 1000).unwrap();
    other.set("stranger", "value").unwrap();
    let lsn = other.snapshot(1).unwrap();
    let foreign = stranger.contents(other.dir.snapshot_path(lsn)).unwrap();
    let misplaced = Path::new(DIR).join(crate::directory::snapshot_name(99_999));
    let (sound, all) = rescued(&disk.duplicate(1));
    assert_eq!((all.len(), sound.findings.len()), (map.len(), 0));
    for bytes in [own, foreign] {
        let disk = disk.duplicate(1);
        disk.put(&misplaced, &bytes).unwrap();
        let (report, keys) = rescued(&disk);
        assert_eq!(keys, all);
        let [found] = &report.findings[..] else { panic!("{report:?}") };
        assert!(found.problem.contains("another one than its name says"), "{found:?}");
        assert_eq!(found.file, misplaced.display().to_string());
        assert!(!report.may_be_back);
    }
}
