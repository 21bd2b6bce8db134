// Batches and scans.

#include <cstdio>
#include <string>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

static std::vector<std::string> keys(kv::Scan scan) {
    std::vector<std::string> keys;
    for (const kv::Entry& entry : scan) keys.emplace_back(entry.key);
    return keys;
}

TEST(batches_are_written_whole) {
    kv::Store store = kv::Store::memory();
    store.set("old", "1");
    kv::Batch batch;
    CHECK(batch.empty());
    batch.set("a", "1").set("b", "2", 10min).set("lock", "me", kv::SetOptions().if_absent()).del("old").del("gone");
    batch.expire("a", 10min);
    CHECK(batch.size() == 6);
    const kv::BatchOutcome done = store.write(batch);
    CHECK(done && done.applied == 5 && done.missing == 1);
    CHECK(!store.exists("old") && store.ttl("a") != kv::never);

    const kv::BatchOutcome again = store.write(batch);
    CHECK(!again && again.status == kv::Status::conflict && again.failed_index == 2);

    batch.clear();
    CHECK(batch.empty() && store.write(batch));
    batch.set("c", "3", -1s);
    CHECK(store.write(std::nothrow, batch).status() == kv::Status::invalid);
    CHECK(!store.exists("c"));
    kv::Batch other(std::move(batch));
    other.clear();
    other.set("c", "3");
    CHECK(store.write(other) && store.exists("c"));
}

static void check_scans(const char* ordered) {
    kv::Store store = kv::Store::memory(kv::Options().set("ordered_index", ordered));
    for (int n = 0; n < 300; n++) store.set("key:" + std::to_string(1000 + n), std::to_string(n));
    CHECK(keys(store.scan()).size() == 300);
    const kv::ScanOptions last = kv::ScanOptions().prefix("key:").order(kv::Order::desc).limit(2);
    CHECK(keys(store.scan(last)) == (std::vector<std::string>{"key:1299", "key:1298"}));
    const kv::ScanOptions range = kv::ScanOptions().start("key:1100").end("key:1102").order(kv::Order::asc);
    CHECK(keys(store.scan(range)) == (std::vector<std::string>{"key:1100", "key:1101"}));

    kv::Scan scan = store.scan(kv::ScanOptions().prefix("key:1007"));
    const std::optional<kv::Entry> entry = scan.next();
    CHECK(entry && entry->value == "7" && entry->version > 0 && !entry->expire_at);
    CHECK(!scan.next() && !scan.next());
    for (const kv::Entry& only : store.scan(kv::ScanOptions(range).keys_only())) CHECK(only.value.empty());

    kv::Scan orphan = store.scan();
    store.close();
    CHECK(orphan.next(std::nothrow).status() == kv::Status::closed);
}

TEST(scans_give_prefixes_ranges_and_orders) { check_scans("false"); }

TEST(scans_of_an_ordered_index_give_the_same) { check_scans("true"); }

TEST(a_scan_of_one_moment_shows_what_was_there) {
    kv::Store store = kv::Store::memory(kv::Options().set("scan_buffer_bytes", "1KiB"));
    store.set("a", "1");
    store.set("b", "2");
    kv::Scan scan = store.scan(kv::ScanOptions().order(kv::Order::asc).point_in_time());
    store.set("a", "later");
    store.del("b");
    store.set("c", "3");
    std::string found;
    for (const kv::Entry& entry : scan) found += std::string(entry.key) + "=" + std::string(entry.value) + " ";
    CHECK(found == "a=1 b=2 ");
    kv::Scan cleared = store.scan(kv::ScanOptions().point_in_time());
    store.clear();
    CHECK_THROWS(kv::Status::conflict, cleared.next());
}

TEST(a_restore_ends_a_scan) {
    kv::Store store = kv::Store::memory();
    store.set("a", "1");
    store.set("b", "2");
    const std::string path = store.snapshot("test_batch_scan.kvs").path;
    kv::Scan scan = store.scan();
    CHECK(scan.next());
    store.restore(path);
    CHECK_THROWS(kv::Status::conflict, scan.next());
    std::remove(path.c_str());
}

CHECK_MAIN
