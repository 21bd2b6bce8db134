// Options: every way to write a value, and what is refused.

#include <cstring>
#include <string>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(values_of_every_kind) {
    kv::Options options;
    const std::string name = "eviction";
    options.set("max_entries", 1000)
        .set("max_memory", "64MiB")
        .set("metrics", false)
        .set("default_ttl", 90s)
        .set(name, "none"s)
        .set("shards", 4u)
        .set("cleanup_interval", 1500us);
    kv::Store store = kv::Store::memory(options);
    store.set("key", "v");
    CHECK(*store.ttl("key") <= 90s);
    kv::Store list = kv::Store::memory({{"max_entries", "1"}, {"default_ttl", "1h"}});
    list.set("key", "v");
    CHECK(*list.ttl("key") > 1min);
}

TEST(one_options_opens_several) {
    kv::Options options;
    options.set("max_value_bytes", 10);
    kv::Store one = kv::Store::memory(options);
    kv::Store two = kv::Store::memory(options);
    CHECK_THROWS(kv::Status::too_large, one.set("key", "12345678901"));
    CHECK_THROWS(kv::Status::too_large, two.set("key", "12345678901"));
    kv::Options moved = std::move(options);
    kv::Store three = kv::Store::memory(moved);
    CHECK_THROWS(kv::Status::too_large, three.set("key", "12345678901"));
    CHECK_THROWS(kv::Status::no_memory, kv::Store::memory(options));
    CHECK_THROWS(kv::Status::no_memory, options.set("shards", 4));
}

TEST(refusals_name_the_thing_and_the_remedy) {
    kv::Options options;
    try {
        options.set("max_entrys", 5);
        CHECK(false);
    } catch (const kv::Error& error) {
        CHECK(error.status() == kv::Status::unsupported);
        CHECK(std::strstr(error.what(), "max_entrys") != nullptr);
        CHECK(std::strstr(error.what(), "max_entries") != nullptr);
    }
    try {
        options.set("max_entries", "many");
        CHECK(false);
    } catch (const kv::Error& error) {
        CHECK(error.status() == kv::Status::invalid);
        CHECK(std::strstr(error.what(), "max_entries") != nullptr);
        CHECK(std::strstr(error.what(), "many") != nullptr);
    }
    CHECK_THROWS(kv::Status::invalid, options.set("max_entries\0"sv, 5));
    CHECK_THROWS(kv::Status::invalid, options.set("max_entries", "5\0"sv));
}

TEST(configure_changes_online_options_only) {
    kv::Store store = kv::Store::memory();
    store.configure("default_ttl", 1h);
    store.set("key", "v");
    CHECK(*store.ttl("key") <= 1h);
    store.configure("max_entries", 1);
    CHECK_THROWS(kv::Status::full, store.set("other", "v"));
    store.configure("max_entries", "0");
    store.set("other", "v");
    CHECK_THROWS(kv::Status::unsupported, store.configure("no_such_option", 1));
    CHECK_THROWS(kv::Status::invalid, store.configure("default_ttl", "soon"));
}

TEST(a_full_store_refuses) {
    kv::Store store = kv::Store::memory({{"max_entries", "2"}});
    store.set("a", "1");
    store.set("b", "2");
    CHECK_THROWS(kv::Status::full, store.set("c", "3"));
    store.set("a", "overwriting is fine");
    CHECK(store.len() == 2);
}

CHECK_MAIN
