/// kv/result.hpp: statuses, errors, and what a call answers. Part of kv.hpp; include that.

#ifndef KV_RESULT_HPP
#define KV_RESULT_HPP

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../kv.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define KV_HPP_EXCEPTIONS 1
#else
#define KV_HPP_EXCEPTIONS 0
#endif

// Lets clang warn about a view that outlives its Value.
#if defined(__clang__)
#define KV_HPP_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define KV_HPP_LIFETIMEBOUND
#endif

namespace kv {

// ---------------------------------------------------------------------------------------------------- status

/// What a call answered. Zero is success, positive is an expected outcome, negative an error. The numbers are
/// those of kv.h and never change.
enum class Status : std::int32_t {
    // Outcomes.
    ok = KV_OK, not_found = KV_NOT_FOUND, exists = KV_EXISTS, conflict = KV_CONFLICT, done = KV_DONE,
    timeout = KV_TIMEOUT, short_buffer = KV_SHORT_BUFFER, lagged = KV_LAGGED,
    // Errors.
    invalid = KV_ERR_INVALID, too_large = KV_ERR_TOO_LARGE, full = KV_ERR_FULL, type = KV_ERR_TYPE,
    no_space = KV_ERR_NO_SPACE, io = KV_ERR_IO, corrupt = KV_ERR_CORRUPT, locked = KV_ERR_LOCKED,
    closed = KV_ERR_CLOSED, poisoned = KV_ERR_POISONED, unsupported = KV_ERR_UNSUPPORTED,
    forked = KV_ERR_FORKED, no_memory = KV_ERR_NO_MEMORY, panic = KV_ERR_PANIC,
    unavailable = KV_ERR_UNAVAILABLE, cross_slot = KV_ERR_CROSS_SLOT
};

/// True for the negative ones.
constexpr bool is_error(Status status) noexcept { return static_cast<std::int32_t>(status) < 0; }
/// "KV_NOT_FOUND"; "KV_UNKNOWN" for a number that is none of the above. A static string.
inline const char* status_name(Status status) noexcept {
    return kv_status_name(static_cast<kv_status_t>(status));
}
/// What happened and what to do about it. A static string.
inline const char* status_message(Status status) noexcept {
    return kv_status_message(static_cast<kv_status_t>(status));
}
/// Version of the library that runs, "1.2.3"; and 1002003 for it.
inline const char* version() noexcept { return kv_version(); }
inline std::uint32_t version_number() noexcept { return kv_version_number(); }

// ---------------------------------------------------------------------------------------------------- errors

/// A status, with what the library had to say about it. Move-only. The message lives as long as the object.
class Failure {
  public:
    explicit Failure(Status status = Status::ok, kv_error_t* detail = nullptr) noexcept
        : detail_(detail), status_(status) {}
    /// As it comes from a C call: takes over `detail`, which may be null.
    Failure(kv_status_t status, kv_error_t* detail) noexcept : Failure(static_cast<Status>(status), detail) {}
    Failure(Failure&& other) noexcept
        : detail_(std::exchange(other.detail_, nullptr)), status_(other.status_) {}
    Failure& operator=(Failure&& other) noexcept {
        std::swap(detail_, other.detail_);
        status_ = other.status_;
        return *this;
    }
    ~Failure() {
        if (detail_ != nullptr) kv_error_free(detail_);
    }

    Status status() const noexcept { return status_; }
    /// Names the thing and the remedy.
    const char* message() const noexcept KV_HPP_LIFETIMEBOUND {
        return detail_ != nullptr ? kv_error_message(detail_) : status_message(status_);
    }
    /// errno of the system call that failed, or 0.
    int os_code() const noexcept { return detail_ != nullptr ? kv_error_os_code(detail_) : 0; }

  private:
    kv_error_t* detail_;
    Status status_;
};

#if KV_HPP_EXCEPTIONS
/// What the throwing calls throw. what() names the thing and the remedy.
class Error : public std::runtime_error {
  public:
    explicit Error(const Failure& failure)
        : std::runtime_error(failure.message()), status_(failure.status()), os_code_(failure.os_code()) {}
    /// Never ok nor one of the expected outcomes.
    Status status() const noexcept { return status_; }
    /// errno of the system call that failed, or 0.
    int os_code() const noexcept { return os_code_; }

