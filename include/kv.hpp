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
/// * fork(). In the child every call on an inherited store fails with Status::forked; open a new one.
/// * A moved-from or closed Store answers Status::invalid.

#ifndef KV_HPP
#define KV_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kv.h"

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

// --------------------------------------------------------------------------------------------------- options

/// Options by the names of the README's table. Numbers, bools and durations are written out; sizes read "64MiB".
/// Move-only. A store copies what it needs, so one Options may open several.
class Options {
  public:
    Options() noexcept : handle_(kv_options_new()) {}
    Options(Options&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Options& operator=(Options&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Options() { kv_options_free(handle_); }

#if KV_HPP_EXCEPTIONS
    /// `Options{{"max_entries", "1000"}, {"eviction", "random"}}`.
    Options(std::initializer_list<std::pair<std::string_view, std::string_view>> options) : Options() {
        for (const auto& option : options) set(option.first, option.second);
    }
    /// An unknown name is Status::unsupported, a value that does not fit Status::invalid; what() names both and
    /// the nearest name or the valid range.
    template <class T>
    Options& set(std::string_view name, const T& value) & {
        set(std::nothrow, name, value).value();
        return *this;
    }
    template <class T>
    Options&& set(std::string_view name, const T& value) && {
        set(std::nothrow, name, value).value();
        return std::move(*this);
    }
#endif
    template <class T>
    Result<void> set(std::nothrow_t, std::string_view name, const T& value) noexcept {
        if (handle_ == nullptr) return Failure(Status::no_memory);
        return with_texts(name, value, [&](const char* name_text, const char* value_text, kv_error_t** error) {
            return kv_options_set(handle_, name_text, value_text, error);
        });
    }

    const kv_options_t* native() const noexcept KV_HPP_LIFETIMEBOUND { return handle_; }

  private:
    friend class Store;
    /// Calls call(name, value, &error) with both as terminated text.
    template <class T, class Call>
    static Result<void> with_texts(std::string_view name, const T& value, Call&& call) noexcept {
        return detail::guarded([&]() -> Result<void> {
            return detail::with_text(name, [&](const char* name_text) -> Result<void> {
                return detail::with_text(text(value), [&](const char* value_text) -> Result<void> {
                    kv_error_t* error = nullptr;
                    const kv_status_t status = call(name_text, value_text, &error);
                    return detail::done(status, error);
                });
            });
        });
    }
    static std::string_view text(std::string_view value) noexcept { return value; }
    // A template, because a string literal converts to bool more readily than to string_view.
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    static std::string text(const T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            return value ? "true" : "false";
        } else {
            static_assert(std::is_integral_v<T> && sizeof(T) > 1, "a number, a bool, a duration or a string");
            return std::to_string(value);
        }
    }
    template <class Rep, class Period>
    static std::string text(std::chrono::duration<Rep, Period> value) {
        return std::to_string(detail::to_ms(value, true)) + "ms";
    }

    kv_options_t* handle_;
};

/// Counters and sizes; the fields are documented in kv.h.
using Stats = kv_stats_t;

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
    /// `location` is ":memory:", "kv::memory:?name=value&..." or a directory. This version keeps data in memory
    /// only, and refuses a directory with Status::unsupported; so it does if libkv is older than this header.
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
    void clear() { clear(std::nothrow).value(); }
    /// Frees what has expired now instead of in the background; returns how many.
    std::uint64_t purge_expired() { return purge_expired(std::nothrow).value(); }
    [[nodiscard]] Stats stats() const { return stats(std::nothrow).value(); }
    /// `format` is "json" or "prometheus".
    [[nodiscard]] std::string stats_text(std::string_view format = "json") const {
        return stats_text(std::nothrow, format).value();
    }

    /// Changes an option that the README's table marks as online.
    template <class T>
    void configure(std::string_view name, const T& value) {
        configure(std::nothrow, name, value).value();
    }
    /// What poisoned the store, or nothing.
    [[nodiscard]] std::optional<Failure> last_fault() const { return last_fault(std::nothrow).value(); }
    /// Stops the store, safely beside running calls; they and later ones fail with Status::closed. Idempotent.
    void shutdown() { shutdown(std::nothrow).value(); }
    /// shutdown, then frees the handle, whatever it throws. No other call may be running. Idempotent.
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
    Result<std::string> stats_text(std::nothrow_t, std::string_view format = "json") const noexcept {
        return detail::guarded([&]() -> Result<std::string> {
            return detail::with_text(format, [&](const char* format_text) -> Result<std::string> {
                // Freed by the guard even where copying the text throws.
                struct Text {
                    char* text = nullptr;
                    ~Text() { kv_string_free(text); }
                } out;
                const kv_status_t status = kv_stats_text(handle_, format_text, &out.text);
                if (status != KV_OK) return Failure(status, nullptr);
                return std::string(out.text);
            });
        });
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
        const kv_status_t status = kv_close(std::exchange(handle_, nullptr), &error);
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
