//! What was found: a hit ratio for a trace, a size and a cache.

use std::fmt::Write;

use super::caches::{PEERS, POLICIES};

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
}
