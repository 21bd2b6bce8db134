/// kv/value.hpp: times, values, and how a value is set. Part of kv.hpp; include that.

#ifndef KV_VALUE_HPP
#define KV_VALUE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "result.hpp"

namespace kv {

// ------------------------------------------------------------------------------------------------------ time

/// Deadlines and creation times: milliseconds since 1970.
using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

/// As a TTL: does not expire. Also what Store::ttl answers for an entry without a deadline.
inline constexpr std::chrono::milliseconds never = std::chrono::milliseconds::max();

/// How long an entry lives. Converts from any duration, rounding up; nothing (`{}`) is the store's `default_ttl`.
/// A duration that is zero or negative is Status::invalid when setting; to expire, it means "gone at once".
class Ttl {
  public:
    constexpr Ttl() noexcept = default;
    template <class Rep, class Period>
    constexpr Ttl(std::chrono::duration<Rep, Period> ttl) noexcept
        : ms_(ttl > ttl.zero() ? detail::to_ms(ttl, true) : -1) {}
    /// Overwriting keeps the deadline that is there; on an absent key it is the store's `default_ttl`.
    static constexpr Ttl keep() noexcept {
        Ttl ttl;
        ttl.ms_ = KV_TTL_KEEP;
        return ttl;
    }
    /// As kv.h takes it.
    constexpr std::int64_t ms() const noexcept { return ms_; }

  private:
    std::int64_t ms_ = KV_TTL_DEFAULT;
};

/// Ttl::keep() by a shorter name.
inline constexpr Ttl keep_ttl = Ttl::keep();

// ---------------------------------------------------------------------------------------------------- values

/// What is known about an entry beside its bytes, at the time it was read.
struct ValueInfo {
    std::uint64_t version;                ///< revision of the key's last change
    std::optional<TimePoint> created_at;  ///< only with the option `entry_stats`
    std::optional<TimePoint> expire_at;   ///< nothing: it does not expire
    std::uint64_t hits;                   ///< approximate; only with `entry_stats`
};

/// The bytes of an entry, as they were when it was read, whatever happens to the key or the store afterwards.
/// Move-only; holds the bytes until it is destroyed. A view of it is valid as long as it is.
class Value {
  public:
    Value() noexcept = default;
    /// Takes over a value of kv.h.
    explicit Value(kv_value_t* handle) noexcept
        : handle_(handle), data_(static_cast<const char*>(kv_value_data(handle))), size_(kv_value_len(handle)) {}
    Value(Value&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, std::size_t{0})) {}
    Value& operator=(Value&& other) noexcept {
        Value taken(std::move(other));
        std::swap(handle_, taken.handle_);
        std::swap(data_, taken.data_);
        std::swap(size_, taken.size_);
        return *this;
    }
    ~Value() {
        if (handle_ != nullptr) kv_value_free(handle_);
    }

    const char* data() const noexcept KV_HPP_LIFETIMEBOUND { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const char* begin() const noexcept KV_HPP_LIFETIMEBOUND { return data_; }
    const char* end() const noexcept KV_HPP_LIFETIMEBOUND { return data_ + size_; }
    std::string_view view() const noexcept KV_HPP_LIFETIMEBOUND { return {data_, size_}; }
    operator std::string_view() const noexcept KV_HPP_LIFETIMEBOUND { return view(); }
    /// A copy.
    std::string str() const { return std::string(view()); }

    /// All zero and empty for a Value that holds nothing.
    ValueInfo info() const noexcept {
        kv_value_info_t info = KV_VALUE_INFO_INIT;
        if (handle_ == nullptr || kv_value_info(handle_, &info) != KV_OK) return {0, {}, {}, 0};
        ValueInfo out{info.version, {}, {}, info.hits};
        if (info.created_at_ms >= 0) out.created_at = TimePoint(std::chrono::milliseconds(info.created_at_ms));
        if (info.expire_at_ms != KV_TTL_NONE) {
            out.expire_at = TimePoint(std::chrono::milliseconds(info.expire_at_ms));
        }
        return out;
    }

    friend bool operator==(const Value& a, const Value& b) noexcept { return a.view() == b.view(); }
    friend bool operator!=(const Value& a, const Value& b) noexcept { return a.view() != b.view(); }
    friend bool operator==(const Value& a, std::string_view b) noexcept { return a.view() == b; }
    friend bool operator!=(const Value& a, std::string_view b) noexcept { return a.view() != b; }
    friend bool operator==(std::string_view a, const Value& b) noexcept { return a == b.view(); }
    friend bool operator!=(std::string_view a, const Value& b) noexcept { return a != b.view(); }

  private:
    kv_value_t* handle_ = nullptr;
    const char* data_ = nullptr;
    std::size_t size_ = 0;
};

// --------------------------------------------------------------------------------------------------- setting

/// Conditions and deadline of a set: `kv::SetOptions().if_absent().ttl(5s)`. Each call returns a changed copy; of
/// two conditions, or two deadlines, the last one counts.
class SetOptions {
  public:
    [[nodiscard]] SetOptions ttl(Ttl ttl) const noexcept { return lives(ttl.ms(), 0); }
    [[nodiscard]] SetOptions keep_ttl() const noexcept { return lives(KV_TTL_KEEP, 0); }
    /// A moment that has passed stores nothing and removes what was there.
    template <class Duration>
    [[nodiscard]] SetOptions expire_at(
        std::chrono::time_point<std::chrono::system_clock, Duration> when) const noexcept {
        // In kv.h 0 means "use the TTL"; for a deadline, all of 1970 and before is equally past.
        const std::int64_t ms = detail::to_ms(when.time_since_epoch(), false);
        return lives(KV_TTL_DEFAULT, ms > 0 ? ms : 1);
    }
    /// Else the outcome is Status::exists.
    [[nodiscard]] SetOptions if_absent() const noexcept { return when(KV_IF_ABSENT, 0); }
    /// Else Status::not_found.
    [[nodiscard]] SetOptions if_present() const noexcept { return when(KV_IF_PRESENT, 0); }
    /// Else Status::conflict; Status::not_found if there is no such key.
    [[nodiscard]] SetOptions if_version(std::uint64_t version) const noexcept { return when(KV_IF_VERSION, version); }

    const kv_set_options_t& native() const noexcept KV_HPP_LIFETIMEBOUND { return options_; }

  private:
    SetOptions lives(std::int64_t ttl_ms, std::int64_t expire_at_ms) const noexcept {
        SetOptions copy(*this);
        copy.options_.ttl_ms = ttl_ms;
        copy.options_.expire_at_ms = expire_at_ms;
        return copy;
    }
    SetOptions when(std::int32_t condition, std::uint64_t version) const noexcept {
        SetOptions copy(*this);
        copy.options_.condition = condition;
        copy.options_.version = version;
        return copy;
    }
    kv_set_options_t options_ = KV_SET_OPTIONS_INIT;
};

/// True if it was stored; otherwise `status` is the condition that did not hold: exists, not_found or conflict.
struct SetOutcome {
    Status status;
    std::uint64_t version;  ///< of the entry that was stored, else 0
    explicit operator bool() const noexcept { return status == Status::ok; }
};

}  // namespace kv

#endif  // KV_VALUE_HPP
