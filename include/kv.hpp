/// kv.hpp: libkv for C++17 and later. Header only, on top of kv.h; link the same library.
///
///     kv::Store store = kv::Store::memory(kv::Options().set("max_memory", "64MiB"));
///     store.set("session:42", "alice", std::chrono::minutes(30));
///     if (std::optional<kv::Value> user = store.get("session:42")) {
///         std::cout << user->view() << '\n';
///     }
///
/// Read this first:
///
/// * Keys and values are bytes in a std::string_view. A literal stops at its first NUL byte: write
///   std::string_view("a\0b", 3), or "a\0b"sv, for keys that hold one. All input is copied before a call returns.
/// * "Not there" is an answer, not an error: std::nullopt, false, or a SetOutcome that is false.
/// * Errors. store.get(key) throws kv::Error. store.get(std::nothrow, key) is the same call as a noexcept overload
///   that returns a kv::Result; every call that can fail has both. Compiled with -fno-exceptions, only the
///   second form exists, so forgetting to check is a compile error and not an abort.
/// * Time. A TTL is any std::chrono duration, rounded up to a millisecond; kv::never is "does not expire". A
///   deadline is any system_clock time point, rounded down to one. Nothing expired is ever returned.
/// * Threads. A Store may be used from any number of threads at once, but for moving, closing and destroying
///   it: no call may be running then. A Value may be read from any thread. Options, Result and Failure belong to
///   one thread at a time.
/// * Disk. kv::Store::open("directory", ...) is a store that is there again the next time. A write to it may also fail
///   with Status::no_space (not applied; writes resume by themselves) or io (outcome unknown; the store is poisoned).
/// * fork(). In the child every call on an inherited store fails with Status::forked; open a new one.
/// * A moved-from or closed Store answers Status::invalid.

#ifndef KV_HPP
#define KV_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kv.h"
#include "kv/batch.hpp"
#include "kv/files.hpp"
#include "kv/many.hpp"
#include "kv/options.hpp"
#include "kv/result.hpp"
#include "kv/scan.hpp"
#include "kv/value.hpp"
#include "kv/watch.hpp"

