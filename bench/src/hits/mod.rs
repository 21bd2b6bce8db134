//! `cargo xtask bench hits`: how often each eviction policy hits, on real traces.
//!
//! Replays every trace at every size through the engine's policies, moka and quick_cache, beside
//! exact LRU and Belady's optimum. Hit ratios do not depend on how fast a machine is, so unlike the
//! rest of the benchmarks this runs on all cores. Hash seeds do change them a little: a short trace
//! is replayed several times, and the mean is reported. What a full run finds goes to
//! `bench/results/hits`; a part of it, or `--quick`, to a folder that stays out of git.

mod caches;
mod exact;
mod figures;
mod goals;
mod plot;
mod reference;
mod report;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};

use self::figures::{EXACT_LRU, Figures, OPTIMUM, Point};
use self::traces::{Source, TRACES, Trace};

/// The argument that asks for this part, and for nothing else.
pub const PART: &str = "hits";

const USAGE: &str = "\
usage: cargo xtask bench hits [--quick] [--only CACHE...] [--traces DIR] [TRACE...]
       cargo xtask bench hits [--format FORMAT] --trace FILE...

  --quick        only the short traces, each once
  --only CACHE   s3fifo, moka, ...; may be repeated. All others are taken from the last full results
  --traces DIR   the folder of the traces; else KV_TRACES, else ../shared/traces beside the repository
  TRACE          cs, gli, web12, oltp, ...; without one, all of them
  --trace FILE   a trace of your own, packed by gzip, xz or zstd, or not at all; may be repeated
  --format FORMAT
                 of the files that follow: keys (each line is a key; without --format), lirs, arc,
                 be32, be64, sized";

/// Sizes of the caches in percent of the keys of a trace.
const SHARES: [f64; 6] = [0.5, 1.0, 5.0, 10.0, 20.0, 50.0];

/// A trace of fewer accesses is replayed this often.
const SHORT: usize = 200_000;
const REPLAYS: usize = 5;

/// What a run was asked for.
#[derive(Debug, Default)]
struct Request {
    quick: bool,
    folder: Option<String>,
    names: Vec<String>,
    own: Vec<&'static Source>,
    only: Vec<&'static str>,
}

/// A trace in memory, and how it is replayed.
struct Loaded {
    source: &'static Source,
    trace: Trace,
    sizes: Vec<usize>,
    replays: usize,
}

/// One piece of work: a cache at a size, or exact LRU at all of them.
struct Job<'t> {
    loaded: &'t Loaded,
    subject: &'static str,
    sizes: &'t [usize],
}

/// Replays what `arguments` ask for and writes the results.
///
/// # Errors
/// If the traces are not there, a yardstick disagrees with its published figures, or a result
/// cannot be written. A missed goal is printed and is no error.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let request = read_arguments(arguments)?;
    let needs_folder = request.own.is_empty() || !request.names.is_empty();
    let named = || traces::folder(root, request.folder.as_deref());
    let folder = if needs_folder { named()? } else { PathBuf::new() };
    let loaded = load(&request, &folder)?;
    for loaded in loaded.iter().filter(|loaded| !loaded.source.is_own()) {
        reference::check(&folder, loaded.source.name, &loaded.trace)?;
    }
    let mut points = replay(&loaded, &request.only)?;
    if !request.only.is_empty() {
        points.extend(known(root, &loaded, &request.only)?);
    }
    let figures = Figures::new(points);
    let report = report::compose(&loaded, &figures, &command(arguments), &request.only);
    write(&results(root, &request), &loaded, &figures, &report)?;
    println!("\n{}", goals::text(&figures));
    Ok(())
}

