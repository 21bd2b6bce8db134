// incr and append.

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(incr_counts_from_zero) {
    kv::Store store = kv::Store::memory();
    CHECK(store.incr("n") == 1);
    CHECK(store.incr("n", 41) == 42);
    CHECK(store.incr("n", -50) == -8);
    CHECK(store.get("n") == "-8"sv);
    store.set("text", "12");
    CHECK(store.incr("text", 0) == 12);
}

TEST(incr_refuses_what_is_no_number_and_overflow) {
    kv::Store store = kv::Store::memory();
    store.set("key", "twelve");
    CHECK_THROWS(kv::Status::type, store.incr("key"));
    CHECK(store.get("key") == "twelve"sv);
    store.set("big", "9223372036854775807");
    CHECK_THROWS(kv::Status::type, store.incr("big"));
    CHECK(store.incr("big", -1) == INT64_MAX - 1);
}

TEST(incr_and_deadlines) {
    kv::Store store = kv::Store::memory();
    store.incr("n", 1, 1h);
    CHECK(*store.ttl("n") <= 1h);
    store.incr("n");
    CHECK(*store.ttl("n") <= 1h);
    store.incr("n", 1, kv::never);
    CHECK(store.ttl("n") == kv::never);
    CHECK_THROWS(kv::Status::invalid, store.incr("n", 1, 0s));
    CHECK(store.get("n") == "3"sv);
}

TEST(append_grows_and_keeps_the_deadline) {
    kv::Store store = kv::Store::memory();
    CHECK(store.append("log", "one") == 3);
    CHECK(store.append("log", std::string_view("\0two", 4)) == 7);
    CHECK(store.get("log") == "one\0two"sv);
    CHECK(store.append("log", "") == 7);
    store.expire("log", 1h);
    store.append("log", "!");
    CHECK(*store.ttl("log") <= 1h);
}

CHECK_MAIN
