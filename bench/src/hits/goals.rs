//! What the policies must show, and by how much, where and how often they miss it.
//!
//! A goal is a comparison at many points (a trace at a size) with a number to stay above. Invariant:
//! a point counts only if everything it compares was replayed, and a goal without points is never
//! reached, so that a policy the engine does not offer cannot pass.

use std::collections::BTreeMap;

use super::caches::PEERS;
use super::figures::{EXACT_LRU, Figures, OPTIMUM, Point, subjects};
use crate::text;

/// What "within" means for policies that are not exact, in points of hit ratio.
const MARGIN: f64 = 0.5;

/// The trace and size at which the literature looks for a scan-resistant policy.
const GLIMPSE: (&str, usize) = ("gli", 1_000);

/// About half of all accesses.
const GLIMPSE_PERCENT: f64 = 48.0;

/// One trace and size of a goal: positive or zero is reached, negative is missed by that.
#[derive(Debug)]
struct Mark {
    place: String,
    slack: f64,
}

/// Something the policies must show.
#[derive(Debug)]
struct Goal {
    what: String,
    marks: Vec<Mark>,
}

/// The goals as a table, and then every miss.
pub fn text(figures: &Figures) -> String {
    let goals = all(figures);
    let rows: Vec<_> = goals.iter().map(Goal::row).collect();
    let mut text = text::table(&["must show", "reached at", "worst", "verdict"], &rows);
    let mut misses = Vec::new();
    for goal in &goals {
        let missed = goal.marks.iter().filter(|mark| !mark.reached());
        misses
            .extend(missed.map(|mark| {
                [goal.what.clone(), mark.place.clone(), format!("{:.2}", -mark.slack)]
            }));
    }
    if !misses.is_empty() {
        text.push_str("\nEvery miss, in points:\n\n");
        text.push_str(&text::table(&["goal", "where", "missed by"], &misses));
    }
    text
}

fn all(figures: &Figures) -> Vec<Goal> {
    let mut goals = vec![near_lru(figures)];
    for policy in ["s3fifo", "tinylfu"] {
        goals.extend(PEERS.map(|peer| no_worse(figures, policy, peer)));
        goals.extend(PEERS.map(|peer| better_on_most(figures, policy, peer)));
    }
    goals.push(glimpse(figures));
    goals.push(wins_glimpse(figures));
    goals.push(recency(figures));
    goals
}

fn place(point: &Point) -> String {
    format!("{} at {}", point.trace, text::count(point.size))
}

/// A goal at each point of a policy; `slack` compares it with what another one hit there.
fn at_each_point(
    figures: &Figures,
    what: String,
    (policy, other): (&str, &str),
    slack: impl Fn(f64, f64) -> f64,
) -> Goal {
    let mark = |point: &Point| {
        let other = figures.percent(point.trace, point.size, other)?;
        Some(Mark { place: place(point), slack: slack(point.percent, other) })
    };
    Goal { what, marks: figures.of(policy).filter_map(mark).collect() }
}

fn near_lru(figures: &Figures) -> Goal {
    let what = format!("`lru` within {MARGIN} points of exact LRU");
    at_each_point(figures, what, ("lru", EXACT_LRU), |own, exact| MARGIN - (own - exact).abs())
}

fn no_worse(figures: &Figures, policy: &str, peer: &str) -> Goal {
    let what = format!("`{policy}` at least {peer}, within {MARGIN} points");
    at_each_point(figures, what, (policy, peer), |own, peer| own - peer + MARGIN)
}

fn recency(figures: &Figures) -> Goal {
    let what = "`s3fifo` not more than 1 point under exact LRU on corda".to_owned();
    let mut goal = at_each_point(figures, what, ("s3fifo", EXACT_LRU), |own, lru| own - lru + 1.0);
    goal.marks.retain(|mark| mark.place.starts_with("corda "));
    goal
}

/// By traces: the mean over the sizes of each. Traces on which both are equal do not count.
fn better_on_most(figures: &Figures, policy: &str, peer: &str) -> Goal {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for point in figures.of(policy) {
        if let Some(peer) = figures.percent(point.trace, point.size, peer) {
            let sum = sums.entry(point.trace).or_default();
            *sum = (sum.0 + point.percent - peer, sum.1 + 1.0);
        }
    }
    let means = sums.into_values().map(|(sum, sizes)| sum / sizes);
    let differing: Vec<f64> = means.filter(|mean| mean.abs() >= 0.05).collect();
    let better = differing.iter().filter(|mean| **mean > 0.0).count();
    let place = format!("{better} of {} traces that differ", differing.len());
    let slack = better as f64 - (differing.len() / 2 + 1) as f64;
    let marks = if differing.is_empty() { Vec::new() } else { vec![Mark { place, slack }] };
    Goal { what: format!("`{policy}` better than {peer} on most traces"), marks }
}

