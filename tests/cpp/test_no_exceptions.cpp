// Every call as its noexcept overload. Compiled with -fno-exceptions -fno-rtti as well as without, so it may
// use nothing that needs either.

#include <string>
#include <thread>
#include <type_traits>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

// Without exceptions the throwing calls must not exist at all.
template <class S, class = void>
struct ThrowingGet : std::false_type {};
template <class S>
struct ThrowingGet<S, std::void_t<decltype(std::declval<S&>().get("key"))>> : std::true_type {};
static_assert(ThrowingGet<kv::Store>::value == (KV_HPP_EXCEPTIONS != 0));

static_assert(noexcept(kv::Store::memory(std::nothrow)));
static_assert(noexcept(std::declval<kv::Store&>().get(std::nothrow, "key")));
static_assert(noexcept(std::declval<kv::Store&>().get_many(std::nothrow, {"key"})));
static_assert(noexcept(std::declval<kv::Store&>().get_packed(std::nothrow, {"key"})));
static_assert(noexcept(std::declval<kv::Store&>().set_many(
    std::nothrow, std::declval<const std::vector<std::pair<std::string, std::string>>&>())));
static_assert(noexcept(std::declval<kv::Store&>().del_many(std::nothrow, {"key"})));
static_assert(noexcept(std::declval<kv::Store&>().stats_text(std::nothrow)));

static kv::Store open_store() {
    kv::Result<kv::Store> opened = kv::Store::memory(std::nothrow);
    CHECK(opened.ok() && opened.status() == kv::Status::ok);
    return std::move(opened).value();
}

TEST(single_keys) {
    kv::Store store = open_store();
    CHECK(store.set(std::nothrow, "key", "value").ok());
    kv::Result<std::optional<kv::Value>> value = store.get(std::nothrow, "key");
    CHECK(value.ok() && value->has_value() && *value == "value"sv);
    CHECK(store.get(std::nothrow, "absent").ok());
    CHECK(!store.get(std::nothrow, "absent")->has_value());
    char buffer[8];
    CHECK(*store.get_into(std::nothrow, "key", buffer, sizeof buffer) == std::size_t{5});
    CHECK(*store.get_into(std::nothrow, "key", buffer, 1) == std::size_t{5});
    CHECK(!store.get_into(std::nothrow, "absent", buffer, 1)->has_value());
    CHECK(*store.exists(std::nothrow, "key"));
    CHECK(*store.take(std::nothrow, "key") == "value"sv);
    CHECK(!*store.exists(std::nothrow, "key"));
    CHECK(store.del(std::nothrow, "key").ok() && !*store.del(std::nothrow, "key"));
    CHECK(*store.incr(std::nothrow, "n", 5) == 5);
    CHECK(*store.append(std::nothrow, "n", "0") == 2);
    CHECK(*store.incr(std::nothrow, "n") == 51);
}

TEST(conditions) {
    kv::Store store = open_store();
    const kv::Result<kv::SetOutcome> first = store.set(std::nothrow, "key", "1", kv::SetOptions().if_absent());
    CHECK(first.ok() && *first);
    const kv::Result<kv::SetOutcome> second = store.set(std::nothrow, "key", "2", kv::SetOptions().if_absent());
    CHECK(second.ok() && !*second && second->status == kv::Status::exists);
    CHECK(*store.del_if(std::nothrow, "key", first->version + 1) == kv::Status::conflict);
    CHECK(*store.del_if(std::nothrow, "key", first->version) == kv::Status::ok);
}

TEST(times) {
    kv::Store store = open_store();
    CHECK(store.set(std::nothrow, "key", "v", 1h).ok());
    CHECK(**store.ttl(std::nothrow, "key") <= 1h);
    CHECK(*store.persist(std::nothrow, "key"));
    CHECK(*store.ttl(std::nothrow, "key") == kv::never);
    CHECK(*store.expire(std::nothrow, "key", 1min));
    CHECK(*store.expire_at(std::nothrow, "key", std::chrono::system_clock::now() - 1s));
    CHECK(!store.ttl(std::nothrow, "key")->has_value());
    CHECK(store.set(std::nothrow, "key", "v", 0s).status() == kv::Status::invalid);
    CHECK(store.expire(std::nothrow, "key", {}).status() == kv::Status::invalid);
}

