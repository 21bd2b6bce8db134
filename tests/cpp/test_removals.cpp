// Removal callbacks: what they are told, what they may call, what they throw, and when they are destroyed.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "check.hpp"

namespace {

/// What callbacks were told, from whichever thread.
class Record {
  public:
    void add(const kv::Removal& removal) {
        const std::lock_guard<std::mutex> guard(lock_);
        text_ += std::to_string(static_cast<std::uint32_t>(removal.cause));
        text_ += ' ';
        text_ += removal.key;
        text_ += '=';
        text_ += removal.value;
        text_ += '\n';
        ++count_;
        moved_.notify_all();
    }
    void wait_for(int count) {
        std::unique_lock<std::mutex> guard(lock_);
        moved_.wait(guard, [&] { return count_ >= count; });
    }
    std::string text() {
        const std::lock_guard<std::mutex> guard(lock_);
        return text_;
    }

  private:
    std::mutex lock_;
    std::condition_variable moved_;
    std::string text_;
    int count_ = 0;
};

}  // namespace

TEST(every_cause_is_told) {
    Record record;
    {
        kv::Store store = kv::Store::memory(kv::Options()
                                                .set("eviction", "random")
                                                .on_remove(kv::Causes::all(), [&](const kv::Removal& removal) {
                                                    record.add(removal);
                                                }));
        store.set("a", "1");
        store.set("a", "2");
        store.del("a");
        store.set("b", "3", std::chrono::milliseconds(1));
        record.wait_for(3);
        store.set("c", "4");
        store.configure("max_entries", 1);
        store.set("d", "");
        store.clear();
        store.set("closing", "tells nothing");
    }
    CHECK(record.text() == "32 a=1\n2 a=2\n4 b=3\n8 c=4\n16 d=\n");
}

TEST(only_the_causes_asked_for) {
    Record record;
    kv::Options options;
    options.on_remove(kv::Cause::cleared | kv::Cause::deleted,
                      [&](const kv::Removal& removal) { record.add(removal); });
    kv::Store store = kv::Store::memory(options);
    store.set("a", "1");
    store.set("a", "2");
    store.clear();
    store.close();
    CHECK(record.text() == "16 a=2\n");
}

TEST(it_may_call_its_store_but_not_close_it) {
    Record record;
    kv::Store* opened = nullptr;
    kv::Store store = kv::Store::memory(kv::Options().on_remove(kv::Cause::deleted, [&](const kv::Removal& removal) {
        if (removal.key == "k") {
            opened->set("copy", removal.value);
            CHECK_THROWS(kv::Status::invalid, opened->shutdown());
            CHECK_THROWS(kv::Status::invalid, opened->close());
            opened->del("copy");
        }
        record.add(removal);
    }));
    opened = &store;
    store.set("k", "v");
    store.del("k");
    record.wait_for(2);
    store.close();
    CHECK(record.text() == "2 k=v\n2 copy=v\n");
}

TEST(what_it_throws_ends_one_call_only) {
    Record record;
    kv::Store store = kv::Store::memory(kv::Options().on_remove(kv::Cause::deleted, [&](const kv::Removal& removal) {
        record.add(removal);
        if (removal.key == "a") throw std::runtime_error("planted");
        if (removal.key == "b") throw 7;
    }));
    for (const char* key : {"a", "b", "c"}) {
        store.set(key, "");
        store.del(key);
    }
    store.close();
    CHECK(record.text() == "2 a=\n2 b=\n2 c=\n");
}

TEST(the_callable_is_destroyed_once_nobody_needs_it) {
    auto held = std::make_shared<int>(1);
    // Move-only, so that nothing can have copied it.
    auto callback = [held, only = std::make_unique<int>(2)](const kv::Removal&) { static_cast<void>(only); };
    std::optional<kv::Options> options(std::in_place);
    options->on_remove(kv::Causes::all(), std::move(callback));
    CHECK(held.use_count() == 2);
    kv::Store store = kv::Store::memory(*options);
    options.reset();
    CHECK(held.use_count() == 2);
    store.close();
    CHECK(held.use_count() == 1);

    kv::Options replaced;
    replaced.on_remove(kv::Cause::expired, [held](const kv::Removal&) {});
    replaced.on_remove(kv::Cause::expired, [](const kv::Removal&) {});
    CHECK(held.use_count() == 1);
}

CHECK_MAIN
