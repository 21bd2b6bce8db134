// Time: TTLs are durations of any unit, deadlines are time points of the system's clock, exact to the millisecond.

#include <chrono>
#include <iostream>
#include <optional>
#include <thread>

#include "kv.hpp"

using namespace std::chrono_literals;

int main() {
    kv::Store store = kv::Store::memory(kv::Options().set("default_ttl", 1h));
    std::cout << std::boolalpha;

    store.set("session", "data", 30min);
    const std::optional<std::chrono::milliseconds> left = store.ttl("session");
    std::cout << "half an hour at most: " << (left && *left <= 30min && *left > 29min) << '\n';

    store.set("default", "data");
    std::cout << "the default is an hour: " << (*store.ttl("default") > 59min) << '\n';

    store.set("config", "data", kv::never);
    std::cout << "never: " << (store.ttl("config") == kv::never) << '\n';

    // A deadline, instead of a time from now on.
    const auto tomorrow = std::chrono::time_point_cast<std::chrono::hours>(std::chrono::system_clock::now()) + 24h;
    store.set("report", "data", kv::SetOptions().expire_at(tomorrow));
    std::cout << "tomorrow: " << (store.get("report")->info().expire_at == tomorrow) << '\n';
    store.expire_at("report", tomorrow + 24h);

    // What is rounded is rounded up: an entry lives at least as long as was asked for.
    store.set("short", "data", 1us);
    std::this_thread::sleep_for(10ms);
    std::cout << "gone: " << !store.exists("short") << '\n';
    std::cout << "no time left of what is not there: " << !store.ttl("short").has_value() << '\n';
}
