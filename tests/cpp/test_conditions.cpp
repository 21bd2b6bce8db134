// Sets under a condition, deletes at a version, and what an entry says about itself.

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(if_absent_and_if_present) {
    kv::Store store = kv::Store::memory();
    CHECK(store.set("key", "v", kv::SetOptions().if_present()).status == kv::Status::not_found);
    const kv::SetOutcome first = store.set("key", "one", kv::SetOptions().if_absent());
    CHECK(first && first.version > 0);
    const kv::SetOutcome second = store.set("key", "two", kv::SetOptions().if_absent());
    CHECK(!second && second.status == kv::Status::exists && second.version == 0);
    CHECK(store.get("key") == "one"sv);
    CHECK(store.set("key", "three", kv::SetOptions().if_present()));
    CHECK(store.get("key") == "three"sv);
}

TEST(if_version_is_compare_and_swap) {
    kv::Store store = kv::Store::memory();
    CHECK(store.set("key", "v", kv::SetOptions().if_version(1)).status == kv::Status::not_found);
    const std::uint64_t version = store.set("key", "one", kv::SetOptions()).version;
    CHECK(store.get("key")->info().version == version);
    const kv::SetOutcome swapped = store.set("key", "two", kv::SetOptions().if_version(version));
    CHECK(swapped && swapped.version > version);
    CHECK(store.set("key", "three", kv::SetOptions().if_version(version)).status == kv::Status::conflict);
    CHECK(store.get("key") == "two"sv);
}

TEST(del_if) {
    kv::Store store = kv::Store::memory();
    const std::uint64_t version = store.set("key", "v", kv::SetOptions()).version;
    CHECK(store.del_if("key", version + 1) == kv::Status::conflict);
    CHECK(store.del_if("key", version) == kv::Status::ok);
    CHECK(store.del_if("key", version) == kv::Status::not_found);
}

TEST(last_condition_and_last_deadline_count) {
    const kv::SetOptions base = kv::SetOptions().if_version(7).ttl(1h);
    const kv::SetOptions changed = base.if_absent().expire_at(kv::TimePoint(5s));
    CHECK(base.native().condition == KV_IF_VERSION && base.native().version == 7);
    CHECK(base.native().ttl_ms == 3600000 && base.native().expire_at_ms == 0);
    CHECK(changed.native().condition == KV_IF_ABSENT && changed.native().version == 0);
    CHECK(changed.native().ttl_ms == KV_TTL_DEFAULT && changed.native().expire_at_ms == 5000);
    CHECK(changed.keep_ttl().native().ttl_ms == KV_TTL_KEEP && changed.keep_ttl().native().expire_at_ms == 0);
}

TEST(info) {
    kv::Store store = kv::Store::memory(kv::Options().set("entry_stats", true));
    const auto before = std::chrono::system_clock::now() - 1min;
    const auto after = before + 2min;
    store.set("key", "v", 1h);
    static_cast<void>(store.get("key"));
    const kv::ValueInfo info = store.get("key")->info();
    CHECK(info.version > 0 && info.hits > 0);
    CHECK(info.created_at && *info.created_at > before && *info.created_at < after);
    CHECK(info.expire_at && *info.expire_at > before + 1h && *info.expire_at < after + 1h);

    kv::Store plain = kv::Store::memory();
    plain.set("key", "v");
    const kv::ValueInfo bare = plain.get("key")->info();
    CHECK(!bare.created_at && !bare.expire_at && bare.hits == 0);
}

CHECK_MAIN
