// Durations and deadlines. Nothing here depends on how fast the machine is: a deadline is either an hour away
// or waited for until it has passed.

#include <limits>
#include <thread>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

static void wait_until_gone(const kv::Store& store, std::string_view key) {
    while (store.exists(key)) std::this_thread::sleep_for(1ms);
}

TEST(durations_round_up_and_saturate) {
    static_assert(kv::Ttl().ms() == KV_TTL_DEFAULT);
    static_assert(kv::Ttl(5s).ms() == 5000);
    static_assert(kv::Ttl(1ns).ms() == 1);
    static_assert(kv::Ttl(1500us).ms() == 2);
    static_assert(kv::Ttl(std::chrono::duration<double>(0.25)).ms() == 250);
    static_assert(kv::Ttl(0s).ms() == -1);
    static_assert(kv::Ttl(-1h).ms() == -1);
    static_assert(kv::Ttl(std::chrono::hours::min()).ms() == -1);
    static_assert(kv::Ttl(std::chrono::hours::max()).ms() == KV_TTL_NONE);
    static_assert(kv::Ttl(kv::never).ms() == KV_TTL_NONE);
    static_assert(kv::keep_ttl.ms() == KV_TTL_KEEP);
    CHECK(kv::Ttl(std::chrono::duration<double>(std::numeric_limits<double>::infinity())).ms() == KV_TTL_NONE);
    CHECK(kv::Ttl(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())).ms() == -1);
}

TEST(remaining_time) {
    kv::Store store = kv::Store::memory();
    store.set("hour", "v", 1h);
    store.set("forever", "v");
    store.set("never", "v", kv::never);
    const auto left = store.ttl("hour");
    CHECK(left && *left > 0ms && *left <= 1h);
    CHECK(store.ttl("forever") == kv::never);
    CHECK(store.ttl("never") == kv::never);
    CHECK(!store.ttl("absent"));
}

TEST(what_expired_is_gone) {
    kv::Store store = kv::Store::memory();
    store.set("key", "v", 20ms);
    wait_until_gone(store, "key");
    CHECK(!store.get("key") && !store.take("key") && !store.del("key") && !store.ttl("key"));
    CHECK(!store.expire("key", 1h) && !store.persist("key"));
    CHECK(store.set("key", "again", kv::SetOptions().if_absent()));
}

TEST(zero_and_negative_ttl_are_refused_when_setting) {
    kv::Store store = kv::Store::memory();
    CHECK_THROWS(kv::Status::invalid, store.set("key", "v", 0s));
    CHECK_THROWS(kv::Status::invalid, store.set("key", "v", -5s));
    CHECK_THROWS(kv::Status::invalid, store.set("key", "v", kv::SetOptions().ttl(0ms)));
    CHECK(store.len() == 0);
}

TEST(expire_and_persist) {
    kv::Store store = kv::Store::memory();
    store.set("key", "v");
    CHECK(store.expire("key", 1h));
    CHECK(*store.ttl("key") <= 1h);
    CHECK(store.persist("key"));
    CHECK(store.persist("key"));
    CHECK(store.ttl("key") == kv::never);
    CHECK(store.expire("key", 1h) && store.expire("key", kv::never));
    CHECK(store.ttl("key") == kv::never);
    CHECK(store.expire("key", 0s));
    CHECK(!store.exists("key"));
    store.set("key", "v");
    CHECK(store.expire("key", -1h));
    CHECK(!store.exists("key"));
    CHECK(!store.expire("absent", 1h) && !store.persist("absent"));
    CHECK_THROWS(kv::Status::invalid, store.expire("key", {}));
    CHECK_THROWS(kv::Status::invalid, store.expire("key", kv::keep_ttl));
}

TEST(deadlines) {
    kv::Store store = kv::Store::memory();
    const auto now = std::chrono::system_clock::now();
    store.set("key", "v");
    CHECK(store.expire_at("key", now + 1h));
    CHECK(*store.ttl("key") > 0ms && *store.ttl("key") <= 1h + 1s);
    CHECK(store.set("key", "v", kv::SetOptions().expire_at(now + 2h)));
    CHECK(*store.ttl("key") > 1h + 30min);
    CHECK(store.expire_at("key", now - 1h));
    CHECK(!store.exists("key"));
    CHECK(!store.expire_at("key", now + 1h));

    store.set("key", "v");
    CHECK(store.set("key", "too late", kv::SetOptions().expire_at(now - 1s)));
    CHECK(!store.exists("key"));
    store.set("key", "v");
    CHECK(store.set("key", "too late", kv::SetOptions().expire_at(std::chrono::system_clock::time_point())));
    CHECK(!store.exists("key"));
    using Hours = std::chrono::time_point<std::chrono::system_clock, std::chrono::hours>;
    CHECK(store.set("key", "v", kv::SetOptions().expire_at(Hours::max())));
    CHECK(store.ttl("key") == kv::never);
}

TEST(keep_ttl_and_default_ttl) {
    kv::Store store = kv::Store::memory(kv::Options().set("default_ttl", 2h));
    store.set("key", "v", 5min);
    store.set("key", "w", kv::keep_ttl);
    CHECK(*store.ttl("key") <= 5min);
    store.set("key", "w");
    CHECK(*store.ttl("key") > 1h);
    store.set("new", "v", kv::keep_ttl);
    CHECK(*store.ttl("new") > 1h && *store.ttl("new") <= 2h);
    store.set("new", "v", kv::never);
    CHECK(store.ttl("new") == kv::never);
}

TEST(purge_frees_what_expired) {
    kv::Store store = kv::Store::memory(kv::Options().set("cleanup_interval", "1h"));
    for (int i = 0; i < 100; ++i) store.set("key" + std::to_string(i), "v", 1ms);
    store.set("stays", "v");
    for (int i = 0; i < 100; ++i) wait_until_gone(store, "key" + std::to_string(i));
    // On a slow machine the first ones expire while the last are written, and writes free what is due as well.
    CHECK(store.purge_expired() <= 100);
    CHECK(store.purge_expired() == 0);
    CHECK(store.stats().expired == 100 && store.stats().expired_pending == 0);
    CHECK(store.len() == 1);
}

CHECK_MAIN
