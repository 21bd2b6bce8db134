/// kv/batch.hpp: changes that are made all together or not at all. Part of kv.hpp; include that.

#ifndef KV_BATCH_HPP
#define KV_BATCH_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "result.hpp"
#include "value.hpp"

namespace kv {

/// Changes for Store::write, which makes all of them or none. They apply in order: what comes later sees what came
/// before, also of the same key. Keys and values are copied. Move-only; may be written any number of times. What cannot
/// be added (no memory, a TTL that is zero or negative in a set) is remembered, and Store::write fails with that.
/// Threads: as a std::vector.
class Batch {
  public:
    Batch() noexcept : handle_(kv_batch_new()), status_(handle_ != nullptr ? KV_OK : KV_ERR_NO_MEMORY) {}
    Batch(Batch&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), status_(std::exchange(other.status_, KV_ERR_INVALID)) {}
    Batch& operator=(Batch&& other) noexcept {
        Batch taken(std::move(other));
        std::swap(handle_, taken.handle_);
        std::swap(status_, taken.status_);
        return *this;
    }
    ~Batch() { kv_batch_free(handle_); }

    Batch& set(std::string_view key, std::string_view value, Ttl ttl = {}) noexcept {
        return note(kv_batch_set(handle_, key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }
    /// If the condition does not hold, nothing of the batch is done. if_version never holds once the batch has changed
    /// the key.
    Batch& set(std::string_view key, std::string_view value, const SetOptions& options) noexcept {
        return note(
            kv_batch_set_with(handle_, key.data(), key.size(), value.data(), value.size(), &options.native()));
    }
    Batch& del(std::string_view key) noexcept { return note(kv_batch_del(handle_, key.data(), key.size())); }
    /// Zero or less: it is gone at once. kv::never: it does not expire.
    Batch& expire(std::string_view key, Ttl ttl) noexcept {
        const bool is_ttl = ttl.ms() != KV_TTL_DEFAULT && ttl.ms() != KV_TTL_KEEP;
        return note(is_ttl ? kv_batch_expire(handle_, key.data(), key.size(), ttl.ms()) : KV_ERR_INVALID);
    }

    /// The number of changes.
    std::size_t size() const noexcept { return kv_batch_len(handle_); }
    bool empty() const noexcept { return size() == 0; }
    /// Takes all changes out, and forgets what could not be added.
    void clear() noexcept {
        kv_batch_clear(handle_);
        if (handle_ != nullptr) status_ = KV_OK;
    }

  private:
    friend class Store;

    /// The first failure stays.
    Batch& note(kv_status_t status) noexcept {
        if (status_ == KV_OK) status_ = status;
        return *this;
    }

    kv_batch_t* handle_;
    kv_status_t status_;
};

/// What Store::write did: true if it was done. Otherwise a condition did not hold, and nothing was done.
struct BatchOutcome {
    Status status;               ///< ok, or conflict
    std::uint64_t applied;       ///< changes that were made
    std::uint64_t missing;       ///< deletions and new deadlines of keys that were absent
    std::uint64_t failed_index;  ///< with conflict: the first change whose condition did not hold, from 0
    explicit operator bool() const noexcept { return status == Status::ok; }
};

}  // namespace kv

#endif  // KV_BATCH_HPP
