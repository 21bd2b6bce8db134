//! The results as a page: how they were made, a table for each trace, and what the policies must
//! show.

use super::figures::{Figures, subjects};
use super::{Loaded, REPLAYS, SHORT, goals};
use crate::text;

/// The whole page. `command` made it, and replayed the caches in `only`, or all.
pub fn compose(loaded: &[Loaded], figures: &Figures, command: &str, only: &[&str]) -> String {
    let mut page = introduction(command);
    if !only.is_empty() {
        page.push_str(&format!(
            "* Replayed by this run: {}. The rest is of the last run of all, and does not depend on \
             what has changed.\n",
            only.join(", ")
        ));
    }
    let missing: Vec<_> = subjects().filter(|name| figures.of(name).next().is_none()).collect();
    if !missing.is_empty() {
        page.push_str(&format!(
            "\nNot offered by this version, and left out: {}.\n",
            missing.join(", ")
        ));
    }
    page.push_str(&format!("\n## Must show\n\n{}", goals::text(figures)));
    for loaded in loaded {
        page.push_str(&section(loaded, figures));
    }
    page
}

fn introduction(command: &str) -> String {
    format!(
        "# Hit ratios\n\n\
         Made by `{command}`; every figure is in `hits.csv`. In percent of all accesses, from an \
         empty cache. Each cache is asked `get`, and on a miss `set`, by one thread; sizes are in \
         entries.\n\n\
         * The policies are those of a store in memory with `max_entries`, through the public Rust \
         interface, with as many shards as it chooses. With `ttl` every entry lives an hour, so the \
         oldest goes first.\n\
         * moka and quick_cache are their concurrent caches with default settings; moka does its \
         pending work after every insert, or it would hold more than its limit.\n\
         * exact LRU and the optimum (Belady: what is asked for last goes) are \
         computed from the whole trace, and agree with the published figures beside the traces. The \
         optimum is that of caches which take in every key; moka may refuse one, and can pass it in \
         a tiny cache.\n\
         * A trace under {} accesses is replayed {REPLAYS} times, because hash seeds differ: the \
         mean is shown.\n",
        text::count(SHORT)
    )
}

fn section(loaded: &Loaded, figures: &Figures) -> String {
    let Loaded { source, trace, sizes, .. } = loaded;
    let mut header = vec!["entries".to_owned()];
    header.extend(sizes.iter().map(|&size| text::count(size)));
    let header: Vec<_> = header.iter().map(String::as_str).collect();
    let mut rows = vec![share_row(loaded)];
    for subject in subjects() {
        let percents = sizes.iter().filter_map(|&size| figures.percent(source.name, size, subject));
        let percents: Vec<_> = percents.map(|percent| format!("{percent:.2}")).collect();
        if percents.len() == sizes.len() {
            rows.push([vec![subject.to_owned()], percents].concat());
        }
    }
    format!(
        "\n## {name}\n\n{accesses} accesses to {distinct} keys: {what}.\n\n{table}\n\
         ![Hit ratio of each cache on {name} by size]({name}.svg)\n",
        name = source.name,
        what = source.what,
        accesses = text::count(trace.keys.len()),
        distinct = text::count(trace.distinct),
        table = text::table(&header, &rows),
    )
}

fn share_row(loaded: &Loaded) -> Vec<String> {
    let share = |size: &usize| format!("{} %", share(*size, loaded.trace.distinct));
    [vec!["of all keys".to_owned()], loaded.sizes.iter().map(share).collect()].concat()
}

/// A size in percent of the keys, as short as it can be said.
pub fn share(size: usize, distinct: usize) -> String {
    let percent = 100.0 * size as f64 / distinct as f64;
    let text = format!("{percent:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_short() {
        assert_eq!([share(1, 2), share(5, 1_000), share(395, 1_000)], ["50", "0.5", "39.5"]);
    }
}
