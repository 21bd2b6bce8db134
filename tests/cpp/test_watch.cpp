// Watches from C++: a range of events, waiting with a time limit, cancelling from another thread.

#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

namespace {

TEST(a_range_of_events) {
    kv::Store store = kv::Store::memory();
    kv::Watch watch = store.watch(kv::WatchOptions().prefix("user:").only(kv::Change::set).only(kv::Change::deleted));
    std::thread writer([&] {
        store.set("user:1", "Ada");
        store.set("other", "-");
        store.expire("user:1", 10min);
        store.del("user:1");
        store.set("user:2", "Eve", 10min);
    });
    std::vector<std::string> seen;
    for (const kv::Event& event : watch) {
        CHECK(event.status == kv::Status::ok);
        seen.push_back(std::string(event.key) + "=" + std::string(event.value));
        if (event.key == "user:2") {
            CHECK(event.change == kv::Change::set && event.expire_at.has_value());
            watch.cancel();
        }
    }
    writer.join();
    CHECK((seen == std::vector<std::string>{"user:1=Ada", "user:1=", "user:2=Eve"}));
    CHECK(watch.next().status == kv::Status::done);
}

TEST(what_is_not_a_change) {
    kv::Store store = kv::Store::memory(kv::Options().set("watch_buffer", 2));
    kv::Watch watch = store.watch();
    CHECK(watch.next(1ms).status == kv::Status::timeout);
    CHECK(!watch.next(std::nothrow, 0ms).value());
    for (int n = 0; n < 5; n++) store.set("k", std::to_string(n));
    kv::Event lagged = watch.next();
    CHECK(lagged.status == kv::Status::lagged && lagged.revision == 4 && lagged.lagged == 3);
    CHECK(watch.next().value == "3");
    kv::Watch again = store.watch(kv::WatchOptions().key("k").from_revision(5));
    CHECK(again.next().value == "4");
    store.close();
    CHECK(watch.next(std::nothrow).status() == kv::Status::closed);
}

}  // namespace

CHECK_MAIN
