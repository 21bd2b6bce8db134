//! The traces: where they are, how each file is written, and their accesses as small numbers.
//!
//! Owns the catalogue [`TRACES`] and the decoding. Invariants: the keys of a [`Trace`] are
//! `0..distinct` in the order of their first access, so that a simulation can use plain vectors; a
//! file that does not decode to as many accesses and keys as the catalogue says is refused, because
//! figures of half a trace would look like figures. The files are no part of this repository. A user's
//! own file is taken as it is ([`Source::of_file`]).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Names the folder of the traces.
pub const VARIABLE: &str = "KV_TRACES";

/// Where the traces are if nobody says: beside the repository.
const FOLDER: &str = "../shared/traces";

/// How the accesses are written, once the file is unpacked.
#[derive(Debug, Clone, Copy)]
enum Format {
    /// ARC's: a line is `first count ignored request`, and stands for `count` blocks in a row.
    Blocks,
    /// LIRS's: a number a line; lines with a star separate programs.
    Numbers,
    /// Big-endian numbers of four bytes.
    Words,
    /// Big-endian numbers of eight bytes.
    LongWords,
    /// A line is `time id size`. An object of another size is another object.
    Sized,
    /// A line is a key, whatever it says.
    Keys,
}

/// The formats by the names that `--format` takes.
const FORMATS: [(&str, Format); 6] = [
    ("keys", Format::Keys),
    ("lirs", Format::Numbers),
    ("arc", Format::Blocks),
    ("be32", Format::Words),
    ("be64", Format::LongWords),
    ("sized", Format::Sized),
];

/// A row of the catalogue.
#[derive(Debug)]
pub struct Source {
    /// What the results call it.
    pub name: &'static str,
    /// What asked for the keys.
    pub what: &'static str,
    file: &'static str,
    format: Format,
    /// How many accesses it has, and to how many keys. `None` if nobody knows beforehand.
    counts: Option<(usize, usize)>,
    /// Sizes beside the usual shares of the keys, because a goal or a publication names them.
    pub more_sizes: &'static [usize],
}

/// All of them, the small ones first.
pub const TRACES: [Source; 15] = [
    lirs("cs", "cs.trace.gz", "C sources read by cscope", 6_781, 1_409, &[]),
    lirs("gli", "gli.trace.gz", "Glimpse, text retrieval: loops", 6_015, 2_529, &[1_000]),
    lirs("scan", "scan.trace.gz", "a loop over a file, little repeated", 50_025, 2_001, &[]),
    lirs("multi1", "multi1.trace.gz", "programs side by side", 15_858, 2_606, &[]),
    lirs("multi2", "multi2.trace.gz", "programs side by side", 26_311, 5_684, &[]),
    lirs("multi3", "multi3.trace.gz", "programs side by side", 30_241, 7_454, &[]),
    lirs("2_pools", "2_pools.trace.gz", "two pools of keys, hot and cold", 100_000, 9_939, &[]),
    lirs("sprite", "sprite.trace.gz", "a file server: recency", 133_996, 7_075, &[]),
    lirs("loop", "loop.trace.gz", "one loop over a file", 505_500, 1_011, &[]),
    Source {
        name: "adaptsize",
        what: "content delivery",
        file: "adaptsize.trace.xz",
        format: Format::Sized,
        counts: Some((66_987, 40_240)),
        more_sizes: &[],
    },
    Source {
        name: "web12",
        what: "product pages of a web shop",
        file: "web12.trace.xz",
        format: Format::Words,
        counts: Some((95_607, 13_756)),
        more_sizes: &[],
    },
    Source {
        name: "corda",
        what: "a vault service: recency alone",
        file: "corda.trace.gz",
        format: Format::LongWords,
        counts: Some((135_702, 90_468)),
        more_sizes: &[],
    },
    Source {
        name: "oltp",
        what: "blocks of a database",
        file: "OLTP.lis.zst",
        format: Format::Blocks,
        counts: Some((914_145, 186_880)),
        more_sizes: &[],
    },
    Source {
        name: "p3",
        what: "blocks of a workstation",
        file: "P3.lis.zst",
        format: Format::Blocks,
        counts: Some((3_912_296, 762_543)),
        more_sizes: &[],
    },
    Source {
        name: "orm-busy",
        what: "object cache of a web shop",
        file: "orm-busy.trace.xz",
        format: Format::Words,
        counts: Some((5_000_000, 76_349)),
        more_sizes: &[],
    },
];

const fn lirs(
    name: &'static str,
    file: &'static str,
    what: &'static str,
    accesses: usize,
    distinct: usize,
    more_sizes: &'static [usize],
) -> Source {
    Source {
        name,
        what,
        file,
        format: Format::Numbers,
        counts: Some((accesses, distinct)),
        more_sizes,
    }
}

