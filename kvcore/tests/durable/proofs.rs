//! Samples of what the example `proof` runs in full.

use crate::rigs::hostile::Corpus;
use crate::rigs::{MODES, lives, nested, sequences, stuck};

#[test]
fn lives_that_end_in_any_way_lose_nothing() {
    (0..600).for_each(lives::run);
}

#[test]
fn short_sequences_survive_a_crash_at_every_call() {
    // Those of one operation, and some of the longer ones.
    let short = (sequences::alphabet().len() * MODES.len()) as u64;
    let crashes: u64 =
        (0..short).chain((short..sequences::count()).step_by(397)).map(sequences::run).sum();
    assert!(crashes > 5_000, "{crashes}");
}

#[test]
fn recovery_that_is_cut_short_ends_the_same() {
    let cuts: u64 = (0..4).map(|seed| nested::run(seed, false)).sum();
    assert!(cuts > 1_000, "{cuts}");
}

#[test]
fn nothing_is_acknowledged_by_a_sync_that_hangs_and_fails() {
    (0..20).for_each(stuck::run);
}

#[test]
fn hostile_bytes_are_refused() {
    let corpus = Corpus::new();
    (0..2_000).for_each(|seed| corpus.run(seed));
}