TEST(many) {
    kv::Store store = open_store();
    CHECK(store.set(std::nothrow, "a", "1").ok());
    const auto values = store.get_many(std::nothrow, {"a", "b"});
    CHECK(values.ok() && values->size() == 2 && (*values)[0] == "1"sv && !(*values)[1]);
    const std::vector<std::string> keys{"b", "a"};
    CHECK((*store.get_many(std::nothrow, keys))[1] == "1"sv);
    CHECK(*store.len(std::nothrow) == 1);
    CHECK(store.stats(std::nothrow)->entries == 1);
    CHECK(!store.stats_text(std::nothrow)->empty());
    CHECK(*store.purge_expired(std::nothrow) == 0);
    CHECK(store.clear(std::nothrow).ok());
    CHECK(*store.len(std::nothrow) == 0);
    CHECK(!store.last_fault(std::nothrow)->has_value());
    CHECK(store.set_many(std::nothrow, {{"c", "3"}, {"d", "4"}}).ok());
    const kv::Result<kv::PackedValues> packed = store.get_packed(std::nothrow, {"c", "gone"});
    CHECK(packed.ok() && (*packed)[0] == "3"sv && !(*packed)[1]);
    CHECK(*store.del_many(std::nothrow, {"c", "d", "e"}) == 2);
    const std::string long_key(70000, 'k');
    CHECK(store.get_packed(std::nothrow, {std::string_view(long_key)}).status() == kv::Status::too_large);
    CHECK(store.del_many(std::nothrow, {std::string_view(long_key)}).status() == kv::Status::too_large);
}

TEST(batches_and_scans_have_results) {
    kv::Result<kv::Store> store = kv::Store::memory(std::nothrow);
    kv::Batch batch;
    batch.set("a", "1").set("b", "2", kv::SetOptions().if_present());
    const kv::Result<kv::BatchOutcome> refused = store->write(std::nothrow, batch);
    CHECK(refused.ok() && !*refused && refused->failed_index == 1);
    batch.clear();
    batch.set("a", "1").set("b", "2");
    CHECK(store->write(std::nothrow, batch)->applied == 2);
    kv::Result<kv::Scan> scan = store->scan(std::nothrow, kv::ScanOptions().order(kv::Order::desc));
    CHECK(scan.ok());
    CHECK((*scan->next(std::nothrow))->key == "b" && (*scan->next(std::nothrow))->value == "1");
    const kv::Result<std::optional<kv::Entry>> none = scan->next(std::nothrow);
    CHECK(none.ok() && !none->has_value());
}

TEST(failures_carry_a_message) {
    kv::Options options;
    const kv::Result<void> refused = options.set(std::nothrow, "max_entrys", 1);
    CHECK(refused.status() == kv::Status::unsupported && refused.os_code() == 0);
    CHECK(std::string_view(refused.message()).find("max_entries") != std::string_view::npos);
    CHECK(options.set(std::nothrow, "max_entries", 1).ok());
    kv::Result<kv::Store> opened = kv::Store::open(std::nothrow, ":memory:", options);
    CHECK(opened.ok());
    CHECK(opened->set(std::nothrow, "a", "1").ok());
    const kv::Result<void> full = opened->set(std::nothrow, "b", "2");
    CHECK(full.status() == kv::Status::full);
    CHECK(std::string_view(full.message()) == kv::status_message(kv::Status::full));
    CHECK(opened->configure(std::nothrow, "max_entries", 0).ok());
    CHECK(opened->configure(std::nothrow, "max_entries", "x").status() == kv::Status::invalid);
    CHECK(opened->shutdown(std::nothrow).ok());
    CHECK(opened->len(std::nothrow).status() == kv::Status::closed);
    CHECK(opened->close(std::nothrow).ok() && opened->close(std::nothrow).ok());
    kv::Failure moved(kv::Status::io);
    moved = kv::Failure(kv::Status::type);
    CHECK(moved.status() == kv::Status::type && moved.os_code() == 0);
}

CHECK_MAIN
