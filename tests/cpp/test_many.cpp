// Calls over many keys: get_many, len, clear, stats.

#include <array>
#include <deque>
#include <string>

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

TEST(stats_text) {
    kv::Store store = kv::Store::memory();
    store.set("key", "value");
    CHECK(store.stats_text().find("\"entries\"") != std::string::npos);
    CHECK(store.stats_text("prometheus").find("# TYPE") != std::string::npos);
    CHECK_THROWS(kv::Status::unsupported, store.stats_text("xml"));
    CHECK_THROWS(kv::Status::invalid, store.stats_text("json\0x"sv));
}

CHECK_MAIN