/// The accesses of one trace, in order.
#[derive(Debug)]
pub struct Trace {
    /// The key of each access.
    pub keys: Vec<u32>,
    /// How many keys there are.
    pub distinct: usize,
}

impl Trace {
    /// Numbers the keys by their first access.
    pub fn of(accesses: impl IntoIterator<Item = u64>) -> Trace {
        let mut numbers: HashMap<u64, u32, ahash::RandomState> = HashMap::default();
        let mut keys = Vec::new();
        for access in accesses {
            let next = numbers.len() as u32;
            keys.push(*numbers.entry(access).or_insert(next));
        }
        Trace { keys, distinct: numbers.len() }
    }

    /// The capacities at which it is replayed: shares of its keys, and what else is asked for.
    pub fn sizes(&self, shares: &[f64], more: &[usize]) -> Vec<usize> {
        let of = |share: &f64| ((self.distinct as f64 * share / 100.0).round() as usize).max(1);
        let mut sizes: Vec<usize> = shares.iter().map(of).chain(more.iter().copied()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

impl Source {
    /// A trace of the user's own, which results call by the name of its file. `format` is a name of
    /// [`FORMATS`].
    ///
    /// # Errors
    /// If there is no such format, or the path names no file.
    pub fn of_file(path: &str, format: &str) -> Result<&'static Source> {
        let names = || FORMATS.map(|(name, _)| name).join(", ");
        let format = FORMATS.iter().find(|(name, _)| *name == format);
        let (_, format) = format.with_context(|| format!("a format is one of {}", names()))?;
        let name = Path::new(path).file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{path} names no file"))?;
        let end = name.find('.').filter(|end| *end > 0).unwrap_or(name.len());
        let named = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        // Like the catalogue, it is there to the end of the program.
        Ok(Box::leak(Box::new(Source {
            name: named(&name[..end]),
            what: "a trace of your own",
            file: named(path),
            format: *format,
            counts: None,
            more_sizes: &[],
        })))
    }

    /// Whether it is a user's own file, about which nothing is known beforehand.
    pub fn is_own(&self) -> bool {
        self.counts.is_none()
    }

    /// Whether it is known to have fewer accesses than that.
    pub fn is_shorter_than(&self, accesses: usize) -> bool {
        self.counts.is_some_and(|(known, _)| known < accesses)
    }

    /// Reads and decodes the file, which is in `folder` unless it is the user's own.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is not the file the catalogue means.
    pub fn load(&self, folder: &Path) -> Result<Trace> {
        let path = Path::new(self.file);
        let packed = unpack(&if self.is_own() { path.to_owned() } else { folder.join(path) })?;
        let accesses =
            decode(self.format, &packed).with_context(|| format!("{} is damaged", self.file))?;
        let trace = Trace::of(accesses);
        if let Some((accesses, distinct)) = self.counts {
            ensure!(
                (trace.keys.len(), trace.distinct) == (accesses, distinct),
                "{} has {} accesses to {} keys; {accesses} to {distinct} were expected: it is \
                 another file",
                self.file,
                trace.keys.len(),
                trace.distinct,
            );
        }
        ensure!(!trace.keys.is_empty(), "{} has no access", self.file);
        Ok(trace)
    }
}

/// The folder of the traces: the one that was named, or `KV_TRACES`, or the one beside the
/// repository.
///
/// # Errors
/// If the folder is not there, with the ways to name it.
pub fn folder(root: &Path, named: Option<&str>) -> Result<PathBuf> {
    let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
    let folder = match (named, variable) {
        (Some(named), _) => PathBuf::from(named),
        (None, Some(folder)) => folder,
        (None, None) => root.join(FOLDER),
    };
    if !folder.is_dir() {
        bail!(
            "there is no folder {}; name the folder of the traces with --traces DIR or {VARIABLE}. \
             It holds {}, as bench/README.md says",
            folder.display(),
            TRACES[0].file
        );
    }
    Ok(folder)
}

/// What a file holds. One without an ending of the packers is not packed.
fn unpack(path: &Path) -> Result<Vec<u8>> {
    let named = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(named)?;
    let mut bytes = Vec::new();
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes),
        Some("xz") => liblzma::read::XzDecoder::new(file).read_to_end(&mut bytes),
        Some("zst") => zstd::Decoder::new(file).and_then(|mut from| from.read_to_end(&mut bytes)),
        _ => file.read_to_end(&mut bytes),
    }
    .with_context(named)?;
    Ok(bytes)
}

