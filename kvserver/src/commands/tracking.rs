//! Caches of clients: `CLIENT TRACKING`, `CACHING`, `GETREDIR`, `TRACKINGINFO`.

use super::call::{Call, Outcome};
use super::failure::Failure;
use crate::shared::clients::flag;
use crate::shared::tracking::TrackingMode;

/// Prefixes of one client.
const PREFIXES_MAX: usize = 1024;

/// The words behind `CLIENT TRACKING ON`.
fn read_mode(call: &Call<'_, '_>) -> Result<TrackingMode, Failure> {
    let mut mode = TrackingMode { is_on: true, ..TrackingMode::default() };
    let mut at = 3;
    while at < call.len() {
        let has_more = at + 1 < call.len();
        match call.arg(at).to_ascii_lowercase().as_slice() {
            b"redirect" if has_more => {
                at += 1;
                if mode.redirect != 0 {
                    return Err(Failure::fixed(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                mode.redirect = u64::try_from(call.integer(at)?).unwrap_or(0);
                if call.shared.clients.get(mode.redirect).is_none() {
                    return Err(Failure::fixed(
                        "ERR The client ID you want redirect to does not exist",
                    ));
                }
            }
            b"bcast" => mode.broadcast = true,
            b"optin" => mode.opt_in = true,
            b"optout" => mode.opt_out = true,
            b"noloop" => mode.no_loop = true,
            b"prefix" if has_more => {
                at += 1;
                mode.prefixes.push(call.arg(at).to_vec());
            }
            _ => return Err(Failure::SYNTAX),
        }
        at += 1;
    }
    Ok(mode)
}

/// Turns tracking on or off.
pub fn tracking(call: &mut Call<'_, '_>) -> Outcome {
    if call.is(2, "off") {
        call.shared.tracking.stop(&call.session.client);
        call.shared.find_observers();
        call.session.caching = None;
        call.out.ok();
        return Ok(());
    }
    let mut mode = read_mode(call)?;
    if !call.is(2, "on") {
        return Err(Failure::SYNTAX);
    }
    check(call, &mode)?;
    let before = call.session.client.tracking();
    if mode.broadcast && mode.prefixes.is_empty() && before.prefixes.is_empty() {
        mode.prefixes.push(Vec::new());
    }
    check_overlap(&before, &mode)?;
    let new = mode.prefixes.iter().filter(|prefix| !before.prefixes.contains(prefix)).cloned();
    mode.prefixes = before.prefixes.iter().cloned().chain(new).collect();
    mode.prefixes.dedup();
    call.session.caching = None;
    call.shared.tracking.start(&call.session.client, &mode);
    call.shared.find_observers();
    call.out.ok();
    Ok(())
}

/// Refuses options that do not go together.
fn check(call: &Call<'_, '_>, mode: &TrackingMode) -> Outcome {
    if !mode.broadcast && !mode.prefixes.is_empty() {
        return Err(Failure::fixed("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    let client = &call.session.client;
    if client.has(flag::TRACKING) && client.has(flag::BROADCAST) != mode.broadcast {
        return Err(Failure::fixed(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
        ));
    }
    if mode.broadcast && (mode.opt_in || mode.opt_out) {
        return Err(Failure::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if mode.opt_in && mode.opt_out {
        return Err(Failure::fixed("ERR You can't use both OPTIN and OPTOUT options"));
    }
    let before = client.tracking();
    if (mode.opt_in && before.opt_out) || (mode.opt_out && before.opt_in) {
        return Err(Failure::fixed(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
        ));
    }
    if mode.prefixes.len() > PREFIXES_MAX {
        return Err(Failure::fixed("ERR too many prefixes"));
    }
    Ok(())
}

/// Refuses prefixes of which one begins with another: of a key with both, the client would be told twice.
fn check_overlap(before: &TrackingMode, mode: &TrackingMode) -> Outcome {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (at, prefix) in mode.prefixes.iter().enumerate() {
        for other in before.prefixes.iter().filter(|other| *other != prefix) {
            if overlap(prefix, other) {
                return Err(Failure::new(format!(
                    "ERR Prefix '{}' overlaps with an existing prefix '{}'. Prefixes for a single client must not overlap.",
                    text(prefix),
                    text(other)
                )));
            }
        }
        for other in &mode.prefixes[at + 1..] {
            if overlap(prefix, other) {
                return Err(Failure::new(format!(
                    "ERR Prefix '{}' overlaps with another provided prefix '{}'. Prefixes for a single client must not overlap.",
                    text(prefix),
                    text(other)
                )));
            }
        }
    }
    Ok(())
}

/// Says whether the keys of the next command are cached.
pub fn caching(call: &mut Call<'_, '_>) -> Outcome {
    if !call.session.client.has(flag::TRACKING) {
        return Err(Failure::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    }
    let mode = call.session.client.tracking();
    call.session.caching = Some(match call.arg(2).to_ascii_lowercase().as_slice() {
        b"yes" if mode.opt_in => true,
        b"no" if mode.opt_out => false,
        b"yes" => {
            return Err(Failure::fixed(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
        b"no" => {
            return Err(Failure::fixed(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
        _ => return Err(Failure::SYNTAX),
    });
    call.out.ok();
    Ok(())
}

/// Answers which client is told in the place of this one: 0 for itself, -1 without tracking.
pub fn getredir(call: &mut Call<'_, '_>) -> Outcome {
    let mode = call.session.client.tracking();
    call.out.integer(if mode.is_on { mode.redirect.cast_signed() } else { -1 });
    Ok(())
}

/// Answers how this client is told of keys.
pub fn info(call: &mut Call<'_, '_>) -> Outcome {
    let client = &call.session.client;
    let mode = client.tracking();
    let mut flags = vec![if mode.is_on { "on" } else { "off" }];
    for (is_set, name) in [
        (mode.broadcast, "bcast"),
        (mode.opt_in, "optin"),
        (mode.opt_in && call.session.caching == Some(true), "caching-yes"),
        (mode.opt_out, "optout"),
        (mode.opt_out && call.session.caching == Some(false), "caching-no"),
        (mode.no_loop, "noloop"),
        (client.has(flag::BROKEN_REDIRECT), "broken_redirect"),
    ] {
        if is_set {
            flags.push(name);
        }
    }
    call.out.map(3);
    call.out.bulk(b"flags");
    call.out.set(flags.len());
    flags.iter().for_each(|flag| call.out.bulk(flag.as_bytes()));
    call.out.bulk(b"redirect");
    call.out.integer(if mode.is_on { mode.redirect.cast_signed() } else { -1 });
    call.out.bulk(b"prefixes");
    call.out.array(mode.prefixes.len());
    mode.prefixes.iter().for_each(|prefix| call.out.bulk(prefix));
    Ok(())
}
