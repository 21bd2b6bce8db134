// Calls over many keys: get_many, get_packed, set_many, del_many, len, clear, stats.

#include <array>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(get_many_keeps_order_and_holes) {
    kv::Store store = kv::Store::memory();
    store.set("a", "1");
    store.set("c", "3");
    const std::vector<std::optional<kv::Value>> values = store.get_many({"a", "b", "c", "a"});
    CHECK(values.size() == 4);
    CHECK(values[0] == "1"sv && !values[1] && values[2] == "3"sv && values[3] == "1"sv);
}

TEST(get_many_takes_any_range) {
    kv::Store store = kv::Store::memory();
    store.set("a", "1");
    const std::deque<std::string> strings{"a", "b"};
    const std::array<const char*, 2> literals{"b", "a"};
    const std::string_view views[] = {"a"};
    CHECK(store.get_many(strings)[0] == "1"sv);
    CHECK(store.get_many(literals)[1] == "1"sv);
    CHECK(store.get_many(views)[0] == "1"sv);
    CHECK(store.get_many(std::vector<std::string>()).empty());
}

TEST(get_many_clears_all_on_an_error) {
    kv::Store store = kv::Store::memory();
    store.set("a", "1");
    const std::string long_key(70000, 'k');
    CHECK_THROWS(kv::Status::too_large, store.get_many({"a", long_key}));
}

TEST(get_packed_keeps_order_and_holes) {
    kv::Store store = kv::Store::memory();
    store.set_many({{"a", "1"}, {"empty", ""}, {"", "empty key"}});
    kv::PackedValues values = store.get_packed({"a", "gone", "empty", "", "a"});
    CHECK(values.size() == 5 && !values.empty());
    CHECK(values[0] == "1"sv && !values[1] && values[2] == ""sv && values[3] == "empty key"sv && values[4] == "1"sv);
    // The memory again, for other keys, and too little of it.
    store.set("large", std::string(100000, 'x'));
    values = store.get_packed(std::vector<std::string>{"large", "a"}, std::move(values));
    CHECK(values.size() == 2 && values[0] == std::string(100000, 'x') && values[1] == "1"sv);
    CHECK(store.get_packed(std::vector<std::string>()).empty());
}

TEST(get_packed_of_a_long_key_is_an_error) {
    kv::Store store = kv::Store::memory();
    const std::string long_key(70000, 'k');
    CHECK_THROWS(kv::Status::too_large, store.get_packed({"a", long_key}));
    CHECK_THROWS(kv::Status::too_large, store.del_many({"a", long_key}));
}

TEST(set_many_takes_any_pairs) {
    kv::Store store = kv::Store::memory();
    store.set_many(std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
    store.set_many(std::unordered_map<std::string_view, const char*>{{"c", "3"}}, 1h);
    store.set_many(std::vector<std::pair<const char*, std::string>>{{"d", "4"}, {"d", "5"}});
    store.set_many(std::map<std::string, std::string>());
    CHECK(store.get("a") == "1"sv && store.get("b") == "2"sv && store.get("c") == "3"sv && store.get("d") == "5"sv);
    CHECK(*store.ttl("c") <= 1h && *store.ttl("a") == kv::never);
}

TEST(set_many_stores_all_or_nothing) {
    kv::Store store = kv::Store::memory(kv::Options().set("max_value_bytes", 4).set("max_entries", 2));
    store.set("a", "old");
    CHECK_THROWS(kv::Status::too_large, store.set_many({{"a", "new"}, {"b", "12345"}}));
    CHECK_THROWS(kv::Status::full, store.set_many({{"a", "new"}, {"b", "1"}, {"c", "1"}}));
    CHECK_THROWS(kv::Status::invalid, store.set_many({{"a", "new"}}, -1s));
    CHECK(store.get("a") == "old"sv && store.len() == 1);
}

TEST(del_many_counts) {
    kv::Store store = kv::Store::memory();
    store.set_many({{"a", "1"}, {"b", "2"}, {"c", "3"}});
    const std::deque<std::string> keys{"a", "gone", "b", "a"};
    CHECK(store.del_many(keys) == 2);
    CHECK(store.del_many({"a", "b"}) == 0);
    CHECK(store.del_many(std::vector<std::string>()) == 0);
    CHECK(store.len() == 1);
}

TEST(len_and_clear) {
    kv::Store store = kv::Store::memory();
    for (int i = 0; i < 1000; ++i) store.set(std::to_string(i), "v");
    CHECK(store.len() == 1000);
    store.clear();
    CHECK(store.len() == 0 && !store.exists("1"));
}

TEST(stats) {
    kv::Store store = kv::Store::memory();
    store.set("key", "value", 1h);
    static_cast<void>(store.get("key"));
    static_cast<void>(store.get("absent"));
    store.del("key");
    store.set("four", "12345");
    const kv::Stats stats = store.stats();
    CHECK(stats.entries == 1 && stats.expiring_entries == 0);
    CHECK(stats.key_bytes == 4 && stats.value_bytes == 5);
    CHECK(stats.memory_bytes >= 9);
    CHECK(stats.gets == 2 && stats.hits == 1 && stats.misses == 1);
    CHECK(stats.sets == 2 && stats.deletes == 1);
}

TEST(stats_of_shards) {
    kv::Store store = kv::Store::memory(kv::Options().set("shards", 4));
    for (int i = 0; i < 100; ++i) store.set(std::to_string(i), "v");
    const std::vector<kv::Stats> shards = store.shard_stats();
    std::uint64_t sets = 0;
    for (const kv::Stats& shard : shards) sets += shard.sets;
    CHECK(shards.size() == 4 && sets == 100);
}

TEST(latencies) {
    kv::Store store = kv::Store::memory(kv::Options().set("latency", "full"));
    store.set("key", "value");
    static_cast<void>(store.get("key"));
    static_cast<void>(store.get("absent"));
    CHECK(store.latency(kv::Timed::set).count == 1);
    CHECK(store.latency(kv::Timed::get).count == 2);
    CHECK(store.latency(kv::Timed::sync).count == 0);
    CHECK(store.stats_text().find("\"latency\"") != std::string::npos);
}

TEST(stats_text) {
    kv::Store store = kv::Store::memory();
    store.set("key", "value");
    CHECK(store.stats_text().find("\"entries\"") != std::string::npos);
    CHECK(store.stats_text("prometheus").find("# TYPE") != std::string::npos);
    CHECK_THROWS(kv::Status::unsupported, store.stats_text("xml"));
    CHECK_THROWS(kv::Status::invalid, store.stats_text("json\0x"sv));
}

CHECK_MAIN
