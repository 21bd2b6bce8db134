//! What took long, and how long commands take (`LATENCY`).

use std::fmt::Write;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Command, Flags, Group, NO_KEYS};
use super::table;
use crate::shared::{Latency, Samples};

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("latency", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("2.8.13", "Events that took long, and how long commands take.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("latency|latest", 2, FLAGS, NO_KEYS, Group::Server, latest)
        .about("2.8.13", "Answers the last time of each event."),
    Command::new("latency|history", 3, FLAGS, NO_KEYS, Group::Server, history)
        .about("2.8.13", "Answers the times of an event."),
    Command::new("latency|histogram", -2, FLAGS, NO_KEYS, Group::Server, histogram)
        .about("7.0.0", "Answers how many calls of commands took how long."),
    Command::new("latency|graph", 3, FLAGS, NO_KEYS, Group::Server, graph)
        .about("2.8.13", "Draws the times of an event."),
    Command::new("latency|doctor", 2, FLAGS, NO_KEYS, Group::Server, doctor)
        .about("2.8.13", "Says which events take long."),
    Command::new("latency|reset", -2, FLAGS, NO_KEYS, Group::Server, reset)
        .about("2.8.13", "Forgets events."),
    Command::new("latency|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::Server, usage)
        .about("2.8.13", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for",
            "    the specified command names.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
        ],
    )
}

fn latest(call: &mut Call<'_, '_>) -> Outcome {
    let all = call.shared.latency.all();
    call.out.array(all.len());
    for (event, samples) in all {
        let (at_s, took_ms) = samples.times.back().copied().unwrap_or_default();
        call.out.array(4);
        call.out.bulk(event.as_bytes());
        call.out.integer(at_s);
        call.out.integer(took_ms.cast_signed());
        call.out.integer(samples.longest_ms.cast_signed());
    }
    Ok(())
}

fn history(call: &mut Call<'_, '_>) -> Outcome {
    let event = call.text(2);
    let all = call.shared.latency.all();
    let times =
        all.into_iter().find(|(known, _)| *known == event).map(|(_, samples)| samples.times);
    let times = times.unwrap_or_default();
    call.out.array(times.len());
    for (at_s, took_ms) in times {
        call.out.array(2);
        call.out.integer(at_s);
        call.out.integer(took_ms.cast_signed());
    }
    Ok(())
}

fn reset(call: &mut Call<'_, '_>) -> Outcome {
    let latency: &Latency = &call.shared.latency;
    let forgotten: usize = match call.len() {
        2 => latency.reset(None),
        _ => (2..call.len()).map(|at| latency.reset(Some(&call.text(at)))).sum(),
    };
    call.out.integer(i64::try_from(forgotten).unwrap_or(i64::MAX));
    Ok(())
}

/// The numbers of the commands whose times are asked for: those that were called, of a command with its
/// subcommands.
fn asked(call: &Call<'_, '_>) -> Vec<usize> {
    let all = || (0..table::count()).collect();
    let named = |position: usize| {
        let name = call.text(position).to_ascii_lowercase();
        let Some(id) = table::find_full(&name) else { return Vec::new() };
        let subcommands = table::get(id).subcommands.iter().map(table::id_of);
        std::iter::once(id).chain(subcommands).collect::<Vec<usize>>()
    };
    let mut ids: Vec<usize> = match call.len() {
        2 => all(),
        _ => (2..call.len()).flat_map(named).collect(),
    };
    ids.retain(|id| call.shared.counters.total(*id).calls > 0);
    ids
}

/// Answers of each command how many calls took no longer than 1, 2, 4 … µs. Bounds that no call needed are
/// left out, as in Redis.
fn histogram(call: &mut Call<'_, '_>) -> Outcome {
    let ids = asked(call);
    call.out.map(ids.len());
    for id in ids {
        let took = call.shared.counters.took(id);
        let mut before = 0;
        let mut rows = Vec::new();
        for (bucket, sum) in took.into_iter().enumerate() {
            if sum > before {
                rows.push((1i64 << bucket, sum));
                before = sum;
            }
        }
        call.out.bulk(table::get(id).name.as_bytes());
        call.out.map(2);
        call.out.bulk(b"calls");
        call.out.integer(before.cast_signed());
        call.out.bulk(b"histogram_usec");
        call.out.map(rows.len());
        for (bound_us, sum) in rows {
            call.out.integer(bound_us);
            call.out.integer(sum.cast_signed());
        }
    }
    Ok(())
}

/// The shortest and the longest of the times that are kept.
fn extremes(samples: &Samples) -> (u64, u64) {
    let times = || samples.times.iter().map(|(_, took_ms)| *took_ms);
    (times().min().unwrap_or(0), times().max().unwrap_or(0))
}

/// Draws times as columns of signs, the oldest left.
fn draw(samples: &Samples) -> String {
    const ROWS: u64 = 4;
    let (least, most) = extremes(samples);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        for (_, took_ms) in &samples.times {
            let height = (took_ms - least) * (ROWS - 1) / (most - least).max(1);
            text.push(match height.cmp(&row) {
                std::cmp::Ordering::Greater => '|',
                std::cmp::Ordering::Equal => '#',
                std::cmp::Ordering::Less => ' ',
            });
        }
        text.push('\n');
    }
    text
}

fn graph(call: &mut Call<'_, '_>) -> Outcome {
    let event = call.text(2);
    let all = call.shared.latency.all();
    let Some((_, samples)) = all.into_iter().find(|(known, _)| *known == event) else {
        return Err(Failure::new(format!("ERR No samples available for event '{event}'")));
    };
    let (low, high) = extremes(&samples);
    let longest = samples.longest_ms;
    let head = format!("{event} - high {high} ms, low {low} ms (all time high {longest} ms)");
    let text = format!("{head}\n{}\n{}", "-".repeat(80), draw(&samples));
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

fn doctor(call: &mut Call<'_, '_>) -> Outcome {
    let threshold_ms = call.shared.settings.latency_ms.load(std::sync::atomic::Ordering::Relaxed);
    let mut text = String::new();
    if threshold_ms == 0 {
        text.push_str(
            "Nothing is observed: set latency-monitor-threshold to the milliseconds that are too many.\n",
        );
    }
    for (event, samples) in call.shared.latency.all() {
        let (low, high) = extremes(&samples);
        // Writing to a string never fails.
        let _ = writeln!(
            text,
            "{event}: {} times in the last seconds that are kept, from {low} to {high} ms; {} ms at worst.",
            samples.times.len(),
            samples.longest_ms
        );
    }
    if text.is_empty() {
        text.push_str("No event took as long as latency-monitor-threshold.\n");
    }
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_drawn_as_columns() {
        let times = [(1, 100), (2, 200), (3, 400)].into_iter().collect();
        let text = draw(&Samples { times, longest_ms: 400 });
        assert_eq!(text, "  #\n  |\n #|\n#||\n");
    }
}
