// Reading, writing and removing one key: what goes in comes out, byte for byte, and absence is an answer.

#include <cstring>
#include <string>
#include <type_traits>

#include "check.hpp"

using namespace std::string_view_literals;

TEST(set_then_get) {
    kv::Store store = kv::Store::memory();
    store.set("key", "value");
    std::optional<kv::Value> value = store.get("key");
    CHECK(value.has_value());
    CHECK(value == "value"sv);
    CHECK(value->view() == "value");
    CHECK(value->str() == std::string("value"));
    CHECK(value->size() == 5 && !value->empty());
    CHECK(std::string(value->begin(), value->end()) == "value");
    std::string_view view = *value;
    CHECK(view.data() == value->data());
    CHECK(!store.get("other"));
    CHECK(!store.get_into("other", nullptr, 0));
}

TEST(any_bytes_and_empty) {
    kv::Store store = kv::Store::memory();
    const std::string_view binary("\0\xff\0\n", 4);
    store.set(binary, binary);
    store.set("", "");
    store.set({}, "empty key");
    CHECK(store.get(binary) == binary);
    CHECK(store.get("") == "empty key"sv);
    store.set("empty value", {});
    CHECK(store.get("empty value")->empty());
    CHECK(store.len() == 3);
    const std::string_view half("\0\xff", 2);
    CHECK(!store.exists(half));
}

TEST(overwrite_delete_exists) {
    kv::Store store = kv::Store::memory();
    store.set("key", "one");
    store.set("key", std::string(100000, 'x'));
    CHECK(store.get("key")->size() == 100000);
    CHECK(store.exists("key"));
    CHECK(store.del("key"));
    CHECK(!store.del("key"));
    CHECK(!store.exists("key"));
}

TEST(take_reads_and_removes) {
    kv::Store store = kv::Store::memory();
    store.set("job", "payload");
    CHECK(store.take("job") == "payload"sv);
    CHECK(!store.take("job"));
    CHECK(store.len() == 0);
}

TEST(get_into_copies_whole_values_only) {
    kv::Store store = kv::Store::memory();
    store.set("key", "12345");
    char buffer[8];
    std::memset(buffer, '#', sizeof buffer);
    CHECK(store.get_into("key", buffer, 4) == std::size_t{5});
    CHECK(buffer[0] == '#');
    CHECK(store.get_into("key", buffer, sizeof buffer) == std::size_t{5});
    CHECK(std::string_view(buffer, 6) == "12345#");
    CHECK(store.get_into("key", nullptr, 0) == std::size_t{5});
}

TEST(values_outlive_key_and_store) {
    std::optional<kv::Value> value;
    {
        kv::Store store = kv::Store::memory();
        store.set("key", "kept");
        value = store.get("key");
        store.set("key", "changed");
        store.clear();
        CHECK(value == "kept"sv);
    }
    CHECK(value == "kept"sv);
}

TEST(values_move) {
    static_assert(!std::is_copy_constructible_v<kv::Value>);
    static_assert(std::is_nothrow_move_constructible_v<kv::Value>);
    static_assert(std::is_nothrow_move_assignable_v<kv::Value>);
    kv::Store store = kv::Store::memory();
    store.set("a", "first");
    store.set("b", "second");
    kv::Value a = *store.get("a");
    kv::Value b = std::move(a);
    CHECK(b == "first" && a.empty() && a.view().empty());
    b = *store.get("b");
    CHECK(b == "second" && "second" == b && b != "first" && "first" != b);
    b = std::move(*&b);
    CHECK(b == "second");
    CHECK(kv::Value().info().version == 0);
    CHECK(b == *store.get("b") && b != *store.get("a"));
}

CHECK_MAIN