fn glimpse(figures: &Figures) -> Goal {
    let (trace, size) = GLIMPSE;
    let percent = figures.percent(trace, size, "tinylfu");
    let mark = |percent: f64| Mark {
        place: format!("{trace} at {}: {percent:.2} %", text::count(size)),
        slack: percent - GLIMPSE_PERCENT,
    };
    Goal {
        what: format!("`tinylfu` hits {GLIMPSE_PERCENT} % or more of Glimpse at 1,000"),
        marks: percent.map(mark).into_iter().collect(),
    }
}

fn wins_glimpse(figures: &Figures) -> Goal {
    let (trace, size) = GLIMPSE;
    let own = figures.percent(trace, size, "tinylfu");
    let others = subjects().filter(|subject| ![OPTIMUM, "tinylfu"].contains(subject));
    let marks = others.filter_map(|other| {
        let slack = own? - figures.percent(trace, size, other)?;
        Some(Mark { place: format!("{trace} at {}, against {other}", text::count(size)), slack })
    });
    Goal { what: "`tinylfu` wins Glimpse at 1,000".to_owned(), marks: marks.collect() }
}

impl Mark {
    fn reached(&self) -> bool {
        self.slack >= 0.0
    }
}

impl Goal {
    fn reached(&self) -> bool {
        !self.marks.is_empty() && self.marks.iter().all(Mark::reached)
    }

    fn row(&self) -> [String; 4] {
        let reached = self.marks.iter().filter(|mark| mark.reached()).count();
        let worst = self.marks.iter().min_by(|a, b| a.slack.total_cmp(&b.slack));
        let verdict = match (self.reached(), worst) {
            (true, _) => "reached".to_owned(),
            (false, Some(worst)) => format!("missed by {:.2}", -worst.slack),
            (false, None) => "not replayed".to_owned(),
        };
        let worst = worst.map_or_else(String::new, |mark| mark.place.clone());
        [self.what.clone(), format!("{reached} of {}", self.marks.len()), worst, verdict]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(points: &[(&'static str, &'static str, f64)]) -> Figures {
        let point = |&(trace, subject, percent)| Point { trace, size: 1_000, subject, percent };
        Figures::new(points.iter().map(point).collect())
    }

    fn verdict(goal: &Goal) -> String {
        goal.row()[3].clone()
    }

    #[test]
    fn lru_may_be_half_a_point_off_both_ways() {
        let at = |percent| figures(&[("cs", "lru", percent), ("cs", EXACT_LRU, 20.0)]);
        assert_eq!(verdict(&near_lru(&at(20.5))), "reached");
        assert_eq!(verdict(&near_lru(&at(20.75))), "missed by 0.25");
        assert_eq!(verdict(&near_lru(&at(19.0))), "missed by 0.50");
    }

    #[test]
    fn what_was_not_replayed_is_not_reached() {
        for goal in all(&figures(&[("cs", EXACT_LRU, 20.0), ("gli", "moka", 1.0)])) {
            assert_eq!(verdict(&goal), "not replayed", "{}", goal.what);
        }
    }

    #[test]
    fn most_is_more_than_half_of_the_traces_that_differ() {
        let with = |other| {
            figures(&[
                ("a", "s3fifo", 2.0),
                ("a", "moka", 1.0),
                ("b", "s3fifo", other),
                ("b", "moka", 1.0),
            ])
        };
        assert!(better_on_most(&with(1.01), "s3fifo", "moka").reached());
        assert!(!better_on_most(&with(0.5), "s3fifo", "moka").reached());
    }

    #[test]
    fn glimpse_is_won_against_everything_but_the_optimum() {
        let own = ("gli", "tinylfu", 50.0);
        let won = figures(&[own, ("gli", OPTIMUM, 53.0), ("gli", "moka", 49.0)]);
        assert!(wins_glimpse(&won).reached() && glimpse(&won).reached());
        let lost = figures(&[own, ("gli", "moka", 51.0)]);
        assert_eq!(verdict(&wins_glimpse(&lost)), "missed by 1.00");
    }

    #[test]
    fn misses_are_listed_with_trace_and_size() {
        let text = text(&figures(&[("corda", "s3fifo", 1.0), ("corda", EXACT_LRU, 33.0)]));
        assert!(text.contains("| corda at 1,000 | 31.00 |"), "{text}");
    }
}