  private:
    Status status_;
    int os_code_;
};
#endif

namespace detail {
/// What every Result has.
class Outcome {
  public:
    Status status() const noexcept { return failure_.status(); }
    /// As those of Failure.
    const char* message() const noexcept KV_HPP_LIFETIMEBOUND { return failure_.message(); }
    int os_code() const noexcept { return failure_.os_code(); }

  protected:
    Outcome() noexcept = default;
    explicit Outcome(Failure failure) noexcept : failure_(std::move(failure)) {}
    /// Throws the Error unless there is none; without exceptions, aborts.
    void demand(bool ok) const {
        if (ok) return;
#if KV_HPP_EXCEPTIONS
        throw Error(failure_);
#else
        std::abort();
#endif
    }

  private:
    Failure failure_;
};
}  // namespace detail

/// The value of a call, or why there is none. There is no conversion to bool on purpose: with a Result<bool> it
/// would say "the call worked", which is rarely what was meant.
template <class T>
class [[nodiscard]] Result : public detail::Outcome {
  public:
    Result(T value) noexcept : value_(std::move(value)) {}
    Result(Failure failure) noexcept : Outcome(std::move(failure)) {}

    bool ok() const noexcept { return value_.has_value(); }

    /// Throws the Error; without exceptions, asking a Result that is not ok() aborts.
    const T& value() const& KV_HPP_LIFETIMEBOUND { return demand(ok()), *value_; }
    T& value() & KV_HPP_LIFETIMEBOUND { return demand(ok()), *value_; }
    T value() && { return demand(ok()), std::move(*value_); }
    /// Only if ok().
    const T& operator*() const& noexcept KV_HPP_LIFETIMEBOUND { return *value_; }
    T& operator*() & noexcept KV_HPP_LIFETIMEBOUND { return *value_; }
    T operator*() && noexcept { return std::move(*value_); }
    const T* operator->() const noexcept KV_HPP_LIFETIMEBOUND { return &*value_; }
    T* operator->() noexcept KV_HPP_LIFETIMEBOUND { return &*value_; }

  private:
    std::optional<T> value_;
};

/// The outcome of a call that has no value.
template <>
class [[nodiscard]] Result<void> : public detail::Outcome {
  public:
    Result() noexcept = default;
    Result(Failure failure) noexcept : Outcome(std::move(failure)) {}

    bool ok() const noexcept { return status() == Status::ok; }
    /// Throws the Error; without exceptions, aborts if not ok().
    void value() const { demand(ok()); }
};

namespace detail {

/// Runs what may allocate in this header; running out of memory is a status like any other.
template <class F>
auto guarded(F&& f) noexcept -> decltype(f()) {
#if KV_HPP_EXCEPTIONS
    try {
        return f();
    } catch (const std::bad_alloc&) {
        return Failure(Status::no_memory);
    } catch (const std::length_error&) {
        return Failure(Status::no_memory);
    }
#else
    return f();
#endif
}

inline Result<void> done(kv_status_t status, kv_error_t* detail = nullptr) noexcept {
    return Failure(status, detail);
}

/// KV_OK is true, `no` is false, anything else a failure.
inline Result<bool> yes_or(kv_status_t no, kv_status_t status) noexcept {
    if (status == KV_OK) return true;
    if (status == no) return false;
    return Failure(status, nullptr);
}

/// Milliseconds of a duration, kept within what 64 bits hold; a NaN counts as negative.
template <class Rep, class Period>
constexpr std::int64_t to_ms(std::chrono::duration<Rep, Period> time, bool up) noexcept {
    using std::chrono::milliseconds;
    constexpr long double limit = 9.2e18L;
    const long double about = static_cast<long double>(time.count()) * 1000 * Period::num / Period::den;
    if (!(about > -limit)) return INT64_MIN + 1;
    if (about >= limit) return INT64_MAX;
    return (up ? std::chrono::ceil<milliseconds>(time) : std::chrono::floor<milliseconds>(time)).count();
}

/// Calls f(const char*) with a terminated copy; a NUL inside would silently cut the text short.
template <class F>
auto with_text(std::string_view text, F&& f) -> decltype(f("")) {
    if (text.find('\0') != std::string_view::npos) return Failure(Status::invalid);
    return f(std::string(text).c_str());
}

}  // namespace detail

}  // namespace kv

#endif  // KV_RESULT_HPP
