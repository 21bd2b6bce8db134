//! Publishing and subscribing.

use super::call::{Call, Outcome};
use super::help;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::shared::pubsub::{Kind, PubSub};

const FLAGS: &[Flags] =
    &[Flags::PUBSUB, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::WHILE_SUBSCRIBED];
const PUBLISH: &[Flags] =
    &[Flags::PUBSUB, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::MAY_REPLICATE];
const ASK: &[Flags] = &[Flags::PUBSUB, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("subscribe", -2, FLAGS, NO_KEYS, Group::PubSub, subscribe)
        .about("2.0.0", "Subscribes to channels."),
    Command::new("unsubscribe", -1, FLAGS, NO_KEYS, Group::PubSub, unsubscribe)
        .about("2.0.0", "Ends subscriptions to channels, or to all of them."),
    Command::new("psubscribe", -2, FLAGS, NO_KEYS, Group::PubSub, psubscribe)
        .about("2.0.0", "Subscribes to the channels that patterns describe."),
    Command::new("punsubscribe", -1, FLAGS, NO_KEYS, Group::PubSub, punsubscribe)
        .about("2.0.0", "Ends subscriptions to patterns, or to all of them."),
    Command::new("ssubscribe", -2, FLAGS, NO_KEYS, Group::PubSub, ssubscribe)
        .about("7.0.0", "Subscribes to shard channels."),
    Command::new("sunsubscribe", -1, FLAGS, NO_KEYS, Group::PubSub, sunsubscribe)
        .about("7.0.0", "Ends subscriptions to shard channels, or to all of them."),
    Command::new("publish", 3, PUBLISH, NO_KEYS, Group::PubSub, publish)
        .about("2.0.0", "Gives a message to the subscribers of a channel."),
    Command::new("spublish", 3, PUBLISH, NO_KEYS, Group::PubSub, spublish)
        .about("7.0.0", "Gives a message to the subscribers of a shard channel."),
    Command::new("pubsub", -2, &[], NO_KEYS, Group::PubSub, help::container)
        .about("2.8.0", "What there is to know about subscriptions.")
        .containing(SUBCOMMANDS),
];

static SUBCOMMANDS: &[Command] = &[
    Command::new("pubsub|channels", -2, ASK, NO_KEYS, Group::PubSub, channels)
        .about("2.8.0", "Answers the channels that have subscribers."),
    Command::new("pubsub|numsub", -2, ASK, NO_KEYS, Group::PubSub, numsub)
        .about("2.8.0", "Counts the subscribers of channels."),
    Command::new("pubsub|numpat", 2, ASK, NO_KEYS, Group::PubSub, numpat)
        .about("2.8.0", "Counts the patterns that have subscribers."),
    Command::new("pubsub|shardchannels", -2, ASK, NO_KEYS, Group::PubSub, shardchannels)
        .about("7.0.0", "Answers the shard channels that have subscribers."),
    Command::new("pubsub|shardnumsub", -2, ASK, NO_KEYS, Group::PubSub, shardnumsub)
        .about("7.0.0", "Counts the subscribers of shard channels."),
    Command::new("pubsub|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::PubSub, usage)
        .about("6.2.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    )
}

/// Subscribes to the names of a call, and tells of each.
fn begin(call: &mut Call<'_, '_>, kind: Kind, word: &[u8]) -> Outcome {
    for name in call.args_from(1) {
        call.session.subscribe(call.shared, kind, name);
        answer(call, kind, word, Some(name));
    }
    Ok(())
}

/// Ends the subscriptions to the names of a call, or all of the kind, and tells of each.
fn end(call: &mut Call<'_, '_>, kind: Kind, word: &[u8]) -> Outcome {
    let names: Vec<Vec<u8>> = match call.len() {
        1 => call.session.subscriptions[kind as usize].iter().cloned().collect(),
        _ => call.args_from(1).map(<[u8]>::to_vec).collect(),
    };
    for name in &names {
        call.session.unsubscribe(call.shared, kind, name);
        answer(call, kind, word, Some(name));
    }
    if names.is_empty() {
        answer(call, kind, word, None);
    }
    Ok(())
}

fn answer(call: &mut Call<'_, '_>, kind: Kind, word: &[u8], name: Option<&[u8]>) {
    let count = call.session.subscription_count(kind);
    call.out.push(3);
    call.out.bulk(word);
    call.out.bulk_or_null(name);
    call.out.integer(i64::try_from(count).unwrap_or(i64::MAX));
}

fn subscribe(call: &mut Call<'_, '_>) -> Outcome {
    begin(call, Kind::Channel, b"subscribe")
}

fn unsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    end(call, Kind::Channel, b"unsubscribe")
}

fn psubscribe(call: &mut Call<'_, '_>) -> Outcome {
    begin(call, Kind::Pattern, b"psubscribe")
}

fn punsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    end(call, Kind::Pattern, b"punsubscribe")
}

fn ssubscribe(call: &mut Call<'_, '_>) -> Outcome {
    begin(call, Kind::Shard, b"ssubscribe")
}

fn sunsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    end(call, Kind::Shard, b"sunsubscribe")
}

fn publish(call: &mut Call<'_, '_>) -> Outcome {
    give(call, Kind::Channel)
}

fn spublish(call: &mut Call<'_, '_>) -> Outcome {
    give(call, Kind::Shard)
}

fn give(call: &mut Call<'_, '_>, kind: Kind) -> Outcome {
    let receivers = PubSub::publish(call.shared, kind, call.arg(1), call.arg(2));
    call.out.integer(i64::try_from(receivers).unwrap_or(i64::MAX));
    Ok(())
}

fn names(call: &mut Call<'_, '_>, kind: Kind) -> Outcome {
    let pattern = (call.len() > 2).then(|| call.arg(2));
    let names = call.shared.pubsub.names(kind, pattern);
    call.out.array(names.len());
    names.iter().for_each(|name| call.out.bulk(name));
    Ok(())
}

fn counts(call: &mut Call<'_, '_>, kind: Kind) -> Outcome {
    call.out.array((call.len() - 2) * 2);
    for name in call.args_from(2) {
        let count = call.shared.pubsub.subscribers(kind, name);
        call.out.bulk(name);
        call.out.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn channels(call: &mut Call<'_, '_>) -> Outcome {
    names(call, Kind::Channel)
}

fn numsub(call: &mut Call<'_, '_>) -> Outcome {
    counts(call, Kind::Channel)
}

fn numpat(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.shared.pubsub.count(Kind::Pattern);
    call.out.integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

fn shardchannels(call: &mut Call<'_, '_>) -> Outcome {
    names(call, Kind::Shard)
}

fn shardnumsub(call: &mut Call<'_, '_>) -> Outcome {
    counts(call, Kind::Shard)
}
