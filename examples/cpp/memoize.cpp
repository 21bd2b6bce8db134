// A cache in front of something slow: look it up, else compute and keep it for a while. Four threads share it.

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "kv.hpp"

using namespace std::chrono_literals;

// Stands for a database query or a page to render.
static std::string slow_square(int n) {
    std::this_thread::sleep_for(1ms);
    return std::to_string(n * n);
}

static std::string cached_square(kv::Store& cache, int n) {
    const std::string key = "square:" + std::to_string(n);
    if (std::optional<kv::Value> hit = cache.get(key)) return hit->str();
    std::string value = slow_square(n);
    cache.set(key, value, 10min);
    return value;
}

int main() {
    // A full cache drops entries instead of refusing new ones.
    kv::Store cache = kv::Store::memory({{"max_entries", "1000"}, {"eviction", "random"}});

    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&cache] {
            for (int i = 0; i < 500; ++i) {
                if (cached_square(cache, i % 50) != std::to_string((i % 50) * (i % 50))) std::abort();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();

    const kv::Stats stats = cache.stats();
    std::printf("%llu lookups, %llu entries, most of them hits: %s\n", static_cast<unsigned long long>(stats.gets),
                static_cast<unsigned long long>(stats.entries), stats.hits > stats.gets / 2 ? "yes" : "no");
}
