// The handle: opening, moving, closing, forking, threads, errors.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <type_traits>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(move_only) {
    static_assert(!std::is_copy_constructible_v<kv::Store>);
    static_assert(std::is_nothrow_move_constructible_v<kv::Store>);
    static_assert(std::is_nothrow_move_assignable_v<kv::Store>);
    static_assert(!std::is_copy_constructible_v<kv::Options>);
    kv::Store a = kv::Store::memory();
    a.set("key", "a");
    kv::Store b = std::move(a);
    CHECK(b.get("key") == "a"sv);
    CHECK_THROWS(kv::Status::invalid, a.set("key", "v"));
    CHECK_THROWS(kv::Status::invalid, a.get("key"));
    a = kv::Store::memory();
    a.set("key", "new");
    b = std::move(a);
    CHECK(b.get("key") == "new"sv);
}

TEST(stores_are_separate) {
    kv::Store a = kv::Store::memory();
    kv::Store b = kv::Store::open(":memory:");
    a.set("key", "a");
    CHECK(!b.exists("key"));
}

TEST(open_refuses_what_it_cannot_do) {
    CHECK_THROWS(kv::Status::invalid, kv::Store::open("a\0b"sv));
    CHECK_THROWS(kv::Status::invalid, kv::Store::memory({{"shards", "3"}}));
}

TEST(shutdown_then_closed) {
    kv::Store store = kv::Store::memory();
    store.set("key", "v");
    store.shutdown();
    store.shutdown();
    CHECK_THROWS(kv::Status::closed, store.get("key"));
    CHECK_THROWS(kv::Status::closed, store.set("key", "v"));
    CHECK_THROWS(kv::Status::closed, store.incr("key"));
    CHECK_THROWS(kv::Status::closed, store.get_many({"key"}));
    CHECK_THROWS(kv::Status::closed, store.get_packed({"key"}));
    CHECK_THROWS(kv::Status::closed, store.set_many({{"key", "v"}}));
    CHECK_THROWS(kv::Status::closed, store.del_many({"key"}));
    CHECK_THROWS(kv::Status::closed, store.stats());
    store.close();
    store.close();
    CHECK_THROWS(kv::Status::invalid, store.len());
}

TEST(handles_cross_to_c_and_back) {
    kv::Store store = kv::Store::memory();
    CHECK(kv_set(store.native(), "c", 1, "v", 1, KV_TTL_NONE) == KV_OK);
    CHECK(store.get("c") == "v"sv);
    kv_store_t* handle = store.release();
    CHECK(store.native() == nullptr);
    kv::Store again = kv::Store::adopt(handle);
    CHECK(again.get("c") == "v"sv);
}

TEST(errors_say_what_happened) {
    kv::Store store = kv::Store::memory();
    const std::string long_key(65536, 'k');
    try {
        store.set(long_key, "v");
        CHECK(false);
    } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()) == kv::status_message(kv::Status::too_large));
    }
    CHECK_THROWS(kv::Status::too_large, store.get(long_key));
    store.set(std::string(65535, 'k'), "v");
    CHECK(!store.last_fault());
    CHECK(std::string(kv::status_name(kv::Status::not_found)) == "KV_NOT_FOUND");
    CHECK(std::string(kv::status_name(static_cast<kv::Status>(12345))) == "KV_UNKNOWN");
    CHECK(kv::is_error(kv::Status::full) && !kv::is_error(kv::Status::conflict));
}

TEST(versions_agree) {
    CHECK(std::string(kv::version()).find('.') != std::string::npos);
    unsigned major = 0, minor = 0, patch = 0;
    CHECK(std::sscanf(kv::version(), "%u.%u.%u", &major, &minor, &patch) == 3);
    CHECK(kv::version_number() == major * 1000000 + minor * 1000 + patch);
}

TEST(threads_share_one_store) {
    kv::Store store = kv::Store::memory();
    constexpr int threads = 4;
    constexpr int rounds = 2000;
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&store, t] {
            for (int i = 0; i < rounds; ++i) {
                const std::string key = std::to_string(t) + ":" + std::to_string(i);
                store.set(key, key, 1h);
                CHECK(store.get(key) == std::string_view(key));
                store.incr("sum");
            }
        });
    }
    for (std::thread& thread : running) thread.join();
    CHECK(store.get("sum") == std::string_view(std::to_string(threads * rounds)));
    CHECK(store.len() == threads * rounds + 1);
}

TEST(shutdown_beside_running_calls) {
    kv::Store store = kv::Store::memory();
    std::thread writer([&store] {
        for (;;) {
            const kv::Result<void> result = store.set(std::nothrow, "key", "v");
            if (result.ok()) continue;
            CHECK(result.status() == kv::Status::closed);
            return;
        }
    });
    while (!store.exists("key")) std::this_thread::yield();
    store.shutdown();
    writer.join();
}

// The first step that goes wrong in the child, or 'k' for none. No checks in here: they would be the parent's too.
static char in_child(kv::Store& store) {
    if (store.get(std::nothrow, "key").status() != kv::Status::forked) return '1';
    if (store.set(std::nothrow, "key", "w").status() != kv::Status::forked) return '2';
#if !defined(KV_TEST_ASAN) && !defined(KV_TEST_VALGRIND)
    // Unlike malloc, the checkers' allocators may wait forever for a thread that the child does not have.
    kv::Result<kv::Store> fresh = kv::Store::memory(std::nothrow);
    if (!fresh.ok() || !fresh->set(std::nothrow, "key", "w").ok()) return '3';
    if (!fresh->close(std::nothrow).ok()) return '4';
    if (store.close(std::nothrow).status() != kv::Status::forked) return '5';
#endif
    return 'k';
}

TEST(a_fork_child_is_told) {
    kv::Store store = kv::Store::memory();
    store.set("key", "v");
    int channel[2];
    CHECK(pipe(channel) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(300); // a child that hangs ends, and is told of
        const char step = in_child(store);
        static_cast<void>(!write(channel[1], &step, 1));
        // Ends without a leak check: what the parent's threads own is not the child's to free.
        raise(SIGKILL);
    }
    close(channel[1]);
    char step = 0;
    CHECK(read(channel[0], &step, 1) == 1);
    CHECK(step == 'k');
    close(channel[0]);
    CHECK(waitpid(child, nullptr, 0) == child);
    CHECK(store.get("key") == "v"sv);
}

CHECK_MAIN
