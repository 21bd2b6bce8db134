//! What was found: a hit ratio for a trace, a size and a cache.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::caches::{PEERS, POLICIES};
use super::traces::TRACES;

/// What the results call exact LRU.
pub const EXACT_LRU: &str = "exact LRU";

/// What the results call Belady's optimum.
pub const OPTIMUM: &str = "optimum";

/// One hit ratio.
#[derive(Debug, Clone)]
pub struct Point {
    /// The name of the trace.
    pub trace: &'static str,
    /// How many entries the cache may hold.
    pub size: usize,
    /// The policy, the peer or the yardstick.
    pub subject: &'static str,
    /// How many of a hundred accesses hit.
    pub percent: f64,
}

/// Every hit ratio of a run, in the order of [`subjects`] at each trace and size.
#[derive(Debug)]
pub struct Figures(Vec<Point>);

/// The points of a text that [`Figures::csv`] wrote.
///
/// # Errors
/// If it is none, or names a trace or a cache that there is not.
pub fn points(csv: &str) -> Result<Vec<Point>> {
    let point = |line: &str| -> Option<Point> {
        let mut fields = line.split(',');
        let mut next = || fields.next();
        let trace = next()?;
        let trace = TRACES.iter().find(|source| source.name == trace)?.name;
        let size = next()?.parse().ok()?;
        let subject = next()?;
        let subject = subjects().find(|known| *known == subject)?;
        Some(Point { trace, size, subject, percent: next()?.parse().ok()? })
    };
    let lines = csv.lines().skip(1);
    lines.map(|line| point(line).with_context(|| format!("not a result: `{line}`"))).collect()
}

/// Everything that is replayed or computed, in the order of the tables.
pub fn subjects() -> impl Iterator<Item = &'static str> {
    [OPTIMUM, EXACT_LRU].into_iter().chain(POLICIES).chain(PEERS)
}

impl Figures {
    /// Takes the points in any order.
    pub fn new(mut points: Vec<Point>) -> Figures {
        let rank = |point: &Point| subjects().position(|subject| subject == point.subject);
        points.sort_by_key(|point| (point.trace, point.size, rank(point)));
        Figures(points)
    }

    /// The hit ratio of a subject. `None` if it was not replayed.
    pub fn percent(&self, trace: &str, size: usize, subject: &str) -> Option<f64> {
        let same = |p: &&Point| p.trace == trace && p.size == size && p.subject == subject;
        self.0.iter().find(same).map(|point| point.percent)
    }

    /// The points of a subject.
    pub fn of<'f>(&'f self, subject: &'f str) -> impl Iterator<Item = &'f Point> {
        self.0.iter().filter(move |point| point.subject == subject)
    }

    /// Everything, as comma-separated values.
    pub fn csv(&self) -> String {
        let mut text = String::from("trace,size,subject,hit_percent\n");
        for Point { trace, size, subject, percent } in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{trace},{size},{subject},{percent:.3}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_order_and_found_again() {
        let point = |size, subject, percent| Point { trace: "t", size, subject, percent };
        let figures = Figures::new(vec![point(2, "moka", 2.0), point(1, "lru", 1.25)]);
        assert_eq!(
            figures.csv(),
            "trace,size,subject,hit_percent\nt,1,lru,1.250\nt,2,moka,2.000\n"
        );
        assert_eq!(figures.percent("t", 2, "moka"), Some(2.0));
        assert_eq!(figures.percent("t", 2, "lru"), None);
        assert_eq!(figures.of("moka").count(), 1);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let text = "trace,size,subject,hit_percent\ngli,7,exact LRU,12.250\ngli,7,moka,1.500\n";
        assert_eq!(Figures::new(points(text).unwrap()).csv(), text);
        assert!(points("trace,size,subject,hit_percent\nnone,7,moka,1.5\n").is_err());
        assert!(points("trace,size,subject,hit_percent\ngli,7,moka\n").is_err());
    }
}
