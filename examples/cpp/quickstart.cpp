// Quickstart for kv.hpp: open, write, read, count, compare and swap, expire.
//
//     c++ -std=c++17 quickstart.cpp $(pkg-config --cflags --libs libkv) -o quickstart

#include <chrono>
#include <iostream>

#include "kv.hpp"

using namespace std::chrono_literals;

int main() {
    // In memory, at most 64 MiB; closed when it goes out of scope. Sizes, durations, numbers and bools all fit.
    kv::Store store = kv::Store::memory(kv::Options().set("max_memory", "64MiB").set("default_ttl", 1h));

    store.set("user:1", "Ada", 30min);
    if (std::optional<kv::Value> user = store.get("user:1")) {
        std::cout << "user:1 is " << user->view() << '\n';
    }
    std::cout << "user:2 is " << (store.exists("user:2") ? "there" : "not there") << '\n';

    store.incr("visits");
    std::cout << "visits: " << store.incr("visits") << '\n';

    // Several at once, in the order asked for.
    for (const std::optional<kv::Value>& value : store.get_many({"user:1", "user:2", "visits"})) {
        std::cout << (value ? value->view() : "(none)") << ' ';
    }
    std::cout << '\n';

    // Compare and swap: stored only if nobody changed it since.
    const std::uint64_t version = store.get("user:1")->info().version;
    const kv::SetOutcome first = store.set("user:1", "Ada L.", kv::SetOptions().if_version(version).keep_ttl());
    const kv::SetOutcome second = store.set("user:1", "Bob", kv::SetOptions().if_version(version));
    std::cout << "first: " << kv::status_name(first.status) << ", second: " << kv::status_name(second.status) << '\n';

    // Time: exact to the millisecond. kv::never takes a deadline away.
    std::cout << "expires within 30 min: " << std::boolalpha << (store.ttl("user:1") <= 30min) << '\n';
    store.expire("user:1", kv::never);
    std::cout << "never expires: " << (store.ttl("user:1") == kv::never) << '\n';

    // Errors are exceptions that say what to do...
    try {
        store.configure("max_entrys", 1000);
    } catch (const kv::Error& error) {
        std::cout << kv::status_name(error.status()) << ": " << error.what() << '\n';
    }
    // ...or values, where exceptions are off or too slow.
    const kv::Result<void> result = store.set(std::nothrow, std::string(100000, 'k'), "key is too long");
    if (!result.ok()) std::cout << result.message() << '\n';
}
