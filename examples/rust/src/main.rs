//! What a web service does with libkv: sessions that expire, a rate limit, a lock, and an update that
//! loses no other update. The clock is a manual one, so that an hour passes at once.

use std::time::Duration;

use kvcore::{Clock, Expiry, Options, Result, SetOptions, SetOutcome, Store};

fn main() -> Result<()> {
    // A program that is no demonstration calls Store::memory(options).
    let (clock, time) = Clock::manual(1_800_000_000_000);
    let store = Store::with_clock(Options::new().with("max_memory", "64MiB")?, clock)?;

    // A session lives for an hour after it was last used.
    let hour = Duration::from_secs(3600);
    store.set_with("session:7f3a", "Ada", &SetOptions::default().ttl(hour))?;
    time.advance_ms(3_599_999);
    let user = store.get("session:7f3a")?;
    println!("one millisecond before its deadline: {:?}", user.as_deref().map(text));
    store.expire("session:7f3a", 3_600_000)?;
    time.advance_ms(3_600_000);
    println!("an hour after its last use: {:?}", store.get("session:7f3a")?.as_deref().map(text));

    // Three requests a minute: a counter for each minute, which goes by itself when it is over.
    let minute = time.now_ms() / 60_000;
    let counter = format!("rate:10.0.0.1:{minute}");
    for request in 1..=4 {
        let count = store.incr(&counter, 1, Expiry::AfterMs(60_000))?;
        println!("request {request}: {}", if count <= 3 { "served" } else { "refused" });
    }

    // Only one worker gets the lock, and if it dies the lock goes with its deadline.
    let lock = SetOptions::default().if_absent().ttl(Duration::from_secs(30));
    for worker in ["worker 1", "worker 2"] {
        let got =
            matches!(store.set_with("lock:report", worker, &lock)?, SetOutcome::Stored { .. });
        println!("{worker} {}", if got { "has the lock" } else { "waits" });
    }

    // Read, change, write: refused when somebody else wrote in between, then tried again.
    store.set("cart:1", "apple")?;
    let mut interrupted = false;
    loop {
        let Some(cart) = store.get("cart:1")? else { break };
        let changed = format!("{}, pear", text(&cart));
        if !interrupted {
            store.set("cart:1", "apple, fig")?;
            interrupted = true;
        }
        let unchanged = SetOptions::default().if_version(cart.version());
        match store.set_with("cart:1", &changed, &unchanged)? {
            SetOutcome::Stored { .. } => break println!("cart: {changed}"),
            outcome => println!("{outcome:?}: read again"),
        }
    }

    let stats = store.stats()?;
    println!("{} entries, {} hits, {} misses", stats.entries, stats.hits, stats.misses);
    store.shutdown()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