fn read_arguments(arguments: &[String]) -> Result<Request> {
    let mut request = Request::default();
    let mut format = "keys";
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = |what: &str| {
            let value = arguments.next();
            value.with_context(|| format!("{argument} takes {what}\n\n{USAGE}"))
        };
        match argument.as_str() {
            "--quick" => request.quick = true,
            "--traces" => request.folder = Some(value("a folder")?.clone()),
            "--format" => format = value("a format")?,
            "--trace" => request.own.push(Source::of_file(value("a file")?, format)?),
            "--only" => {
                let name = value("the name of a cache")?;
                let subject = figures::subjects().find(|subject| subject == name);
                let subject =
                    subject.with_context(|| format!("there is no cache `{name}`\n\n{USAGE}"))?;
                request.only.push(subject);
            }
            name if TRACES.iter().any(|source| source.name == name) => {
                request.names.push(name.to_owned());
            }
            other => bail!("there is no trace or argument `{other}`\n\n{USAGE}"),
        }
    }
    ensure!(
        request.only.is_empty() || request.own.is_empty(),
        "--only goes by results that a trace of your own has none of\n\n{USAGE}"
    );
    Ok(request)
}

/// What the last full run found on these traces, of the caches that are not replayed.
fn known(root: &Path, loaded: &[Loaded], only: &[&str]) -> Result<Vec<Point>> {
    let path = root.join("bench/results/hits/hits.csv");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}, which --only goes by", path.display()))?;
    let mut points = figures::points(&text)?;
    points.retain(|point| {
        let is_loaded = loaded.iter().any(|loaded| loaded.source.name == point.trace);
        is_loaded && !only.contains(&point.subject)
    });
    Ok(points)
}

/// What was typed, but for folders, which are of this machine.
fn command(arguments: &[String]) -> String {
    let mut words = vec!["cargo xtask bench hits"];
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--traces" => {
                arguments.next();
            }
            "--trace" => {
                let file = arguments.next().and_then(|path| Path::new(path).file_name()?.to_str());
                words.extend(["--trace", file.unwrap_or_default()]);
            }
            word => words.push(word),
        }
    }
    words.join(" ")
}

fn load(request: &Request, folder: &Path) -> Result<Vec<Loaded>> {
    let wanted = |source: &&'static Source| {
        let named = request.names.iter().any(|name| name == source.name);
        let all = request.names.is_empty() && request.own.is_empty();
        named || all && (!request.quick || source.is_shorter_than(SHORT))
    };
    let load = |source: &'static Source| {
        let trace = source.load(folder)?;
        let sizes = trace.sizes(&SHARES, source.more_sizes);
        let short = trace.keys.len() < SHORT && !request.quick;
        Ok(Loaded { source, trace, sizes, replays: if short { REPLAYS } else { 1 } })
    };
    let own = request.own.iter().copied();
    TRACES.iter().filter(wanted).chain(own).map(load).collect()
}

fn results(root: &Path, request: &Request) -> PathBuf {
    let full = !request.quick && request.names.is_empty() && request.own.is_empty();
    root.join("bench/results").join(if full { "hits" } else { "latest.hits" })
}

/// All the work, the longest first, so that the cores finish together.
fn jobs<'t>(loaded: &'t [Loaded], only: &[&str]) -> Vec<Job<'t>> {
    let mut jobs = Vec::new();
    for loaded in loaded {
        jobs.push(Job { loaded, subject: EXACT_LRU, sizes: &loaded.sizes });
        for sizes in loaded.sizes.chunks(1) {
            let caches = caches::POLICIES.into_iter().chain(caches::PEERS).chain([OPTIMUM]);
            jobs.extend(caches.map(|subject| Job { loaded, subject, sizes }));
        }
    }
    jobs.retain(|job| only.is_empty() || only.contains(&job.subject));
    jobs.sort_by_key(|job| std::cmp::Reverse(job.loaded.trace.keys.len() * job.loaded.replays));
    jobs
}

/// Replays the caches named in `only`, or all.
fn replay(loaded: &[Loaded], only: &[&str]) -> Result<Vec<Point>> {
    let jobs = jobs(loaded, only);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let points = job.run()?;
            let mut outcomes = outcomes.lock().map_err(|_| anyhow::anyhow!("a replay panicked"))?;
            outcomes.extend(points);
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow::anyhow!("a replay panicked"))?
        })
    })?;
    outcomes.into_inner().map_err(|_| anyhow::anyhow!("a replay panicked"))
}