fn decode(format: Format, bytes: &[u8]) -> Result<Vec<u64>> {
    match format {
        Format::Words => words::<4>(bytes),
        Format::LongWords => words::<8>(bytes),
        Format::Keys => keys(bytes),
        Format::Numbers => lines(bytes, |line| match line.trim() {
            "*" | "" => Ok(0..0),
            number => number.parse().map(|number: u64| number..number + 1).context("no number"),
        }),
        Format::Blocks => lines(bytes, |line| {
            let first = field(line, 0)?;
            Ok(first..first + field(line, 1)?)
        }),
        Format::Sized => lines(bytes, |line| {
            let (id, size) = (field(line, 1)?, field(line, 2)?);
            ensure!(id.max(size) <= u64::from(u32::MAX), "too large");
            let object = id << 32 | size;
            Ok(object..object + 1)
        }),
    }
}

fn words<const LEN: usize>(bytes: &[u8]) -> Result<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<LEN>();
    ensure!(rest.is_empty(), "{} bytes are left over", rest.len());
    let number = |word: &[u8; LEN]| word.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    Ok(words.iter().map(number).collect())
}

/// A number for each line: the same for the same bytes. Empty lines are no keys.
fn keys(bytes: &[u8]) -> Result<Vec<u64>> {
    let mut numbers: HashMap<&[u8], u64, ahash::RandomState> = HashMap::default();
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let number = |line| {
        let next = numbers.len() as u64;
        *numbers.entry(line).or_insert(next)
    };
    Ok(lines.filter(|line| !line.is_empty()).map(number).collect())
}

fn lines(
    bytes: &[u8],
    accesses: impl Fn(&str) -> Result<std::ops::Range<u64>>,
) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    for (at, line) in std::str::from_utf8(bytes)?.lines().enumerate() {
        all.extend(accesses(line).with_context(|| format!("line {}: `{line}`", at + 1))?);
    }
    Ok(all)
}

fn field(line: &str, at: usize) -> Result<u64> {
    let word = line.split_ascii_whitespace().nth(at).context("too short")?;
    word.parse().context("no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format() {
        let text = |format, text: &str| decode(format, text.as_bytes()).unwrap();
        assert_eq!(text(Format::Blocks, "7 3 0 1\n1 1 0 2\n"), [7, 8, 9, 1]);
        assert_eq!(text(Format::Numbers, "5\n*\n6\n5\n"), [5, 6, 5]);
        let objects = text(Format::Sized, "1 40 900\n2 41 1\n3 40 2\n4 40 900\n");
        assert_eq!(Trace::of(objects).keys, [0, 1, 2, 0]);
        assert_eq!(text(Format::Keys, "user 7\n\n8\r\nuser 7\n8"), [0, 1, 0, 1]);
        assert_eq!(decode(Format::Words, &[0, 0, 1, 2]).unwrap(), [258]);
        assert_eq!(decode(Format::LongWords, &[0, 0, 0, 0, 0, 0, 1, 0]).unwrap(), [256]);
    }

    #[test]
    fn a_file_of_the_user() {
        let folder = std::env::temp_dir().join(format!("kvbench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("mine.v2.txt");
        std::fs::write(&path, "a\nb\na\n").unwrap();
        let source = Source::of_file(path.to_str().unwrap(), "keys").unwrap();
        assert_eq!(source.name, "mine");
        assert_eq!(source.load(Path::new("no/such/folder")).unwrap().keys, [0, 1, 0]);
        std::fs::write(&path, "").unwrap();
        assert!(source.load(&folder).is_err());
        std::fs::remove_dir_all(folder).unwrap();
        let error = Source::of_file("mine", "csv").unwrap_err();
        assert_eq!(error.to_string(), "a format is one of keys, lirs, arc, be32, be64, sized");
    }

    #[test]
    fn damage_is_told() {
        assert!(decode(Format::Words, &[0, 0, 1]).is_err());
        let error = decode(Format::Blocks, b"1 1 0 0\n2\n").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: `2`: too short");
        assert!(decode(Format::Numbers, b"x\n").is_err());
    }

    #[test]
    fn keys_are_numbered_by_first_access() {
        let trace = Trace::of([90, 7, 90, 8]);
        assert_eq!((trace.keys, trace.distinct), (vec![0, 1, 0, 2], 3));
    }

    #[test]
    fn sizes_are_shares_of_the_keys_and_at_least_one() {
        let trace = Trace::of(0..1_000);
        assert_eq!(trace.sizes(&[0.01, 1.0, 50.0], &[77, 10]), [1, 10, 77, 500]);
    }

    #[test]
    fn a_missing_folder_is_told_with_the_remedy() {
        let error = folder(Path::new("."), Some("no/such/folder")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("no/such/folder") && error.contains("--traces"), "{error}");
    }
}
