// A bug inside libkv, planted: the call fails, the program lives, writes stop, reads go on, and last_fault tells.
// Linked to a libkv that panics when asked to.

#include <string>

#include "check.hpp"

extern "C" void kv_test_plant_panic(const char* function_name);

using namespace std::string_view_literals;

TEST(a_contained_panic_is_an_error) {
    kv::Store store = kv::Store::memory();
    store.set("key", "v");
    CHECK(!store.last_fault());
    kv_test_plant_panic("kv_incr");
    CHECK_THROWS(kv::Status::panic, store.incr("n"));
    CHECK_THROWS(kv::Status::poisoned, store.set("key", "w"));
    CHECK(store.get("key") == "v"sv);

    std::optional<kv::Failure> fault = store.last_fault();
    CHECK(fault && fault->status() == kv::Status::panic);
    CHECK(fault && std::string(fault->message()).find("kv_incr") != std::string::npos);
    kv::Failure moved = std::move(*fault);
    CHECK(std::string(moved.message()).find("kv_incr") != std::string::npos);
    CHECK(kv::Error(moved).status() == kv::Status::panic && kv::Error(moved).what() == std::string(moved.message()));
    store.close();
    CHECK(store.last_fault(std::nothrow).status() == kv::Status::invalid);
}

TEST(slow_calls_carry_the_message_along) {
    kv::Store store = kv::Store::memory();
    kv_test_plant_panic("kv_configure");
    const kv::Result<void> result = store.configure(std::nothrow, "max_entries", 1);
    CHECK(result.status() == kv::Status::panic);
    CHECK(std::string_view(result.message()).find("kv_configure") != std::string_view::npos);
    kv_test_plant_panic("kv_open");
    CHECK_THROWS(kv::Status::panic, kv::Store::memory());
}

CHECK_MAIN