impl Job<'_> {
    /// What was hit at each size. Nothing, if the engine does not offer the policy.
    fn run(&self) -> Result<Vec<Point>> {
        let Loaded { source, trace, replays, .. } = self.loaded;
        let point = |size: usize, hits: f64| Point {
            trace: source.name,
            size,
            subject: self.subject,
            percent: 100.0 * hits / trace.keys.len() as f64,
        };
        if self.subject == EXACT_LRU {
            let hits = exact::lru(trace, self.sizes);
            let sizes = self.sizes.iter().copied();
            return Ok(sizes.zip(hits).map(|(size, hits)| point(size, hits as f64)).collect());
        }
        let mut points = Vec::new();
        for &size in self.sizes {
            if self.subject == OPTIMUM {
                points.push(point(size, exact::optimum(trace, size) as f64));
                continue;
            }
            let mut sum = 0;
            for _ in 0..*replays {
                let Some(hits) = hits_of(self.subject, size, trace)? else { return Ok(points) };
                sum += hits;
            }
            points.push(point(size, sum as f64 / *replays as f64));
        }
        Ok(points)
    }
}

fn hits_of(subject: &str, size: usize, trace: &Trace) -> Result<Option<u64>> {
    let Some(mut cache) = caches::open(subject, size)? else { return Ok(None) };
    let mut hits = 0;
    for &key in &trace.keys {
        hits += u64::from(cache.access(key)?);
    }
    Ok(Some(hits))
}

fn write(folder: &Path, loaded: &[Loaded], figures: &Figures, report: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    file("hits.md", report)?;
    file("hits.csv", &figures.csv())?;
    for loaded in loaded {
        let picture = plot::draw(loaded, figures)?;
        ensure!(picture.ends_with("</svg>\n"), "the plot of {} is not whole", loaded.source.name);
        file(&format!("{}.svg", loaded.source.name), &picture)?;
    }
    println!("\nwritten: {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_folder_of_the_traces_is_kept_out_of_the_results() {
        assert_eq!(command(&words("--traces /x/y gli")), "cargo xtask bench hits gli");
        let own = command(&words("--trace /x/y/mine.gz"));
        assert_eq!(own, "cargo xtask bench hits --trace mine.gz");
    }

    #[test]
    fn only_a_full_run_replaces_the_results() {
        let folder = |text| results(Path::new("r"), &read_arguments(&words(text)).unwrap());
        assert!(folder("").ends_with("hits"));
        assert!(folder("--traces x").ends_with("bench/results/hits"));
        assert!(folder("--quick").ends_with("latest.hits"));
        assert!(folder("gli").ends_with("latest.hits"));
        assert!(folder("--trace /x/mine.gz").ends_with("latest.hits"));
    }

    #[test]
    fn unknown_arguments_are_refused() {
        assert!(read_arguments(&words("glimpse")).is_err());
        assert!(read_arguments(&words("--traces")).is_err());
        assert!(read_arguments(&words("--only belady")).is_err());
        assert!(read_arguments(&words("--only s3fifo --trace x")).is_err());
        assert!(read_arguments(&words("--trace")).is_err());
        assert!(read_arguments(&words("--format csv --trace x")).is_err());
    }

    #[test]
    fn a_made_up_trace_goes_all_the_way() {
        let mut random = fastrand::Rng::with_seed(1);
        let keys = (0..4_000).map(|_| random.u64(0..300).min(random.u64(0..300)));
        let trace = Trace::of(keys);
        let sizes = trace.sizes(&SHARES, &[]);
        let loaded = [Loaded { source: &TRACES[0], trace, sizes, replays: 2 }];
        let figures = Figures::new(replay(&loaded, &[]).unwrap());
        for &size in &loaded[0].sizes {
            let best = figures.percent(TRACES[0].name, size, OPTIMUM).unwrap();
            // Not moka: a cache that may refuse a key can do better.
            for subject in [EXACT_LRU, "random"] {
                let percent = figures.percent(TRACES[0].name, size, subject).unwrap();
                assert!(percent <= best + 1e-9, "{subject} beats the optimum at {size}");
            }
        }
        let report = report::compose(&loaded, &figures, "test", &[]);
        assert!(report.contains("| exact LRU |") && report.contains("## Must show"));
        let picture = plot::draw(&loaded[0], &figures).unwrap();
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    }
}