namespace kv {

// ----------------------------------------------------------------------------------------------------- store

/// A store, closed when it goes out of scope. Move-only.
///
/// The first half are the calls that throw, the second half the same calls as noexcept overloads. Any call may fail
/// with Status::closed, forked or panic, a write with Status::poisoned, and one with a key that is too long with
/// Status::too_large; what else it may answer is said beside it.
class Store {
  public:
    Store(Store&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Store& operator=(Store&& other) noexcept {
        Store taken(std::move(other));
        std::swap(handle_, taken.handle_);
        return *this;
    }
    ~Store() { static_cast<void>(kv_close(handle_, nullptr)); }

    /// Takes over a handle of kv.h; null makes a Store that answers Status::invalid.
    static Store adopt(kv_store_t* handle) noexcept { return Store(handle); }
    /// The handle, for calls of kv.h; it stays this object's.
    kv_store_t* native() const noexcept { return handle_; }
    /// Gives the handle up; the caller closes it with kv_close.
    [[nodiscard]] kv_store_t* release() noexcept { return std::exchange(handle_, nullptr); }

#if KV_HPP_EXCEPTIONS
    /// A store that keeps everything in memory.
    [[nodiscard]] static Store memory(const Options& options = Options()) {
        return memory(std::nothrow, options).value();
    }
    /// `location` is a directory, which is made if it is missing and is never parsed, or ":memory:". Text such as
    /// "kv:DIR?name=value&..." and "kv::memory:?name=value&..." carries options, which win over the others. A directory
    /// has one opener at a time. Status::locked, corrupt (what() names the file), full, no_space, io; unsupported also if
    /// libkv is older than this header.
    [[nodiscard]] static Store open(std::string_view location, const Options& options = Options()) {
        return open(std::nothrow, location, options).value();
    }

    /// Stores a value, whatever was there. Status::too_large, full, no_memory; invalid for a TTL that is zero or
    /// negative. If it throws, nothing changed.
    void set(std::string_view key, std::string_view value, Ttl ttl = {}) {
        set(std::nothrow, key, value, ttl).value();
    }
    /// The same under conditions; tells the version stored.
    SetOutcome set(std::string_view key, std::string_view value, const SetOptions& options) {
        return set(std::nothrow, key, value, options).value();
    }
    /// The value, or nothing.
    [[nodiscard]] std::optional<Value> get(std::string_view key) const { return get(std::nothrow, key).value(); }
    /// Copies the value into `buffer` and returns its length, or nothing. If the length is more than `capacity`,
    /// nothing was written. The quickest way to read: no allocation.
    [[nodiscard]] std::optional<std::size_t> get_into(std::string_view key, void* buffer, std::size_t capacity) const {
        return get_into(std::nothrow, key, buffer, capacity).value();
    }
    /// The values in the order of the keys, nothing where there is none. `keys` is any range of what converts to
    /// std::string_view. Each value is current when it is read; together they are no snapshot.
    template <class Keys>
    [[nodiscard]] std::vector<std::optional<Value>> get_many(const Keys& keys) const {
        return get_many(std::nothrow, keys).value();
    }
    [[nodiscard]] std::vector<std::optional<Value>> get_many(std::initializer_list<std::string_view> keys) const {
        return get_many(std::nothrow, keys).value();
    }
    /// The values of many keys in one piece of memory, without a handle each: the quickest way to read many small ones.
    /// `keys` and what holds together are as for get_many. Give the last answer back as `memory` to use it again.
    template <class Keys>
    [[nodiscard]] PackedValues get_packed(const Keys& keys, PackedValues memory = PackedValues()) const {
        return get_packed(std::nothrow, keys, std::move(memory)).value();
    }
    [[nodiscard]] PackedValues get_packed(std::initializer_list<std::string_view> keys,
                                          PackedValues memory = PackedValues()) const {
        return get_packed(std::nothrow, keys, std::move(memory)).value();
    }
    /// Stores many values with one TTL, all or none, in one step; of a key that comes twice the last value stays.
    /// `items` is any container of pairs of what converts to std::string_view, such as a map. Fails as set does, and
    /// then nothing changed.
    template <class Items>
    void set_many(const Items& items, Ttl ttl = {}) {
        set_many(std::nothrow, items, ttl).value();
    }
    void set_many(std::initializer_list<std::pair<std::string_view, std::string_view>> items, Ttl ttl = {}) {
        set_many(std::nothrow, items, ttl).value();
    }
    /// Removes many keys, each by itself, and returns how many were there.
    template <class Keys>
    std::uint64_t del_many(const Keys& keys) {
        return del_many(std::nothrow, keys).value();
    }
    std::uint64_t del_many(std::initializer_list<std::string_view> keys) {
        return del_many(std::nothrow, keys).value();
    }
    /// Makes all changes of a batch, at one moment for whoever reads the store and after a crash, or none of them.
    /// Status::too_large, full, no_memory, invalid: nothing was done.
    BatchOutcome write(const Batch& batch) { return write(std::nothrow, batch).value(); }
    /// Goes through entries while other threads go on. Without `ordered_index` it goes through the whole store, and one
    /// in order sorts in bounded memory.
    [[nodiscard]] Scan scan(const ScanOptions& options = ScanOptions()) const {
        return scan(std::nothrow, options).value();
    }
    /// Reads and removes in one step.
    [[nodiscard]] std::optional<Value> take(std::string_view key) { return take(std::nothrow, key).value(); }
    /// Whether there was one to remove.
    bool del(std::string_view key) { return del(std::nothrow, key).value(); }
    /// Removes it only at this version: Status::ok, not_found or conflict.
    Status del_if(std::string_view key, std::uint64_t version) { return del_if(std::nothrow, key, version).value(); }
    [[nodiscard]] bool exists(std::string_view key) const { return exists(std::nothrow, key).value(); }

    /// Adds to a decimal number and returns the sum. A missing key counts from 0 and gets `ttl` as in set; one
    /// that is there keeps its deadline unless `ttl` is a duration or kv::never. Status::type if the value is no
    /// 64-bit number or the sum would overflow.
    std::int64_t incr(std::string_view key, std::int64_t delta = 1, Ttl ttl = {}) {
        return incr(std::nothrow, key, delta, ttl).value();
    }
    /// Adds bytes to the end and returns the new length. Keeps the deadline; makes a missing key.
    std::size_t append(std::string_view key, std::string_view data) { return append(std::nothrow, key, data).value(); }

    /// Gives it a new TTL; false if there is no such key. Zero or less: it is gone at once. kv::never: as persist.
    bool expire(std::string_view key, Ttl ttl) { return expire(std::nothrow, key, ttl).value(); }
    /// Gives it a deadline; false if there is no such key. A moment that has passed: it is gone at once.
    template <class Duration>
    bool expire_at(std::string_view key, std::chrono::time_point<std::chrono::system_clock, Duration> when) {
        return expire_at(std::nothrow, key, when).value();
    }
    /// Takes the deadline away; false if there is no such key.
    bool persist(std::string_view key) { return persist(std::nothrow, key).value(); }
    /// What is left of its life, kv::never if it has no deadline, nothing if there is no such key.
    [[nodiscard]] std::optional<std::chrono::milliseconds> ttl(std::string_view key) const {
        return ttl(std::nothrow, key).value();
    }

    /// Entries, including those that expired and wait to be freed.
    [[nodiscard]] std::uint64_t len() const { return len(std::nothrow).value(); }
    /// What the store can do, as the sum of KV_CAN_ numbers.
    [[nodiscard]] std::uint64_t capabilities() const { return capabilities(std::nothrow).value(); }
    void clear() { clear(std::nothrow).value(); }
    /// Frees what has expired now instead of in the background; returns how many.
    std::uint64_t purge_expired() { return purge_expired(std::nothrow).value(); }
    [[nodiscard]] Stats stats() const { return stats(std::nothrow).value(); }
    /// The counters of each shard. What belongs to the store as a whole is zero in them.
    [[nodiscard]] std::vector<Stats> shard_stats() const { return shard_stats(std::nothrow).value(); }
    /// How long calls of a kind took, as far as the option `latency` has them timed.
    [[nodiscard]] Latency latency(Timed timed) const { return latency(std::nothrow, timed).value(); }
    /// The counters of the store and of each shard, and what was timed: `format` is "json" or "prometheus".
    [[nodiscard]] std::string stats_text(std::string_view format = "json") const {
        return stats_text(std::nothrow, format).value();
    }

    /// Waits until every write that returned before is on the disk, whatever the option `sync` says. Status::io poisons
    /// the store: close it and open it again. A store in memory has nothing to wait for.
    void sync() { sync(std::nothrow).value(); }
    /// Writes a snapshot, the exact state of one moment, into the store's own directory, while other threads go on.
    /// Status::unsupported for a store in memory; no_space, io: what was there before stays.
    Snapshot snapshot() { return snapshot(std::nothrow).value(); }
    /// The same to a file, which is replaced if it is there; also of a store in memory. Status::invalid for a name that
    /// a store keeps for itself in its directory.
    Snapshot snapshot(std::string_view path) { return snapshot(std::nothrow, path).value(); }
    /// Puts the contents of a snapshot file in the place of the store's contents, while other calls wait. Entries keep
    /// their deadlines and get new versions. Status::corrupt, unsupported, full: nothing changed; a failure of the disk
    /// after that poisons the store, and the disk keeps the old contents.
    void restore(std::string_view path) { restore(std::nothrow, path).value(); }
    /// What opening the store found, as JSON; the members are described at kv_recovery_report in kv.h.
    [[nodiscard]] std::string recovery() const { return recovery(std::nothrow).value(); }

    /// Changes an option that the README's table marks as online.
    /// Watches changes in the order of their revisions, from now on or from an earlier one that is still kept. A watch
    /// never holds up a write.
    [[nodiscard]] Watch watch(const WatchOptions& options = WatchOptions()) {
        return watch(std::nothrow, options).value();
    }
    template <class T>
    void configure(std::string_view name, const T& value) {
        configure(std::nothrow, name, value).value();
    }
    /// What poisoned the store or filled its disk, or nothing.
    [[nodiscard]] std::optional<Failure> last_fault() const { return last_fault(std::nothrow).value(); }
    /// Flushes a store that is on disk and stops the store, safely beside running calls; they and later ones fail with
    /// Status::closed. Idempotent.
    void shutdown() { shutdown(std::nothrow).value(); }
    /// shutdown, then frees the handle, whatever it throws. No other call may be running. Idempotent. In the store's
    /// own removal callback both are Status::invalid and do nothing.
    void close() { close(std::nothrow).value(); }
#endif

    // -------------------------------------------------- the same, without exceptions: a Result each

    [[nodiscard]] static Result<Store> memory(std::nothrow_t, const Options& options = Options()) noexcept {
        return open_text(nullptr, options);
    }
    [[nodiscard]] static Result<Store> open(std::nothrow_t, std::string_view location,
                                            const Options& options = Options()) noexcept {
        return detail::guarded([&]() -> Result<Store> {
            return detail::with_text(location, [&](const char* text) { return open_text(text, options); });
        });
    }

    Result<void> set(std::nothrow_t, std::string_view key, std::string_view value, Ttl ttl = {}) noexcept {
        return detail::done(kv_set(handle_, key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }
    Result<SetOutcome> set(std::nothrow_t, std::string_view key, std::string_view value,
                           const SetOptions& options) noexcept {
        kv_set_result_t result = KV_SET_RESULT_INIT;
        const kv_status_t status = kv_set_with(handle_, key.data(), key.size(), value.data(), value.size(),
                                               &options.native(), &result);
        if (status < 0) return Failure(status, nullptr);
        return SetOutcome{static_cast<Status>(status), status == KV_OK ? result.version : 0};
    }
    Result<std::optional<Value>> get(std::nothrow_t, std::string_view key) const noexcept {
        kv_value_t* value = nullptr;
        const kv_status_t status = kv_get(handle_, key.data(), key.size(), &value);
        return value_or_nothing(status, value);
    }
    Result<std::optional<std::size_t>> get_into(std::nothrow_t, std::string_view key, void* buffer,
                                                std::size_t capacity) const noexcept {
        std::size_t length = 0;
        const kv_status_t status = kv_get_into(handle_, key.data(), key.size(), buffer, capacity, &length);
        if (status == KV_OK || status == KV_SHORT_BUFFER) return std::optional<std::size_t>(length);
        if (status == KV_NOT_FOUND) return std::optional<std::size_t>();
        return Failure(status, nullptr);
    }
    template <class Keys>
    Result<std::vector<std::optional<Value>>> get_many(std::nothrow_t, const Keys& keys) const noexcept {
        using Element = decltype(*std::begin(keys));
        static_assert(std::is_lvalue_reference_v<Element> || std::is_same_v<std::decay_t<Element>, std::string_view>,
                      "the keys must outlive the loop over them: give a container of strings or string_views");
        return detail::guarded([&]() -> Result<std::vector<std::optional<Value>>> {
            std::vector<kv_slice_t> slices;
            for (const std::string_view key : keys) slices.push_back(kv_slice_t{key.data(), key.size()});
            return get_slices(slices);
        });
    }
    Result<std::vector<std::optional<Value>>> get_many(std::nothrow_t tag,
                                                       std::initializer_list<std::string_view> keys) const noexcept {
        return get_many<std::initializer_list<std::string_view>>(tag, keys);
    }
    template <class Keys>
    Result<PackedValues> get_packed(std::nothrow_t, const Keys& keys,
                                    PackedValues memory = PackedValues()) const noexcept {
        return detail::guarded([&]() -> Result<PackedValues> {
            kv_error_t* error = nullptr;
            const kv_status_t status = memory.read(handle_, keys, &error);
            if (status != KV_OK) return Failure(status, error);
            return std::move(memory);
        });
    }
    Result<PackedValues> get_packed(std::nothrow_t tag, std::initializer_list<std::string_view> keys,
                                    PackedValues memory = PackedValues()) const noexcept {
        return get_packed<std::initializer_list<std::string_view>>(tag, keys, std::move(memory));
    }
    template <class Items>
    Result<void> set_many(std::nothrow_t, const Items& items, Ttl ttl = {}) noexcept {
        static_assert(std::is_lvalue_reference_v<decltype(*std::begin(items))>, "give a container of pairs");
        return detail::guarded([&]() -> Result<void> {
            detail::Packed keys, values;
            for (const auto& [key, value] : items) {
                keys.add(key);
                values.add(value);
            }
            kv_error_t* error = nullptr;
            const kv_status_t status = kv_set_packed(handle_, keys.bytes(), keys.lens(), values.bytes(), values.lens(),
                                                     keys.count(), ttl.ms(), &error);
            return detail::done(status, error);
        });
    }
    Result<void> set_many(std::nothrow_t tag,
                          std::initializer_list<std::pair<std::string_view, std::string_view>> items,
                          Ttl ttl = {}) noexcept {
        return set_many<std::initializer_list<std::pair<std::string_view, std::string_view>>>(tag, items, ttl);
    }
    template <class Keys>
    Result<std::uint64_t> del_many(std::nothrow_t, const Keys& keys) noexcept {
        return detail::guarded([&]() -> Result<std::uint64_t> {
            detail::Packed packed;
            packed.assign(keys);
            std::uint64_t count = 0;
            kv_error_t* error = nullptr;
            const kv_status_t status =
                kv_del_packed(handle_, packed.bytes(), packed.lens(), packed.count(), &count, &error);
            if (status != KV_OK) return Failure(status, error);
            return count;
        });
    }
    Result<std::uint64_t> del_many(std::nothrow_t tag, std::initializer_list<std::string_view> keys) noexcept {
        return del_many<std::initializer_list<std::string_view>>(tag, keys);
    }
    Result<BatchOutcome> write(std::nothrow_t, const Batch& batch) noexcept {
        if (batch.status_ != KV_OK) return Failure(batch.status_, nullptr);
        kv_batch_result_t result = KV_BATCH_RESULT_INIT;
        kv_error_t* error = nullptr;
        const kv_status_t status = kv_write(handle_, batch.handle_, &result, &error);
        if (status < 0) return Failure(status, error);
        return BatchOutcome{static_cast<Status>(status), result.applied, result.missing, result.failed_index};
    }
    Result<Scan> scan(std::nothrow_t, const ScanOptions& options = ScanOptions()) const noexcept {
        const kv_scan_options_t native = options.native();
        kv_scan_t* scan = nullptr;
        const kv_status_t status = kv_scan(handle_, &native, &scan);
        if (status != KV_OK) return Failure(status, nullptr);
        return Scan(scan);
    }
    Result<std::optional<Value>> take(std::nothrow_t, std::string_view key) noexcept {
        kv_value_t* value = nullptr;
        const kv_status_t status = kv_take(handle_, key.data(), key.size(), &value);
        return value_or_nothing(status, value);
    }
    Result<bool> del(std::nothrow_t, std::string_view key) noexcept {
        return detail::yes_or(KV_NOT_FOUND, kv_del(handle_, key.data(), key.size()));
    }
    Result<Status> del_if(std::nothrow_t, std::string_view key, std::uint64_t version) noexcept {
        const kv_status_t status = kv_del_if(handle_, key.data(), key.size(), version);
        if (status < 0) return Failure(status, nullptr);
        return static_cast<Status>(status);
    }
    Result<bool> exists(std::nothrow_t, std::string_view key) const noexcept {
        return detail::yes_or(KV_NOT_FOUND, kv_exists(handle_, key.data(), key.size()));
    }
    Result<std::int64_t> incr(std::nothrow_t, std::string_view key, std::int64_t delta = 1, Ttl ttl = {}) noexcept {
        std::int64_t number = 0;
        const kv_status_t status = kv_incr(handle_, key.data(), key.size(), delta, ttl.ms(), &number);
        if (status != KV_OK) return Failure(status, nullptr);
        return number;
    }
    Result<std::size_t> append(std::nothrow_t, std::string_view key, std::string_view data) noexcept {
        std::size_t length = 0;
        const kv_status_t status = kv_append(handle_, key.data(), key.size(), data.data(), data.size(), &length);
        if (status != KV_OK) return Failure(status, nullptr);
        return length;
    }
    /// Ttl{} and keep_ttl are no TTL to expire with: Status::invalid.
    Result<bool> expire(std::nothrow_t, std::string_view key, Ttl ttl) noexcept {
        if (ttl.ms() == KV_TTL_DEFAULT || ttl.ms() == KV_TTL_KEEP) return Failure(Status::invalid);
        return detail::yes_or(KV_NOT_FOUND, kv_expire(handle_, key.data(), key.size(), ttl.ms()));
    }
    template <class Duration>
    Result<bool> expire_at(std::nothrow_t, std::string_view key,
                           std::chrono::time_point<std::chrono::system_clock, Duration> when) noexcept {
        const std::int64_t ms = detail::to_ms(when.time_since_epoch(), false);
        return detail::yes_or(KV_NOT_FOUND, kv_expire_at(handle_, key.data(), key.size(), ms));
    }
    Result<bool> persist(std::nothrow_t, std::string_view key) noexcept {
        return detail::yes_or(KV_NOT_FOUND, kv_persist(handle_, key.data(), key.size()));
    }
    Result<std::optional<std::chrono::milliseconds>> ttl(std::nothrow_t, std::string_view key) const noexcept {
        using Remaining = std::optional<std::chrono::milliseconds>;
        std::int64_t ms = 0;
        const kv_status_t status = kv_ttl(handle_, key.data(), key.size(), &ms);
        if (status == KV_OK) return Remaining(std::chrono::milliseconds(ms));
        if (status == KV_NOT_FOUND) return Remaining();
        return Failure(status, nullptr);
    }

    Result<std::uint64_t> len(std::nothrow_t) const noexcept {
        std::uint64_t count = 0;
        const kv_status_t status = kv_len(handle_, &count);
        if (status != KV_OK) return Failure(status, nullptr);
        return count;
    }
    Result<std::uint64_t> capabilities(std::nothrow_t) const noexcept {
        std::uint64_t capabilities = 0;
        const kv_status_t status = kv_capabilities(handle_, &capabilities);
        if (status != KV_OK) return Failure(status, nullptr);
        return capabilities;
    }
    Result<void> clear(std::nothrow_t) noexcept { return detail::done(kv_clear(handle_)); }
    Result<std::uint64_t> purge_expired(std::nothrow_t) noexcept {
        std::uint64_t count = 0;
        const kv_status_t status = kv_purge_expired(handle_, &count);
        if (status != KV_OK) return Failure(status, nullptr);
        return count;
    }
    Result<Stats> stats(std::nothrow_t) const noexcept {
        Stats stats = KV_STATS_INIT;
        const kv_status_t status = kv_stats(handle_, &stats);
        if (status != KV_OK) return Failure(status, nullptr);
        return stats;
    }
    Result<std::vector<Stats>> shard_stats(std::nothrow_t) const noexcept {
        return detail::guarded([&]() -> Result<std::vector<Stats>> {
            std::vector<Stats> shards;
            Stats stats = KV_STATS_INIT;
            kv_status_t status = KV_OK;
            while ((status = kv_shard_stats(handle_, shards.size(), &stats)) == KV_OK) shards.push_back(stats);
            if (status != KV_NOT_FOUND) return Failure(status, nullptr);
            return shards;
        });
    }
    Result<Latency> latency(std::nothrow_t, Timed timed) const noexcept {
        Latency latency = KV_LATENCY_INIT;
        const kv_status_t status = kv_latency(handle_, static_cast<std::int32_t>(timed), &latency);
        if (status != KV_OK) return Failure(status, nullptr);
        return latency;
    }
    Result<std::string> stats_text(std::nothrow_t, std::string_view format = "json") const noexcept {
        return detail::guarded([&]() -> Result<std::string> {
            return detail::with_text(format, [&](const char* format_text) -> Result<std::string> {
                detail::Text out;
                const kv_status_t status = kv_stats_text(handle_, format_text, &out.text);
                if (status != KV_OK) return Failure(status, nullptr);
                return std::string(out.text);
            });
        });
    }

    Result<void> sync(std::nothrow_t) noexcept {
        kv_error_t* error = nullptr;
        const kv_status_t status = kv_sync(handle_, &error);
        return detail::done(status, error);
    }
    Result<Snapshot> snapshot(std::nothrow_t) noexcept {
        return detail::guarded([&]() -> Result<Snapshot> { return detail::snapshot(handle_, nullptr); });
    }
    Result<Snapshot> snapshot(std::nothrow_t, std::string_view path) noexcept {
        return detail::guarded([&]() -> Result<Snapshot> {
            return detail::with_text(path, [&](const char* text) { return detail::snapshot(handle_, text); });
        });
    }
    Result<void> restore(std::nothrow_t, std::string_view path) noexcept {
        return detail::guarded([&]() -> Result<void> {
            return detail::with_text(path, [&](const char* text) -> Result<void> {
                kv_error_t* error = nullptr;
                const kv_status_t status = kv_restore(handle_, text, &error);
                return detail::done(status, error);
            });
        });
    }
    Result<std::string> recovery(std::nothrow_t) const noexcept {
        return detail::guarded([&]() -> Result<std::string> {
            detail::Text out;
            const kv_status_t status = kv_recovery_report(handle_, &out.text);
            if (status != KV_OK) return Failure(status, nullptr);
            return std::string(out.text);
        });
    }

    [[nodiscard]] Result<Watch> watch(std::nothrow_t, const WatchOptions& options = WatchOptions()) noexcept {
        const kv_watch_options_t native = options.native();
        kv_watch_t* watch = nullptr;
        const kv_status_t status = kv_watch(handle_, &native, &watch);
        if (status != KV_OK) return Failure(status, nullptr);
        return Watch(watch);
    }
    template <class T>
    Result<void> configure(std::nothrow_t, std::string_view name, const T& value) noexcept {
        return Options::with_texts(name, value, [&](const char* name_text, const char* value_text, kv_error_t** error) {
            return kv_configure(handle_, name_text, value_text, error);
        });
    }
    Result<std::optional<Failure>> last_fault(std::nothrow_t) const noexcept {
        kv_error_t* fault = nullptr;
        const kv_status_t status = kv_last_fault(handle_, &fault);
        if (status == KV_OK) return std::optional<Failure>(Failure(kv_error_status(fault), fault));
        if (status == KV_NOT_FOUND) return std::optional<Failure>();
        return Failure(status, nullptr);
    }
    Result<void> shutdown(std::nothrow_t) noexcept {
        kv_error_t* error = nullptr;
        const kv_status_t status = kv_shutdown(handle_, &error);
        return detail::done(status, error);
    }
    Result<void> close(std::nothrow_t) noexcept {
        if (handle_ == nullptr) return {};
        kv_error_t* error = nullptr;
        const kv_status_t status = kv_close(handle_, &error);
        // In the store's own removal callback closing is refused, and the handle stays.
        if (status != KV_ERR_INVALID) handle_ = nullptr;
        return detail::done(status, error);
    }

  private:
    explicit Store(kv_store_t* handle) noexcept : handle_(handle) {}

    static Result<Store> open_text(const char* location, const Options& options) noexcept {
        // Without this, a null handle would quietly mean "all defaults".
        if (options.native() == nullptr) return Failure(Status::no_memory);
        // The library at run time may be newer than this header, but not older.
        if (kv_abi_version() < KV_ABI_VERSION) return Failure(Status::unsupported);
        kv_store_t* store = nullptr;
        kv_error_t* error = nullptr;
        const kv_status_t status = kv_open(location, options.native(), &store, &error);
        if (status != KV_OK) return Failure(status, error);
        return Store(store);
    }
    static Result<std::optional<Value>> value_or_nothing(kv_status_t status, kv_value_t* value) noexcept {
        if (status == KV_OK) return std::optional<Value>(Value(value));
        if (status == KV_NOT_FOUND) return std::optional<Value>();
        return Failure(status, nullptr);
    }
    Result<std::vector<std::optional<Value>>> get_slices(const std::vector<kv_slice_t>& keys) const {
        // Everything that allocates comes before the call, so no value can be lost on the way out.
        std::vector<kv_value_t*> handles(keys.size(), nullptr);
        std::vector<std::optional<Value>> values(keys.size());
        const kv_status_t status = kv_get_many(handle_, keys.data(), keys.size(), handles.data());
        if (status != KV_OK) return Failure(status, nullptr);
        for (std::size_t i = 0; i < handles.size(); ++i) {
            if (handles[i] != nullptr) values[i].emplace(handles[i]);
        }
        return values;
    }

    kv_store_t* handle_;
};

}  // namespace kv

#endif  // KV_HPP
